"""Gradient descent as a System's `init` and `step`: a loss and an optax rule.

    g_t = ∇ L(θ_t; problem, hp[, batch_t]),
    θ_t+1 = θ_t + update(g_t),   update from the optax rule `optimizer(hp)`.

The rule is built from `hp` *inside* the step: its learning rate is a traced
number, so a new value never compiles again and every value can be a lane.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

__all__ = [
  'Descent',
  'DescentState',
  'descent',
  'minibatch',
  'module_init',
  'module_loss',
]


class DescentState(NamedTuple):
  """What gradient descent carries from step to step."""

  params: PyTree
  opt_state: PyTree


class Descent(NamedTuple):
  """The two functions of a System that gradient descent supplies."""

  init: Callable[..., DescentState]  # (key, problem, hp) -> state
  step: Callable[..., DescentState]  # (key, state, problem, hp) -> state


def descent(
  init_params: Callable[..., PyTree],
  loss: Callable[..., Float[Array, '']] | None,
  optimizer: Callable[..., optax.GradientTransformation],
  *,
  batch: Callable[..., PyTree] | None = None,
  value_and_grad: Callable[..., tuple[Array, PyTree]] | None = None,
  extra_args: Callable[..., dict[str, Any]] | None = None,
) -> Descent:
  """Makes `init` and `step` of a System out of a loss and an optax rule.

  Args:
    init_params: (key, problem, hp) -> θ_0, any pytree of arrays.
    loss: (params, problem, hp) -> scalar; with `batch`, its second argument is
      the batch instead of the problem.
    optimizer: hp -> optax transformation. Rules that take extra arguments are
      given `value` = L(θ_t) (for one that does not use it, it costs nothing).
    batch: (key, problem, hp) -> batch, with a key of its own for every step, so
      that the batch is a function of (seed, step). Full batch when None.
    value_and_grad: Same arguments as `loss` -> (L, ∇L), where a closed form is
      better than differentiating; then `loss` may be None.
    extra_args: (value, problem, hp) -> further extra arguments for the rule.

  Returns:
    A `Descent`, to be put into `System(sample, *descent(...), observe)`.

  Raises:
    TypeError: If neither `loss` nor `value_and_grad` is given.

  >>> import jax, jax.numpy as jnp, optax
  >>> d = descent(
  ...   init_params=lambda key, problem, hp: jnp.ones(2),
  ...   loss=lambda x, problem, hp: 0.5 * jnp.sum(problem * x**2),
  ...   optimizer=lambda hp: optax.sgd(hp['eta']))
  >>> problem, hp, key = jnp.array([1.0, 2.0]), {'eta': 0.25}, jax.random.key(0)
  >>> print(d.step(key, d.init(key, problem, hp), problem, hp).params)
  [0.75 0.5 ]
  """
  if value_and_grad is None:
    if loss is None:
      raise TypeError('descent needs a loss or a value_and_grad; got neither')
    value_and_grad = jax.value_and_grad(loss)

  def init(key: Key[Array, ''], problem: PyTree, hp: PyTree) -> DescentState:
    params = init_params(key, problem, hp)
    return DescentState(params, optimizer(hp).init(params))

  def step(
    key: Key[Array, ''], state: DescentState, problem: PyTree, hp: PyTree
  ) -> DescentState:
    seen = problem if batch is None else batch(key, problem, hp)
    value, grads = value_and_grad(state.params, seen, hp)
    rule = optax.with_extra_args_support(optimizer(hp))
    extra = {} if extra_args is None else extra_args(value, problem, hp)
    updates, opt_state = rule.update(
      grads, state.opt_state, state.params, value=value, **extra
    )
    return DescentState(optax.apply_updates(state.params, updates), opt_state)

  return Descent(init, step)


def minibatch(
  size: int, rows: Callable[[PyTree], PyTree] = lambda problem: problem
) -> Callable[..., PyTree]:
  """A batch rule: `size` rows drawn uniformly with replacement at each step.

  The draw of step t uses that step's own key, so it is a function of (seed,
  step).

  Args:
    size: Rows in a batch, >= 1.
    rows: Takes the training rows out of the problem: a pytree of arrays that
      share their first axis. By default the problem is just that.

  Returns:
    (key, problem, hp) -> the same pytree with `size` rows.

  Raises:
    ValueError: If `size` is below 1.

  >>> import jax, jax.numpy as jnp
  >>> batch = minibatch(3)(jax.random.key(0), {'x': jnp.arange(10.0)}, None)
  >>> batch['x'].shape
  (3,)
  """
  if size < 1:
    raise ValueError(f'batch size is {size}, expected an integer >= 1')

  def batch(key: Key[Array, ''], problem: PyTree, hp: PyTree) -> PyTree:
    del hp
    table = rows(problem)
    count = jax.tree.leaves(table)[0].shape[0]
    index: Int[Array, ' size'] = jax.random.randint(key, (size,), 0, count)
    # A table of numpy, a constant of `sample`, cannot be indexed by a tracer.
    return jax.tree.map(lambda x: jnp.asarray(x)[index], table)

  return batch


def module_init(module: Any, inputs: str = 'x') -> Callable[..., PyTree]:
  """θ_0 of a flax module, initialised on one row of `problem[inputs]`.

  Args:
    module: A `flax.linen.Module`.
    inputs: The key of the inputs in the problem, an array of rows.

  Returns:
    (key, problem, hp) -> params, ready for `descent`.
  """

  def init_params(key: Key[Array, ''], problem: PyTree, hp: PyTree) -> PyTree:
    del hp
    return module.init(key, problem[inputs][:1])['params']

  return init_params


def module_loss(
  module: Any,
  per_example: Callable[..., Float[Array, ' rows']],
  inputs: str = 'x',
  targets: str = 'y',
) -> Callable[..., Float[Array, '']]:
  """Mean loss of a flax module over the rows it is given (problem or batch).

      L(θ) = (1/n) Σ_i ℓ(f_θ(x_i), y_i)

  Args:
    module: A `flax.linen.Module`.
    per_example: (outputs, targets) -> one loss a row, as in `optax.losses`.
    inputs: The key of the inputs.
    targets: The key of the targets.

  Returns:
    (params, rows, hp) -> scalar, ready for `descent`.
  """

  def loss(params: PyTree, rows: PyTree, hp: PyTree) -> Float[Array, '']:
    del hp
    outputs = module.apply({'params': params}, rows[inputs])
    return jnp.mean(per_example(outputs, rows[targets]))

  return loss
