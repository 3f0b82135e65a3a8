"""Few-shot tasks: characters from a table of drawings, or Gaussian classes.

An episode of N ways, K shots and Q queries draws N distinct classes and K + Q
distinct points of each; the label is the place in the draw. It is a function of
the key alone, so models that are given the same key see the same tasks.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Int, Key

from framework.maths import draws, linalg
from framework.systems.infinite_width.few_shot.maml import Tasks

__all__ = [
  'Episodes',
  'basis',
  'distinct',
  'episodes',
  'gaussian_tasks',
  'labels',
]


class Episodes(NamedTuple):
  """Rows of a table (classes x members), flattened."""

  support: Int[Array, 'tasks m']
  query: Int[Array, 'tasks q']


def distinct(
  key: Key[Array, ''], batch: tuple[int, ...], n: int, count: int
) -> Int[Array, '*batch count']:
  """Draws `count` different numbers below n, in random order.

  Each is drawn among those that are left, by rank: no permutation of all n.

  Args:
    key: Key of the draw.
    batch: Leading axes of independent draws.
    n: How many there are.
    count: How many are drawn, at most n.

  Returns:
    Numbers 0 ... n − 1.

  Raises:
    ValueError: If there are too few.

  >>> sorted(distinct(jax.random.key(0), (), 4, 4).tolist())
  [0, 1, 2, 3]
  """
  if not 1 <= count <= n:
    raise ValueError(f'{count} of {n} cannot be distinct, expected 1 to {n}')
  left = n - jnp.arange(count, dtype=jnp.int32)
  left = jnp.broadcast_to(left, (*batch, count))
  rank = jax.random.randint(key, left.shape, 0, left, jnp.int32)
  found = [rank[..., 0]]
  for j in range(1, count):
    value = rank[..., j]
    # Past every earlier one that is not above it, in ascending order.
    earlier = jnp.sort(jnp.stack(found, -1), axis=-1)
    for i in range(j):
      value = value + (value >= earlier[..., i])
    found.append(value)
  return jnp.stack(found, -1)


@functools.partial(
  jax.jit,
  static_argnames=('classes', 'members', 'tasks', 'ways', 'shots', 'queries'),
)
def episodes(
  key: Key[Array, ''],
  classes: int,
  members: int,
  *,
  tasks: int,
  ways: int,
  shots: int,
  queries: int,
) -> Episodes:
  """Draws tasks from a table of classes with so many members each.

  Args:
    key: Key of the draw.
    classes: Classes.
    members: Points of each.
    tasks: Tasks.
    ways: N, classes in a task.
    shots: K, support points of a class.
    queries: Q, query points of a class.

  Returns:
    Rows, class by class: of label 0 first.

  Raises:
    ValueError: If there are too few classes or members.

  >>> drawn = episodes(jax.random.key(0), 9, 3, tasks=2, ways=2, shots=1,
  ...                  queries=2)
  >>> drawn.support.shape, drawn.query.shape
  ((2, 2), (2, 4))
  """
  key_class, key_member = jax.random.split(key)
  which = distinct(key_class, (tasks,), classes, ways)
  of = distinct(key_member, (tasks, ways), members, shots + queries)
  rows = members * which[..., None] + of
  return Episodes(
    rows[..., :shots].reshape(tasks, -1), rows[..., shots:].reshape(tasks, -1)
  )


def labels(tasks: int, ways: int, each: int) -> Int[Array, 'tasks points']:
  """0, ..., 0, 1, ..., 1, ...: the labels of rows that go class by class."""
  y = jnp.repeat(jnp.arange(ways, dtype=jnp.int32), each)
  return jnp.broadcast_to(y, (tasks, ways * each))


def basis(
  key: Key[Array, ''], d: int, rank: int, dtype: DTypeLike = jnp.float64
) -> Float[Array, 'd rank']:
  """Orthonormal columns, uniformly at random.

  Args:
    key: Key of the draw.
    d: Dimension.
    rank: Columns, at most d.
    dtype: Of the entries.

  Returns:
    The columns.

  Raises:
    ValueError: If the rank is above d.

  >>> B = basis(jax.random.key(0), 5, 2)
  >>> print(abs(B.T @ B).round(6))
  [[1. 0.]
   [0. 1.]]
  """
  if not 1 <= rank <= d:
    raise ValueError(f'rank is {rank}, expected 1 to d = {d}')
  return linalg.qr(draws.normal(key, (d, rank), dtype))[0]


@functools.partial(
  jax.jit, static_argnames=('tasks', 'ways', 'shots', 'queries')
)
def gaussian_tasks(
  key: Key[Array, ''],
  basis: Float[Array, 'd rank'],
  signal: Float[ArrayLike, ''] = 1.0,
  *,
  tasks: int,
  ways: int,
  shots: int,
  queries: int,
) -> Tasks:
  """Classes that differ in a subspace that all tasks share.

      x = (B z_c + (I − BBᵀ) ε)/√d,   z_c ~ N(0, signal² I),   ε ~ N(0, I_d)

  Points of a class agree in the `rank` directions of B and in no other, where
  nuisance is as large in each as the signal is in those of B: a metric that
  forgets the other d − rank directions tells all classes apart.

  Args:
    key: Key of the draw.
    basis: B.
    signal: Standard deviation of class means in each direction of B.
    tasks: Tasks.
    ways: N.
    shots: K.
    queries: Q.

  Returns:
    `Tasks`.

  >>> B = basis(jax.random.key(0), 5, 2)
  >>> drawn = gaussian_tasks(jax.random.key(1), B, tasks=3, ways=2, shots=1,
  ...                        queries=2)
  >>> drawn.x.shape, drawn.y_query[0].tolist()
  ((3, 2, 5), [0, 0, 1, 1])
  """
  d, rank = basis.shape
  key_mean, key_noise = jax.random.split(key)
  z = draws.normal(key_mean, (tasks, ways, 1, rank), basis.dtype)
  shape = tasks, ways, shots + queries, d
  noise = draws.normal(key_noise, shape, basis.dtype)
  # The noise is per point, the mean per class.
  nuisance = noise - (noise @ basis) @ basis.T
  x = (jnp.asarray(signal, basis.dtype) * z @ basis.T + nuisance) / d**0.5
  return Tasks(
    x[:, :, :shots].reshape(tasks, -1, d),
    labels(tasks, ways, shots),
    x[:, :, shots:].reshape(tasks, -1, d),
    labels(tasks, ways, queries),
  )
