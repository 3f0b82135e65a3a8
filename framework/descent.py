"""Gradient descent as a System's `init` and `step`: a loss and an optax rule.

    g_t = ∇ L(θ_t; problem, hp[, batch_t]),
    θ_t+1 = θ_t + update(g_t),   update from the optax rule `rule(hp)`.

The rule is built from `hp` *inside* the step: its learning rate is a traced
number, so a new value never compiles again and every value can be a lane.

A loss asks for what it needs beyond its three arguments by the names of further
ones: `key` (of the step), `t` (the step), `variables` (what it carries along).
A rule is given the extra arguments that it takes, in optax's own names.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

__all__ = [
  'Descent',
  'DescentState',
  'TrainState',
  'descent',
  'minibatch',
  'offer',
]

# The loss's own noise where a batch rule has the step's key. A number that no
# `split` reaches: those keys are `fold_in` of 0, 1, ...
_NOISE = 2**31 - 1


class DescentState(NamedTuple):
  """What gradient descent carries from step to step."""

  params: PyTree
  opt_state: PyTree


class TrainState(NamedTuple):
  """What it carries where the loss or the batch asks for `t` or `variables`."""

  params: PyTree
  opt_state: PyTree
  t: Int[Array, '']  # steps made
  variables: PyTree  # () where the loss carries nothing


class Descent(NamedTuple):
  """The two functions of a System that gradient descent supplies."""

  init: Callable[..., Any]  # (key, problem, hp) -> state
  step: Callable[..., Any]  # (key, state, problem, hp) -> state


def descent(
  init_params: Callable[..., PyTree],
  loss: Callable[..., Any] | None,
  rule: Callable[..., Any],
  *,
  batch: Callable[..., PyTree] | None = None,
  value_and_grad: Callable[..., tuple[Any, PyTree]] | None = None,
  extra_args: Callable[..., dict[str, Any]] | None = None,
) -> Descent:
  """Makes `init` and `step` of a System out of a loss and an optax rule.

  Further arguments of the loss, known by their names, are given to it:

      key        of this step, for noise; not the one a batch is drawn with
      t          steps made before this one
      variables  what it returned at the last step: it returns (L, variables)

  Args:
    init_params: (key, problem, hp) -> θ_0, any pytree of arrays; where the loss
      asks for `variables`, (θ_0, variables).
    loss: (params, problem, hp) -> scalar; with `batch`, its second argument is
      the batch instead of the problem.
    rule: hp -> optax transformation, or whatever has its `init` and `update`.
      It is given those of these that its `update` takes: `value` = L(θ_t),
      `grad`, `value_fn` and `obj_fn`: params -> L, `grad_fn`: params -> ∇L, all
      at the batch, key and step of this step.
    batch: (key, problem, hp) -> batch, with a key of its own for every step, so
      that the batch is a function of (seed, step); may ask for `t`. Full batch
      when None.
    value_and_grad: Same arguments as `loss` -> (L, ∇L), or ((L, aux), ∇L) as
      `jax.value_and_grad` has it, where a closed form is better than
      differentiating; then `loss` may be None.
    extra_args: (value, problem, hp) -> further extra arguments for the rule;
      may ask for `params` and, where there is one, for `aux`.

  Returns:
    A `Descent`, to be put into `System(sample, *descent(...), observe)`. Its
    states are `DescentState`, or `TrainState` where `t` or `variables` are
    asked for.

  Raises:
    TypeError: If neither `loss` nor `value_and_grad` is given.

  >>> import jax, jax.numpy as jnp, optax
  >>> d = descent(
  ...   init_params=lambda key, problem, hp: jnp.ones(2),
  ...   loss=lambda x, problem, hp: 0.5 * jnp.sum(problem * x**2),
  ...   rule=lambda hp: optax.sgd(hp['eta']))
  >>> problem, hp, key = jnp.array([1.0, 2.0]), {'eta': 0.25}, jax.random.key(0)
  >>> print(d.step(key, d.init(key, problem, hp), problem, hp).params)
  [0.75 0.5 ]
  """
  asking = value_and_grad or loss
  if asking is None:
    raise TypeError('descent needs a loss or a value_and_grad; got neither')
  carries = 'variables' in _named(asking, 3)
  asked = [_named(f, 3) for f in (loss, value_and_grad, batch) if f]
  counts = carries or any('t' in names for names in asked)
  if value_and_grad is None:
    value_and_grad = jax.value_and_grad(asking, has_aux=carries)

  def init(key: Key[Array, ''], problem: PyTree, hp: PyTree) -> Any:
    params = init_params(key, problem, hp)
    variables = ()
    if carries:
      params, variables = params
    state = DescentState(params, rule(hp).init(params))
    return TrainState(*state, jnp.int32(0), variables) if counts else state

  def step(key: Key[Array, ''], state: Any, problem: PyTree, hp: PyTree) -> Any:
    offered = {'key': key}
    if counts:
      offered |= {'t': state.t, 'variables': state.variables}
    seen = problem
    if batch is not None:
      seen = offer(batch, offered)(key, problem, hp)
      offered['key'] = jax.random.fold_in(key, _NOISE)

    def value_of(out: Any) -> Float[Array, '']:
      return out[0] if isinstance(out, tuple) else out

    def grads_of(params: PyTree) -> tuple[Any, PyTree]:
      return offer(value_and_grad, offered)(params, seen, hp)

    # Line searches refuse arguments that their value_fn does not know, too.
    def value_fn(params: PyTree, obj_fn=None, grad_fn=None) -> Float[Array, '']:
      del obj_fn, grad_fn
      if loss is None:
        return value_of(grads_of(params)[0])
      return value_of(offer(loss, offered)(params, seen, hp))

    out, grads = grads_of(state.params)
    value = value_of(out)
    extra = {
      'value': value,
      'grad': grads,
      'value_fn': value_fn,
      'obj_fn': value_fn,
      'grad_fn': lambda params, _=None: grads_of(params)[1],
    }
    if extra_args is not None:
      asked = {'params': state.params}
      if isinstance(out, tuple):
        asked['aux'] = out[1]
      extra |= offer(extra_args, asked)(value, problem, hp)
    update = offer(rule(hp).update, extra, open_to_all=True)
    updates, opt_state = update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    if not counts:
      return DescentState(params, opt_state)
    variables = out[1] if carries else state.variables
    return TrainState(params, opt_state, state.t + 1, variables)

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


def offer(
  f: Callable[..., Any],
  arguments: dict[str, Any],
  given: int = 3,
  *,
  open_to_all: bool = False,
) -> Callable[..., Any]:
  """A function with those of some arguments that it takes, by their names.

  Args:
    f: Any function whose signature is known.
    arguments: What it may take, by name.
    given: How many arguments it gets otherwise: names of its first ones mean
      nothing.
    open_to_all: Whether one with `**kwargs` takes them all.

  Returns:
    The function of the arguments that are left.

  >>> offer(lambda x, *, t: x + t, {'t': 2, 'key': 'k'}, given=1)(1)
  3
  """
  kinds = inspect.signature(f).parameters.values()
  everything = open_to_all and any(p.kind == p.VAR_KEYWORD for p in kinds)
  names = arguments.keys() if everything else _named(f, given)
  return functools.partial(
    f, **{name: x for name, x in arguments.items() if name in names}
  )


def _named(f: Callable[..., Any], given: int) -> set[str]:
  """Names of the arguments after the first `given`, keywords among them."""
  parameters = inspect.signature(f).parameters.values()
  return {
    p.name
    for i, p in enumerate(parameters)
    if p.kind == p.KEYWORD_ONLY
    or (p.kind == p.POSITIONAL_OR_KEYWORD and i >= given)
  }
