r"""Few-shot learning by MAML, as a `System`: limits, kernels and finite widths.

    limit   the infinitely wide linear network in µP, `linear_limit`
    finite  the same network at a width, drawn from it
    gp, ntk the kernel limits of a ReLU network, first-order MAML
    linear  the kernel limit of a linear network

All take the tasks of step t from the key of (seed, t) and are judged on the
same tasks of the seed, so their curves differ by the model alone. Points are
drawings of a table (data, shared by all lanes) or Gaussian (`maml_tasks`).

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
from jaxtyping import Array, ArrayLike, Float, Int, Key, PyTree, UInt8

from framework.descent import descent
from framework.mup import kernel_limit, linear_limit, maml, maml_tasks
from framework.mup.kernel_limit import Scales, Store
from framework.mup.maml import Tasks
from framework.system import System

__all__ = ['MODELS', 'Data', 'Hp', 'Structure', 'as_table', 'system']

MODELS = ('limit', 'finite', *kernel_limit.KINDS)
_CHUNK = 50  # tasks that are judged at once
_BLOCK = 1100  # most rows of a kernel product's block


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
  """Drawings as bytes, (S, blocks, pixels); see `as_table`."""

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
  classes: tuple[int, int] = (0, 0)  # of training, of test
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
    if min(self.classes) < self.ways:
      raise ValueError(
        f'ways is {self.ways}, expected at most the {min(self.classes)} classes'
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
    """Whether it appends rows, as long as they are fewer than the table's.

    Otherwise coefficients of the same row of the table are added up; and the
    linear kernel, whose features are the inputs, needs no rows at all.
    """
    if not self.is_kernel or self.model == 'linear':
      return False
    table = self.members * self.classes[0]
    return self.rank is not None or self.capacity < table


class Problem(NamedTuple):
  """What is fixed over time."""

  table: PyTree  # `Data`, or the basis of Gaussian classes
  judged: PyTree  # `Episodes` of the test table, or Gaussian `Tasks`


def as_table(drawings: UInt8[np.ndarray, 'classes members d']) -> np.ndarray:
  """Puts drawings into blocks, (S, blocks, d) with S blocks of them in order.

  Args:
    drawings: All of them.

  Returns:
    The same bytes in the same order: drawing r is at (r div blocks, r mod
    blocks). S, the rows of a kernel product, is the largest divisor of their
    number up to 1100.

  >>> import numpy as np
  >>> as_table(np.zeros((60, 20, 4), np.uint8)).shape
  (600, 2, 4)
  """
  flat = drawings.reshape(-1, drawings.shape[-1])
  n = len(flat)
  blocks = next(b for b in range(-(-n // _BLOCK), n + 1) if n % b == 0)
  return flat.reshape(n // blocks, blocks, flat.shape[-1])


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
      return Problem(Data(*map(jnp.asarray, data)), drawn)
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


def _episode(
  s: Structure, key: Key[Array, ''], problem: Problem, hp: Hp
) -> tuple[Tasks, Int[Array, ' rows'] | None]:
  """The tasks of a step, and the queries' rows of the table."""
  sizes = _sizes(s, s.tasks)
  if s.rank is not None:
    return maml_tasks.gaussian_tasks(
      key, problem.table, hp.signal, **sizes
    ), None
  drawn = maml_tasks.episodes(key, s.classes[0], s.members, **sizes)
  return _drawn(s, problem.table.train, drawn), drawn.query.reshape(-1)


def _drawn(s: Structure, table: Array, rows: maml_tasks.Episodes) -> Tasks:
  tasks = rows.support.shape[0]
  return Tasks(
    _pixels(s, table, rows.support),
    maml_tasks.labels(tasks, s.ways, s.shots),
    _pixels(s, table, rows.query),
    maml_tasks.labels(tasks, s.ways, s.queries),
  )


