r"""Few-shot learning by MAML, as a `System`: limits, kernels and finite widths.

    limit   the infinitely wide linear network in µP, `linear_limit`
    finite  the same network at a width, drawn from it
    gp, ntk the kernel limits of a ReLU network, first-order MAML
    linear  the kernel limit of a linear network

All take the tasks of step t from the key of (seed, t) and are judged on the
same tasks of the seed, so their curves differ by the model alone. Points are
drawings of a table (data, shared by all lanes) or Gaussian (`maml_tasks`).

Two reformulations carry the cost. A network wider than d + k is trained in the
span of its columns (`linear_limit.finite`). And a kernel
predictor on a table is its values there: a step asks f of drawings alone, so in
place of the rows X and coefficients C that it appends the state has

    F ← (1 − ηλ) F + K(table, X) C

at all drawings, those of training and those it is judged on. That is half of
the products of asking all rows for f, and judging it costs nothing.

References:
  [1] Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021,
      section 9.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, Float, Key, PyTree, UInt8

from framework.data import drawings
from framework.descent import descent
from framework.system import System
from framework.systems.infinite_width.few_shot import kernels as kernel_limit
from framework.systems.infinite_width.few_shot import maml
from framework.systems.infinite_width.few_shot import tasks as maml_tasks
from framework.systems.infinite_width.few_shot.kernels import Scales
from framework.systems.infinite_width.few_shot.maml import Tasks
from framework.systems.infinite_width.limits import linear as linear_limit

__all__ = [
  'MODELS',
  'Data',
  'Hp',
  'Parts',
  'Problem',
  'Structure',
  'Values',
  'system',
]

MODELS = ('limit', 'finite', *kernel_limit.KINDS)
_CHUNK = 50  # tasks that are judged at once


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane."""

  meta_lr: Float[ArrayLike, ''] = 0.1  # η
  inner_lr: Float[ArrayLike, ''] = 0.4  # η_in
  clip: Float[ArrayLike, ''] = 0.5  # of the norm of the summed gradient
  weight_decay: Float[ArrayLike, ''] = 0.0  # parameters, coefficients: 1 − ηλ
  momentum: Float[ArrayLike, ''] = 0.0  # of networks
  sigma1: Float[ArrayLike, ''] = 1.0
  sigma2: Float[ArrayLike, ''] = 1.0
  alpha: Float[ArrayLike, ''] = 1.0  # multiplier of a network's output
  bias_alpha: Float[ArrayLike, ''] = 1.0  # multiplier of its bias
  var_w: Float[ArrayLike, ''] = 1.0  # of kernels
  var_b: Float[ArrayLike, ''] = 0.0
  var_v: Float[ArrayLike, ''] = 1.0
  signal: Float[ArrayLike, ''] = 1.0  # of Gaussian classes


class Data(NamedTuple):
  """Drawings as bytes, in the blocks of `drawings.as_table`."""

  train: UInt8[Array | np.ndarray, 'S blocks d']
  test: UInt8[Array | np.ndarray, 'T tests d']


