"""Learners of few-shot tasks: networks of any width, and kernels.

    network        the linear network in µP: its limit, or a width
    kernel         GP, NTK or any function of inner products, first-order MAML
    linear_kernel  the kernel limit of a linear network, whose features are the
                   inputs: it needs no rows

Two reformulations carry the cost. A network wider than d + k is trained in the
span of its columns (`linear.finite`). And a kernel predictor on a table is its
values there: a step asks f of drawings alone, so in place of the rows X and
coefficients C that it appends the state has

    F ← (1 − ηλ) F + K(table, X) C

at all drawings, those of training and those it is judged on. That is half of
the products of asking all rows for f, and judging it costs nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from framework.checks import check_sizes
from framework.data import drawings
from framework.descent import descent
from framework.systems.infinite_width.few_shot import kernels as kernel_limit
from framework.systems.infinite_width.few_shot import maml
from framework.systems.infinite_width.few_shot.kernels import Kind, Scales
from framework.systems.infinite_width.few_shot.maml import Tasks
from framework.systems.infinite_width.few_shot.sources import Data
from framework.systems.infinite_width.few_shot.tasks import Episodes
from framework.systems.infinite_width.limits import linear as linear_limit

__all__ = [
  'Learner',
  'Parts',
  'Values',
  'kernel',
  'linear_kernel',
  'network',
  'typed',
]


class Learner(NamedTuple):
  """Functions of a problem with a field `table`, a `parts` and typed hp."""

  init: Callable[..., PyTree]  # (key, problem, hp) -> state
  step: Callable[..., PyTree]  # (key, state, problem, hp) -> state
  # (state, tasks, rows, hp, steps) -> logits of queries for each count of steps
  logits: Callable[..., list[Array]]
  share: Callable[..., Array] | None = None  # (state, basis) -> of features
  prepare: Callable[[Data], PyTree] = lambda table: None  # -> parts


class Values(NamedTuple):
  """f at all drawings: all that a kernel predictor on a table is."""

  train: Float[Array, 'S blocks turns k']
  test: Float[Array, 'T tests 1 k']


class Parts(NamedTuple):
  """The tables as kernels want them."""

  train: drawings.Parts
  test: drawings.Parts


def typed(hp: Any, dtype: Any) -> Any:
  """Hyperparameters in one precision."""
  return jax.tree.map(lambda x: jnp.asarray(x, dtype), hp)


def _check(inner_steps: int, order: int = 1) -> None:
  check_sizes(inner_steps=inner_steps)
  if order not in (1, 2):
    raise ValueError(f'order is {order}, expected 1 or 2')


def network(
  width: int | None = None, *, inner_steps: int = 1, order: int = 1
) -> Callable[[Any], Learner]:
  """A linear network of one hidden layer in µP, trained by MAML.

  Args:
    width: n; None for the limit of infinite width.
    inner_steps: Inner steps in training.
    order: 2 differentiates through them.

  Returns:
    `Structure` -> `Learner`.

  Raises:
    ValueError: If a size is below 1 or the order is not 1 or 2.
  """
  _check(inner_steps, order)
  if width is not None:
    check_sizes(width=width)

  def learner(s: Any) -> Learner:
    d, k = s.source.d, s.ways

    def init_params(key, problem, hp):
      del problem
      hp = typed(hp, s.dtype)
      scale = hp.sigma1, hp.sigma2, s.dtype
      if width is None:
        return linear_limit.init(d, k, *scale)
      wide = width > d + k
      return linear_limit.finite(key, d, k, width, *scale, in_span=wide)

    def loss(params, tasks, hp):
      hp = typed(hp, s.dtype)
      rates = hp.inner_lr, hp.alpha, hp.bias_alpha
      how = {'steps': inner_steps, 'order': order}
      return maml.outer_loss(params, tasks, *rates, **how)

    def rule(hp):
      hp = typed(hp, s.dtype)
      return optax.chain(
        maml.clip(hp.clip),
        optax.add_decayed_weights(hp.weight_decay),
        optax.sgd(hp.meta_lr, hp.momentum),
      )

    def batch(key, problem, hp):
      return s.source.draw(key, problem.table, s.sizes, hp, s.dtype)[0]

    def logits(state, tasks, rows, hp, steps: Sequence[int]) -> list[Array]:
      del rows
      args = state.params, tasks, hp.inner_lr, hp.alpha, hp.bias_alpha
      # Not trained on, but with the derivative that it has.
      return [maml.adapted_logits(*args, steps=n, order=2) for n in steps]

    def share(state, basis):
      W1 = state.params.W1
      return jnp.sum((W1 @ basis) ** 2) / jnp.sum(W1**2)

    own = descent(init_params, loss, rule, batch=batch)
    return Learner(own.init, own.step, logits, share)

  return learner


def linear_kernel(inner_steps: int = 1) -> Callable[[Any], Learner]:
  """The kernel limit of a linear network, by the map from inputs to outputs.

  Args:
    inner_steps: Inner steps in training.

  Returns:
    `Structure` -> `Learner`.

  Raises:
    ValueError: If there are no inner steps.
  """
  _check(inner_steps)

  def learner(s: Any) -> Learner:
    def init(key, problem, hp):
      del key, problem, hp
      return jnp.zeros((s.source.d + 1, s.ways), s.dtype)

    def before(state, tasks, rows, hp):
      del rows
      return kernel_limit.on_tasks(lambda x: _features(x, hp) @ state, tasks)

    def add(state, problem, made, kept, hp):
      del problem
      return kept * state + _features(made.X, hp).T @ made.C

    kind = kernel_limit.linear
    return Learner(init, *_first_order(s, kind, inner_steps, before, add))

  return learner


def kernel(
  kind: Kind, *, capacity: int = 0, inner_steps: int = 1
) -> Callable[[Any], Learner]:
  """A kernel predictor under first-order MAML.

  On a table its state are its values there, `Values`; on other tasks the rows
  that it appends, a `kernels.Store`.

  Args:
    kind: `kernels.gp`, `kernels.ntk`, or another function of inner products.
    capacity: Rows that it has room for; not looked at on a table.
    inner_steps: Inner steps in training.

  Returns:
    `Structure` -> `Learner`, which raises ValueError if the capacity is less
    than the rows of a step.

  Raises:
    ValueError: If there are no inner steps.
  """
  _check(inner_steps)

  def learner(s: Any) -> Learner:
    on_table = s.source.turns is not None
    rows = s.tasks * s.ways * s.queries
    if not on_table and capacity < rows:
      raise ValueError(
        f'capacity is {capacity}, expected at least the {rows} rows of a step'
      )
    make = _values if on_table else _rows
    init, before, add, prepare = make(s, kind, capacity)
    step, logits = _first_order(s, kind, inner_steps, before, add)
    return Learner(init, step, logits, prepare=prepare)

  return learner


def _rows(s: Any, kind: Kind, capacity: int):
  """Rows and coefficients, appended at every step."""

  def init(key, problem, hp):
    del key, problem, hp
    block = min(1024, -(-capacity // 8) * 8)
    return kernel_limit.spread(
      kernel_limit.empty(capacity, s.source.d, s.ways, s.dtype, block)
    )

  def before(state, tasks, rows, hp):
    del rows
    K = kernel_limit.one_layer(kind, _scales(hp))
    return kernel_limit.on_tasks(
      lambda x: kernel_limit.predict(K, state, x), tasks
    )

  def add(state, problem, made, kept, hp):
    del problem, hp
    store = kernel_limit.append(state._replace(C=kept * state.C), *made[:2])
    return kernel_limit.spread(store)

  return init, before, add, lambda table: None


def _values(s: Any, kind: Kind, capacity: int):
  """F at all drawings of a table."""
  del capacity
  turns = s.source.turns

  def init(key, problem, hp):
    del key, hp
    train, test = (x.shape[:2] for x in problem.table)
    return Values(
      jnp.zeros((*train, turns, s.ways), s.dtype),
      jnp.zeros((*test, 1, s.ways), s.dtype),
    )

  def before(state: Array, tasks, rows, hp):
    del tasks, hp
    S, blocks = state.shape[:2]
    turn, base = jnp.divmod(jnp.concatenate(rows, 1), S * blocks)
    return state[base // blocks, base % blocks, turn]

  def add(state, problem, made, kept, hp):
    F, table = state, problem.parts
    return Values(
      _added(kind, kept * F.train, table.train, made, hp),
      _added(kind, kept * F.test, table.test, made, hp),
    )

  def prepare(table: Data) -> Parts:
    train, test = (jnp.asarray(x, s.dtype) / 255 for x in table)
    return Parts(drawings.parts(train, turns), drawings.parts(test, 1))

  return init, before, add, prepare


def _added(
  kind: Kind,
  F: Float[Array, 'S blocks turns k'],
  table: drawings.Parts,
  made: kernel_limit.Outer,
  hp: Any,
) -> Array:
  """F + K(table, X) C, a block of the table at a time."""
  new = drawings.parts(made.X, F.shape[2])
  squares = drawings.squares(new)

  def add(i, F):
    rows = jax.tree.map(lambda z: z[:, i], table)
    inner = drawings.inner(rows, new)
    own = drawings.squares(rows)[:, None]
    change = kind(inner, own, squares, _scales(hp)) @ made.C
    return F.at[:, i].add(change.swapaxes(0, 1))

  return jax.lax.fori_loop(0, F.shape[1], add, F)


def _first_order(
  s: Any, kind: Kind, inner_steps: int, before: Callable, add: Callable
):
  """`step` and `logits` of any kernel predictor.

  Args:
    s: The structure.
    kind: Its kernel.
    inner_steps: Inner steps in training.
    before: (state, tasks, rows, hp) -> logits of support and queries.
    add: (state, problem, outer step, share kept, hp) -> state.

  Returns:
    (step, logits) of a `Learner`.
  """

  def step(key, state, problem, hp):
    hp = typed(hp, s.dtype)
    tasks, rows = s.source.draw(key, problem.table, s.sizes, hp, s.dtype)
    values = state.train if isinstance(state, Values) else state
    made = kernel_limit.outer_step(
      kernel_limit.one_layer(kind, _scales(hp)),
      before(values, tasks, rows, hp),
      tasks,
      hp.inner_lr,
      hp.meta_lr,
      hp.clip,
      steps=inner_steps,
    )
    kept = 1 - hp.meta_lr * hp.weight_decay
    return add(state, problem, made, kept, hp)

  def logits(state, tasks: Tasks, rows: Episodes | None, hp, steps):
    values = state.test if isinstance(state, Values) else state
    found = before(values, tasks, rows, hp)
    K = kernel_limit.one_layer(kind, _scales(hp))
    return [
      kernel_limit.adapted_logits(K, found, tasks, hp.inner_lr, n)
      for n in steps
    ]

  return step, logits


def _features(x: Array, hp: Any) -> Array:
  """(√v_w x, √v_b): the linear kernel is their product."""
  one = jnp.broadcast_to(jnp.sqrt(hp.var_b), (*x.shape[:-1], 1))
  return jnp.concatenate([jnp.sqrt(hp.var_w) * x, one], -1)


def _scales(hp: Any) -> Scales:
  return Scales(hp.var_w, hp.var_b, hp.var_v)