def _pixels(s: Structure, table: Array, rows: Array) -> Array:
  blocks = table.shape[1]
  return _ink(s, table[rows // blocks, rows % blocks])


def _ink(s: Structure, stored: Array) -> Array:
  return stored.astype(s.dtype) / 255


def _network(s: Structure):
  """`init` and `step` of a linear network of any width."""

  def init_params(key, problem, hp):
    del problem
    hp = _typed(s, hp)
    scale = hp.sigma1, hp.sigma2, s.dtype
    if s.model == 'limit':
      return linear_limit.init(s.d, s.ways, *scale)
    assert s.width is not None
    return linear_limit.finite(key, s.d, s.ways, s.width, *scale)

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


def _predictor(s: Structure, kernel, state: PyTree, table: PyTree, hp: Hp):
  """The function x -> f(x)."""
  if s.model == 'linear':
    return lambda x: _features(x, hp) @ state
  if s.stores_rows:
    store, read = state, lambda rows: rows
    if s.rank is None:
      read = lambda rows: _pixels(s, table.train, rows)  # noqa: E731
  else:
    count = jnp.int32(math.prod(table.train.shape[:2]))
    store, read = Store(table.train, state, count), lambda rows: _ink(s, rows)
  return lambda x: kernel_limit.predict(kernel, store, x, read)


def _kernel_of(s: Structure, hp: Hp) -> kernel_limit.Kernel:
  return kernel_limit.one_layer(s.model, Scales(hp.var_w, hp.var_b, hp.var_v))


def _kernel(s: Structure):
  """`init` and `step` of a kernel predictor.

  The state is a `Store`, of the rows themselves or of their numbers in the
  table; or the coefficients of every row of the table; or a linear map.
  """

  def init(key, problem, hp):
    del key, hp
    if s.model == 'linear':
      return jnp.zeros((s.d + 1, s.ways), s.dtype)
    if not s.stores_rows:
      shape = problem.table.train.shape[:2]
      return jnp.zeros((*shape, s.ways), s.dtype)
    block = min(1024, -(-s.capacity // 8) * 8)
    store = kernel_limit.empty(s.capacity, s.d, s.ways, s.dtype, block)
    if s.rank is None:
      store = store._replace(X=jnp.zeros(store.X.shape[:2], jnp.int32))
    return kernel_limit.spread(store)

  def step(key, state, problem, hp):
    hp = _typed(s, hp)
    tasks, rows = _episode(s, key, problem, hp)
    kernel = _kernel_of(s, hp)
    made = kernel_limit.outer_step(
      kernel,
      _predictor(s, kernel, state, problem.table, hp),
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
      X = made.X if rows is None else rows
      store = state._replace(C=kept * state.C)
      return kernel_limit.spread(kernel_limit.append(store, X, made.C))
    blocks = state.shape[1]
    return (kept * state).at[rows // blocks, rows % blocks].add(made.C)

  return init, step


def _observe(
  s: Structure, state: PyTree, problem: Problem, hp: Hp
) -> dict[str, Array]:
  """Accuracies on the seed's test tasks, a few tasks at a time."""
  most = range(min(_CHUNK, s.eval_tasks), 0, -1)
  chunk = next(c for c in most if s.eval_tasks % c == 0)
  chunks = jax.tree.map(
    lambda x: x.reshape(-1, chunk, *x.shape[1:]), problem.judged
  )

  def judge(rows):
    tasks = rows
    if s.rank is None:
      tasks = _drawn(s, problem.table.test, rows)
    found = []
    for logits in _logits(s, state, problem, tasks, hp):
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
  s: Structure, state: PyTree, problem: Problem, tasks: Tasks, hp: Hp
) -> list[Array]:
  """Query logits after `eval_steps` inner steps and after one."""
  counts = s.eval_steps, 1
  if not s.is_kernel:
    args = state.params, tasks, hp.inner_lr, hp.alpha, hp.bias_alpha
    return [maml.adapted_logits(*args, steps=n) for n in counts]
  kernel = _kernel_of(s, hp)
  f = _predictor(s, kernel, state, problem.table, hp)
  both = jnp.concatenate([tasks.x, tasks.x_query], 1)
  found = f(both.reshape(-1, s.d)).reshape(*both.shape[:2], s.ways)
  return [
    kernel_limit.adapted_logits(kernel, found, tasks, hp.inner_lr, n)
    for n in counts
  ]