@dataclasses.dataclass(frozen=True)
class Structure:
  """What is fixed in the compiled program.

  Raises:
    ValueError: If a size or a name is out of range, naming it.
  """

  model: str = 'limit'
  width: int | None = None  # of a finite network
  d: int = 64
  ways: int = 5
  shots: int = 1
  queries: int = 1
  tasks: int = 16  # a step
  inner_steps: int = 1
  order: int = 1
  rank: int | None = 8  # of Gaussian classes; None: drawings of a table
  members: int = 20  # drawings of a class
  classes: tuple[int, int] = (0, 0)  # in the tables of training and of test
  turns: int = 1  # 4: quarter turns of training's are classes of their own
  eval_tasks: int = 200
  eval_steps: int = 20
  capacity: int = 0  # rows that a kernel appends in the whole run
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    if self.model not in MODELS:
      raise ValueError(
        f'model is {self.model!r}, expected one of {", ".join(MODELS)}'
      )
    if (self.width is not None) != (self.model == 'finite'):
      raise ValueError(
        f'width is {self.width}, expected one for model=finite and none else'
      )
    lows = {
      name: 1
      for name in (
        *('d', 'shots', 'queries', 'tasks', 'eval_tasks', 'inner_steps'),
        *('eval_steps', 'width', 'rank'),
      )
    } | {'ways': 2}
    for name, low in lows.items():
      value = getattr(self, name)
      if value is not None and value < low:
        raise ValueError(f'{name} is {value}, expected an integer >= {low}')
    if self.order not in (1, 2):
      raise ValueError(f'order is {self.order}, expected 1 or 2')
    if self.is_kernel and self.order != 1:
      raise ValueError(
        f'order is {self.order}, expected 1 for model={self.model}: its rows '
        'are appended, not differentiated'
      )
    if self.rank is not None and self.rank > self.d:
      raise ValueError(f'rank is {self.rank}, expected 1 to d = {self.d}')
    if self.rank is None:
      self._check_table()
    if self.stores_rows and self.capacity < self.rows:
      raise ValueError(
        f'capacity is {self.capacity}, expected at least the {self.rows} rows '
        'of a step'
      )

  def _check_table(self):
    if self.members < self.shots + self.queries:
      raise ValueError(
        f'shots + queries is {self.shots + self.queries}, expected at most the '
        f'{self.members} drawings of a class'
      )
    if self.turns not in (1, 4):
      raise ValueError(f'turns is {self.turns}, expected 1 or 4')
    if self.turns == 4 and (self.d % 2 or math.isqrt(self.d) ** 2 != self.d):
      raise ValueError(
        f'd is {self.d}, expected the square of an even number for turns=4'
      )
    most = min(self.turns * self.classes[0], self.classes[1])
    if most < self.ways:
      raise ValueError(
        f'ways is {self.ways}, expected at most the {most} classes'
      )

  @property
  def is_kernel(self) -> bool:
    """Whether it is a kernel predictor."""
    return self.model in kernel_limit.KINDS

  @property
  def rows(self) -> int:
    """Query rows of a step."""
    return self.tasks * self.ways * self.queries

  @property
  def stores_rows(self) -> bool:
    """Whether it appends rows.

    It does not on a table, where its values are its state; and the linear
    kernel, whose features are the inputs, needs no rows at all.
    """
    return self.is_kernel and self.model != 'linear' and self.rank is not None


class Values(NamedTuple):
  """f at all drawings: what a kernel predictor on a table is."""

  train: Float[Array, 'S blocks turns k']
  test: Float[Array, 'T tests 1 k']


class Parts(NamedTuple):
  """The tables as kernels want them."""

  train: drawings.Parts
  test: drawings.Parts


class Problem(NamedTuple):
  """What is fixed over time."""

  table: PyTree  # `Data`, or the basis of Gaussian classes
  judged: PyTree  # `Episodes` of the test table, or Gaussian `Tasks`
  parts: Parts | None = None  # of a kernel on a table


def system(structure: Structure) -> System:
  """MAML with one of the models.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`; with `rank` None `sample` takes `Data`. Observations,
    all on the seed's test tasks: accuracy and loss of the queries after
    `eval_steps` inner steps, accuracy_one and loss_one after one, and for
    Gaussian classes signal_share, the part of the features' square that lies in
    the classes' subspace (rank/d where features stay what they were).

  Raises:
    TypeError: By `sample`, if `rank` is None and it is not given `Data`. What
      cannot be built is refused by `Structure`.

  >>> import jax, jax.numpy as jnp
  >>> from framework import rollout
  >>> small = system(Structure(d=16, rank=2, eval_tasks=50, dtype=jnp.float32))
  >>> run = jax.jit(lambda hp: rollout(
  ...   small, jax.random.key(0), hp, jnp.array([0, 60])))
  >>> _, seen = run(Hp(meta_lr=0.5, inner_lr=2.0, sigma2=0.5))
  >>> bool(seen['accuracy'][1] > seen['accuracy'][0])
  True
  """
  s = structure

  def sample(key: Key[Array, ''], hp: Hp, data: Data | None = None) -> Problem:
    key_basis, key_tasks = jax.random.split(key)
    sizes = _sizes(s, s.eval_tasks)
    if s.rank is None:
      if data is None:
        raise TypeError('episodes of real data need `data`; rank is None')
      drawn = maml_tasks.episodes(key_tasks, s.classes[1], s.members, **sizes)
      # What numpy holds cannot be indexed by a tracer.
      table = Data(*map(jnp.asarray, data))
      return Problem(table, drawn, _parts(s, table))
    B = maml_tasks.basis(key_basis, s.d, s.rank, s.dtype)
    return Problem(
      B, maml_tasks.gaussian_tasks(key_tasks, B, hp.signal, **sizes)
    )

  init, step = (_kernel if s.is_kernel else _network)(s)

  def observe(state: PyTree, problem: Problem, hp: Hp) -> dict[str, Array]:
    return _observe(s, state, problem, _typed(s, hp))

  return System(sample, init, step, observe)


