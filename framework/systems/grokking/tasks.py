"""Tasks of a run: some rows of a table are learnt, and the rest is tested.

A task is the `sample` of a `System`, (key, hp[, data]) -> problem, a dict of
arrays, so that `framework.supervised` takes it as well:

    x, y            the training rows        x_test, y_test    all others

With a `Data` a stored table or split is taken instead of a drawn one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from framework.systems.grokking import tables
from framework.systems.grokking.tables import Table

__all__ = [
  'Data',
  'Split',
  'Task',
  'keyed_split',
  'modular',
  'parity',
  'stored_split',
  'subset',
  'train_size',
]

Task = Callable[..., dict[str, Array]]  # (key, hp[, data]) -> problem


class Split(NamedTuple):
  """Row numbers of a table."""

  train: Any
  test: Any


class Data(NamedTuple):
  """Shared arrays: an own table, a stored split, or both."""

  table: Table | None = None
  split: Split | None = None


def modular(
  modulus: int,
  operation: str = 'add',
  encoding: str = 'token',
  *,
  lowest: int = 0,
  train_fraction: float = 0.75,
  dtype: Any = jnp.float32,
) -> Task:
  """X ∘ y mod p: every seed learns another part of the table of all pairs.

  Args:
    modulus: As in `tables.modular_table`.
    operation: As there.
    encoding: As there; tokens are what `MLP` with a modulus and transformers
      take.
    lowest: As there.
    train_fraction: Share of the pairs to learn.
    dtype: Of features; tokens are int32.

  Returns:
    (key, hp[, data]) -> problem.

  Raises:
    ValueError: If an argument is out of range.

  >>> problem = modular(5, train_fraction=0.6)(jax.random.key(0), None)
  >>> problem['x'].shape, problem['y_test'].shape
  ((15, 2), (10,))
  """
  table = tables.modular_table(modulus, operation, encoding, lowest=lowest)
  size = train_size(len(table.y), train_fraction)
  return _task(lambda key: table, _drawn(size), dtype)


def parity(
  k: int = 3,
  bits: int = 43,
  rows: int = 2000,
  *,
  train_fraction: float = 0.5,
  dtype: Any = jnp.float32,
) -> Task:
  """The parity of the first k bits of random strings, drawn for every seed.

  Args:
    k: As in `tables.sparse_parity`.
    bits: As there.
    rows: As there.
    train_fraction: Share of the strings to learn.
    dtype: Of the bits.

  Returns:
    (key, hp[, data]) -> problem.

  Raises:
    ValueError: If an argument is out of range.
  """
  tables.sparse_parity_check(k, bits, rows)
  size = train_size(rows, train_fraction)

  def table(key: Key[Array, '']) -> Table:
    return Table(*tables.sparse_parity(key, k, bits, rows))

  return _task(table, _drawn(size), dtype)


def subset(train: int, pool: int, *, dtype: Any = jnp.float32) -> Task:
  """A few rows of a table that is given as data, the last rows for testing.

  Args:
    train: Rows to learn, drawn for every seed ...
    pool: ... from the first so many rows of the table; all others are tested.
    dtype: Of features.

  Returns:
    (key, hp, data) -> problem; `data` is a `Data` with a table.

  Raises:
    ValueError: If there are fewer rows to draw from than to draw.
  """
  if not 1 <= train <= pool:
    raise ValueError(
      f'train is {train}, expected 1 <= train <= {pool}, the rows of the table '
      'to train on'
    )

  def split(key: Key[Array, ''], rows: int) -> Split:
    order = jax.random.permutation(key, pool).astype(jnp.int32)
    rest = jnp.arange(pool, rows, dtype=jnp.int32)
    return Split(jnp.sort(order[:train]), rest)

  def table(key: Key[Array, '']) -> Table:
    raise ValueError('no table, expected one in the data of the run')

  return _task(table, split, dtype)


def _drawn(train: int) -> Callable[..., Split]:
  return lambda key, rows: keyed_split(key, rows, train)


def _task(
  table: Callable[..., Table], split: Callable[..., Split], dtype: Any
) -> Task:
  """A task from what draws the table, and what splits it."""

  def sample(key: Key[Array, ''], hp: Any, data: Data | None = None):
    del hp
    data = data or Data()
    key_table, key_split = jax.random.split(key)
    own = data.table or table(key_table)
    train, test = map(
      jnp.asarray, data.split or split(key_split, own.x.shape[0])
    )
    x, y = jnp.asarray(own.x), jnp.asarray(own.y, jnp.int32)
    if jnp.issubdtype(x.dtype, jnp.floating):
      x = x.astype(dtype)
    return {
      'x': x[train],
      'y': y[train],
      'x_test': x[test],
      'y_test': y[test],
    }

  return sample


def train_size(rows: int, fraction: float) -> int:
  """⌊fraction rows⌋ training rows, leaving something on either side.

  Args:
    rows: Rows of the table.
    fraction: Share of them to train on.

  Returns:
    The number of training rows.

  Raises:
    ValueError: If no row is left to train on, or to test.

  >>> train_size(113 * 113, 0.4)
  5107
  """
  size = int(fraction * rows)
  if not 1 <= size < rows:
    raise ValueError(
      f'train fraction {fraction:g} of {rows} rows leaves {size} to train on '
      f'and {rows - size} to test, expected at least 1 of each'
    )
  return size


def keyed_split(key: Key[Array, ''], rows: int, train: int) -> Split:
  """A uniform split; each side in ascending order.

  Args:
    key: Decides it.
    rows: Rows of the table.
    train: Rows to train on, 1 <= train < rows.

  Returns:
    Row numbers, int32.

  Raises:
    ValueError: If a side would be empty.

  >>> split = keyed_split(jax.random.key(0), 4, 3)
  >>> sorted(split.train.tolist() + split.test.tolist())
  [0, 1, 2, 3]
  """
  if not 1 <= train < rows:
    raise ValueError(f'train is {train}, expected 1 <= train < rows = {rows}')
  order = jax.random.permutation(key, rows).astype(jnp.int32)
  return Split(jnp.sort(order[:train]), jnp.sort(order[train:]))


def stored_split(path: str, name: str, rows: int) -> Split:
  """A split stored in an npz file as `<name>_train_idx`.

  Args:
    path: The file.
    name: Of the task, such as 'add_mod'.
    rows: Rows of the table; those that are not named are to test.

  Returns:
    Row numbers, int32, in stored and in ascending order.

  Raises:
    ValueError: If the file or the task is not there, or does not fit.
  """
  try:
    with np.load(path) as stored:
      found = [n.removesuffix('_train_idx') for n in stored.files]
      if f'{name}_train_idx' not in stored.files:
        raise ValueError(
          f'{path} has no split {name}, but {", ".join(sorted(set(found)))}'
        )
      train = stored[f'{name}_train_idx'].astype(np.int32)
  except OSError as error:
    raise ValueError(f'split file {path}: {error.strerror or error}') from None
  if train.size >= rows or np.unique(train).size != train.size:
    raise ValueError(f'{path}: split {name} does not fit {rows} rows')
  if train.min() < 0 or train.max() >= rows:
    raise ValueError(f'{path}: split {name} does not fit {rows} rows')
  return Split(train, np.setdiff1d(np.arange(rows, dtype=np.int32), train))
