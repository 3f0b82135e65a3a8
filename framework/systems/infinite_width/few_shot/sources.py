"""Where few-shot tasks come from: Gaussian classes, or a table of drawings.

A `Source` makes the tasks of a step from a key, and those that a seed is judged
on, so that learners which are given the same key see the same tasks.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, DTypeLike, Key, PyTree, UInt8

from framework.checks import check_sizes
from framework.data import drawings
from framework.systems.infinite_width.few_shot import tasks as tasks_lib
from framework.systems.infinite_width.few_shot.maml import Tasks
from framework.systems.infinite_width.few_shot.tasks import Episodes

__all__ = ['Data', 'Sizes', 'Source', 'gaussian', 'table']

Shown = tuple[Tasks, Episodes | None]  # tasks, and their rows of a table


class Sizes(NamedTuple):
  """Of an episode, and how many of them."""

  tasks: int
  ways: int
  shots: int
  queries: int


class Data(NamedTuple):
  """Drawings as bytes, in the blocks of `drawings.as_table`."""

  train: UInt8[Array | np.ndarray, 'S blocks d']
  test: UInt8[Array | np.ndarray, 'T tests d']


class Source(NamedTuple):
  """Functions that make tasks; `sizes` are `Sizes`."""

  d: int  # inputs
  check: Callable[[Sizes], None]  # refuses sizes that there are not
  # (key, data, sizes, hp, dtype) -> (what tasks are made of, judged)
  sample: Callable[..., tuple[PyTree, PyTree]]
  draw: Callable[..., Shown]  # (key, made of, sizes, hp, dtype)
  show: Callable[..., Shown]  # (made of, part of judged, sizes, dtype)
  rank: int | None = None  # of the subspace in which classes differ
  turns: int | None = None  # of the drawings of a table


def gaussian(d: int = 64, rank: int = 8) -> Source:
  """Classes that differ in a subspace that all tasks share.

  Args:
    d: Inputs.
    rank: Dimension of the subspace; see `tasks.gaussian_tasks`.

  Returns:
    A `Source` that needs no data.

  Raises:
    ValueError: If the rank is not 1 to d.
  """
  check_sizes(d=d, rank=rank)
  if rank > d:
    raise ValueError(f'rank is {rank}, expected 1 to d = {d}')

  def sample(key: Key[Array, ''], data: Any, sizes: Sizes, hp: Any, dtype: Any):
    del data
    key_basis, key_tasks = jax.random.split(key)
    B = tasks_lib.basis(key_basis, d, rank, dtype)
    return B, draw(key_tasks, B, sizes, hp, dtype)[0]

  def draw(key: Key[Array, ''], B: Array, sizes: Sizes, hp: Any, dtype: Any):
    del dtype
    made = tasks_lib.gaussian_tasks(key, B, hp.signal, **sizes._asdict())
    return made, None

  def show(B: Array, judged: Tasks, sizes: Sizes, dtype: Any) -> Shown:
    del B, sizes, dtype
    return judged, None

  return Source(d, lambda sizes: None, sample, draw, show, rank)


def table(
  d: int, classes: tuple[int, int], members: int = 20, turns: int = 1
) -> Source:
  """Drawings of characters, by row of a table of bytes.

  Args:
    d: Pixels of a drawing.
    classes: Characters in the tables of training and of test.
    members: Drawings of a character.
    turns: 4 makes quarter turns of training's characters classes of their own.

  Returns:
    A `Source` whose data are a `Data`.

  Raises:
    ValueError: If a size is out of range; when tasks are asked for, if there
      are too few classes or drawings.
  """
  check_sizes(d=d, members=members)
  if turns not in (1, 4):
    raise ValueError(f'turns is {turns}, expected 1 or 4')
  if turns == 4 and (d % 2 or math.isqrt(d) ** 2 != d):
    raise ValueError(
      f'd is {d}, expected the square of an even number for turns=4'
    )

  def check(sizes: Sizes) -> None:
    need = sizes.shots + sizes.queries
    if members < need:
      raise ValueError(
        f'shots + queries is {need}, expected at most the {members} drawings '
        'of a class'
      )
    most = min(turns * classes[0], classes[1])
    if most < sizes.ways:
      raise ValueError(
        f'ways is {sizes.ways}, expected at most the {most} classes'
      )

  def sample(key: Key[Array, ''], data: Any, sizes: Sizes, hp: Any, dtype: Any):
    del hp, dtype
    if data is None:
      raise TypeError('episodes of drawings need `data`, expected a Data')
    _, key_tasks = jax.random.split(key)
    judged = tasks_lib.episodes(
      key_tasks, classes[1], members, **sizes._asdict()
    )
    # What numpy holds cannot be indexed by a tracer.
    return Data(*map(jnp.asarray, data)), judged

  def draw(key: Key[Array, ''], data: Data, sizes: Sizes, hp: Any, dtype: Any):
    del hp
    rows = tasks_lib.episodes(
      key, turns * classes[0], members, **sizes._asdict()
    )
    return _drawn(data.train, rows, turns, sizes, dtype), rows

  def show(data: Data, judged: Episodes, sizes: Sizes, dtype: Any) -> Shown:
    return _drawn(data.test, judged, 1, sizes, dtype), judged

  return Source(d, check, sample, draw, show, turns=turns)


def _drawn(
  rows_of: Any, rows: Episodes, turns: int, sizes: Sizes, dtype: DTypeLike
) -> Tasks:
  x, x_query = (drawings.pixels(rows_of, r, turns, dtype) for r in rows)
  tasks = len(x)
  return Tasks(
    x,
    tasks_lib.labels(tasks, sizes.ways, sizes.shots),
    x_query,
    tasks_lib.labels(tasks, sizes.ways, sizes.queries),
  )