def _typed(s: Structure, hp: Hp) -> Hp:
  return jax.tree.map(lambda x: jnp.asarray(x, s.dtype), hp)


def _sizes(s: Structure, tasks: int) -> dict[str, int]:
  return dict(tasks=tasks, ways=s.ways, shots=s.shots, queries=s.queries)


def _parts(s: Structure, table: Data) -> Parts | None:
  if not s.is_kernel or s.model == 'linear':
    return None
  train, test = (jnp.asarray(x, s.dtype) / 255 for x in table)
  return Parts(drawings.parts(train, s.turns), drawings.parts(test, 1))


def _episode(
  s: Structure, key: Key[Array, ''], problem: Problem, hp: Hp
) -> tuple[Tasks, maml_tasks.Episodes | None]:
  """The tasks of a step, and their rows of the table if there is one."""
  sizes = _sizes(s, s.tasks)
  if s.rank is not None:
    B = problem.table
    return maml_tasks.gaussian_tasks(key, B, hp.signal, **sizes), None
  classes = s.turns * s.classes[0]
  drawn = maml_tasks.episodes(key, classes, s.members, **sizes)
  return _drawn(s, problem.table.train, drawn, s.turns), drawn


def _drawn(
  s: Structure, table: Array, rows: maml_tasks.Episodes, turns: int
) -> Tasks:
  x, x_query = (drawings.pixels(table, r, turns, s.dtype) for r in rows)
  tasks = len(x)
  return Tasks(
    x,
    maml_tasks.labels(tasks, s.ways, s.shots),
    x_query,
    maml_tasks.labels(tasks, s.ways, s.queries),
  )


def _network(s: Structure):
  """`init` and `step` of a linear network of any width."""

  def init_params(key, problem, hp):
    del problem
    hp = _typed(s, hp)
    scale = hp.sigma1, hp.sigma2, s.dtype
    if s.model == 'limit':
      return linear_limit.init(s.d, s.ways, *scale)
    assert s.width is not None
    wide = s.width > s.d + s.ways
    sizes = s.d, s.ways, s.width
    return linear_limit.finite(key, *sizes, *scale, in_span=wide)

  def loss(params, tasks, hp):
    hp = _typed(s, hp)
    return maml.outer_loss(
      params,
      tasks,
      hp.inner_lr,
      hp.alpha,
      hp.bias_alpha,
      steps=s.inner_steps,
      order=s.order,
    )

  def optimizer(hp):
    return optax.chain(
      maml.clip(hp.clip),
      optax.add_decayed_weights(hp.weight_decay),
      optax.sgd(hp.meta_lr, hp.momentum),
    )

  return descent(
    init_params,
    loss,
    lambda hp: optimizer(_typed(s, hp)),
    batch=lambda key, problem, hp: _episode(s, key, problem, hp)[0],
  )


def _features(x: Array, hp: Hp) -> Array:
  """What the linear kernel is the product of: (√v_w x, √v_b)."""
  one = jnp.broadcast_to(jnp.sqrt(hp.var_b), (*x.shape[:-1], 1))
  return jnp.concatenate([jnp.sqrt(hp.var_w) * x, one], -1)


def _logits_before(
  s: Structure,
  state: PyTree,
  tasks: Tasks,
  rows: maml_tasks.Episodes | None,
  hp: Hp,
) -> Array:
  """What a kernel predictor says of support and queries."""
  if s.model == 'linear':
    return kernel_limit.on_tasks(lambda x: _features(x, hp) @ state, tasks)
  if s.stores_rows:
    kernel = _kernel_of(s, hp)
    return kernel_limit.on_tasks(
      lambda x: kernel_limit.predict(kernel, state, x), tasks
    )
  assert rows is not None
  S, blocks = state.shape[:2]
  turn, base = jnp.divmod(jnp.concatenate(rows, 1), S * blocks)
  return state[base // blocks, base % blocks, turn]


def _scales(hp: Hp) -> Scales:
  return Scales(hp.var_w, hp.var_b, hp.var_v)


def _kernel_of(s: Structure, hp: Hp) -> kernel_limit.Kernel:
  return kernel_limit.one_layer(s.model, _scales(hp))


def _kernel(s: Structure):
  """`init` and `step` of a kernel predictor: a `Store`, `Values` or a map."""

  def init(key, problem, hp):
    del key, hp
    if s.model == 'linear':
      return jnp.zeros((s.d + 1, s.ways), s.dtype)
    if not s.stores_rows:
      train, test = (x.shape[:2] for x in problem.table)
      return Values(
        jnp.zeros((*train, s.turns, s.ways), s.dtype),
        jnp.zeros((*test, 1, s.ways), s.dtype),
      )
    block = min(1024, -(-s.capacity // 8) * 8)
    return kernel_limit.spread(
      kernel_limit.empty(s.capacity, s.d, s.ways, s.dtype, block)
    )

  def step(key, state, problem, hp):
    hp = _typed(s, hp)
    tasks, rows = _episode(s, key, problem, hp)
    values = state.train if isinstance(state, Values) else state
    made = kernel_limit.outer_step(
      _kernel_of(s, hp),
      _logits_before(s, values, tasks, rows, hp),
      tasks,
      hp.inner_lr,
      hp.meta_lr,
      hp.clip,
      steps=s.inner_steps,
    )
    kept = 1 - hp.meta_lr * hp.weight_decay
    if s.model == 'linear':
      return kept * state + _features(made.X, hp).T @ made.C
    if s.stores_rows:
      store = kernel_limit.append(state._replace(C=kept * state.C), *made[:2])
      return kernel_limit.spread(store)
    F, table = state, problem.parts
    return Values(
      _added(s, kept * F.train, table.train, made, hp),
      _added(s, kept * F.test, table.test, made, hp),
    )

  return init, step


def _added(
  s: Structure,
  F: Float[Array, 'S blocks turns k'],
  table: drawings.Parts,
  made: kernel_limit.Outer,
  hp: Hp,
) -> Array:
  """F + K(table, X) C, a block of the table at a time."""
  K = kernel_limit.from_inner(s.model, _scales(hp))
  new = drawings.parts(made.X, F.shape[2])
  squares = drawings.squares(new)

  def add(i, F):
    rows = jax.tree.map(lambda z: z[:, i], table)
    inner = drawings.inner(rows, new)
    change = K(inner, drawings.squares(rows)[:, None], squares) @ made.C
    return F.at[:, i].add(change.swapaxes(0, 1))

  return jax.lax.fori_loop(0, F.shape[1], add, F)


def _observe(
  s: Structure, state: PyTree, problem: Problem, hp: Hp
) -> dict[str, Array]:
  """Accuracies on the seed's test tasks, a few tasks at a time."""
  most = range(min(_CHUNK, s.eval_tasks), 0, -1)
  chunk = next(c for c in most if s.eval_tasks % c == 0)
  chunks = jax.tree.map(
    lambda x: x.reshape(-1, chunk, *x.shape[1:]), problem.judged
  )

  values = state.test if isinstance(state, Values) else state

  def judge(chunk):
    tasks, rows = chunk, None
    if s.rank is None:
      tasks, rows = _drawn(s, problem.table.test, chunk, 1), chunk
    found = []
    for logits in _logits(s, values, tasks, rows, hp):
      entropy = optax.softmax_cross_entropy_with_integer_labels(
        logits, tasks.y_query
      )
      found += [maml.accuracy(logits, tasks.y_query), jnp.mean(entropy)]
    return jnp.stack(found)

  means = jnp.mean(jax.lax.map(judge, chunks), 0)
  names = 'accuracy', 'loss', 'accuracy_one', 'loss_one'
  seen = dict(zip(names, means, strict=True))
  if s.rank is not None:
    share = jnp.asarray(s.rank / s.d, s.dtype)
    if not s.is_kernel:
      W1 = state.params.W1
      share = jnp.sum((W1 @ problem.table) ** 2) / jnp.sum(W1**2)
    seen['signal_share'] = share
  return seen


def _logits(
  s: Structure,
  state: PyTree,
  tasks: Tasks,
  rows: maml_tasks.Episodes | None,
  hp: Hp,
) -> list[Array]:
  """Query logits after `eval_steps` inner steps and after one."""
  counts = s.eval_steps, 1
  if not s.is_kernel:
    args = state.params, tasks, hp.inner_lr, hp.alpha, hp.bias_alpha
    # Not trained on, but with the derivative that it has.
    return [maml.adapted_logits(*args, steps=n, order=2) for n in counts]
  kernel, found = (
    _kernel_of(s, hp),
    _logits_before(s, state, tasks, rows, hp),
  )
  return [
    kernel_limit.adapted_logits(kernel, found, tasks, hp.inner_lr, n)
    for n in counts
  ]
