"""Matrix completion: measurements are entries of the matrix.

    A(Z)_i = √(n₁n₂/m) Z_{r_i c_i},   so that E‖A(Z)‖² = ‖Z‖_F² over the places

Two forms of one map. `Entries` looks at the known entries alone, through lists
of equal length for the rows and for the columns: gathers and no scatter.
`Masked` makes the whole matrix: more arithmetic, all of it in matrix products.
The known entries are in the order of rows in both.

References:
  Candès, Recht, "Exact matrix completion via convex optimization", 2009.
"""

import dataclasses
import operator
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from framework.systems.matrix_sensing.operators.base import pytree
from framework.systems.matrix_sensing.operators.structured.factored import (
  Factored,
)

__all__ = ['Entries', 'Masked', 'completion', 'entries', 'masked']

# Measured: from this share of known entries on the whole matrix is quicker.
_DENSE = 0.3


_LENGTH = 32  # of a list; a row takes as many lists as it needs
_COLUMNS = 16  # of a factor, summed side by side: as many registers
_UNROLL = 5  # columns of a pass over the residuals


class Sides(NamedTuple):
  """The known entries by rows, or by columns, in lists of equal length.

  A row has one list or more, whose sums are added up by lists of lists, until
  there is one sum a row: a row of many entries makes no other longer.
  """

  other: Int[
    Array, 'lists d'
  ]  # the column (row) of each; 0 where there is none
  # Which measurement it is, then which sum of the lists before; one beyond the
  # last where there is none.
  places: tuple[Int[Array, '_ _'], ...]


@dataclasses.dataclass(frozen=True)
class _Known(Factored):
  """Entries at known places, in the order of rows: what both forms share."""

  rows: Int[Array, ' m']
  columns: Int[Array, ' m']

  @property
  def size(self) -> int:
    """Measurements m."""
    return self.rows.shape[0]

  @property
  def scale(self) -> float:
    """√(n₁n₂/m)."""
    return float(np.sqrt(self.shape[0] * self.shape[1] / self.size))

  def forward(self, Z):
    """A(Z)."""
    return self.scale * Z[self.rows, self.columns]

  def adjoint(self, z):
    """A*(z)."""
    D = jnp.zeros(self.shape, z.dtype)
    D = D.at[self.rows, self.columns].set(
      self.scale * z, unique_indices=True, indices_are_sorted=True
    )
    return (D + D.T) / 2 if self.symmetric else D


@pytree('rows', 'columns', 'by_row', 'by_column')
@dataclasses.dataclass(frozen=True)
class Entries(_Known):
  """Known entries, gathered: reads O(mk) numbers for factors of k columns.

  >>> import numpy as np, jax.numpy as jnp
  >>> operator = entries(np.array([0, 1]), np.array([1, 0]), (2, 2))
  >>> Z = jnp.array([[1.0, 2.0], [3.0, 4.0]])
  >>> print((operator.forward(Z) / 2**0.5).round(6))
  [2. 3.]
  """

  by_row: Sides
  by_column: Sides

  def forward_factors(self, F, G):
    """A(FGᵀ)."""
    f, g = F.T, G.T

    # A loop, because XLA on a CPU would compute what is gathered here anew
    # wherever the residuals are read, for each column of the factors.
    def add(j, z):
      return z + _take(f[j], self.rows) * _take(g[j], self.columns)

    z = jnp.zeros(self.size, jnp.result_type(F, G))
    unroll = min(_UNROLL, len(f))
    return self.scale * jax.lax.fori_loop(0, len(f), add, z, unroll=unroll)

  def adjoint_products(self, z, F, G):
    """(D G, DᵀF) with D = A*(z)."""
    z = self.scale * z

    def product(side, G):
      first, *others = side.places
      weights, columns = _filled(z, first), []
      for j in range(0, G.shape[1], _COLUMNS):
        sums = _row_sums(
          [weights * _take(g, side.other) for g in G.T[j : j + _COLUMNS]]
        )
        for place in others:
          sums = _row_sums([_filled(x, place) for x in sums])
        columns += sums
      return jnp.stack(columns, 1)

    DG, DtF = product(self.by_row, G), product(self.by_column, F)
    if not self.symmetric:
      return DG, DtF
    if F is G:
      mean = (DG + DtF) / 2
      return mean, mean
    return (
      (DG + product(self.by_column, G)) / 2,
      (DtF + product(self.by_row, F)) / 2,
    )


@pytree('rows', 'columns', 'place')
@dataclasses.dataclass(frozen=True)
class Masked(_Known):
  """Known entries, from the whole matrix; the same map as `Entries`."""

  place: Int[Array, 'n1 n2']  # which measurement; m where there is none

  def adjoint(self, z):
    """A*(z): a gather, which is quicker than a scatter."""
    D = self.scale * _filled(z, self.place)
    return (D + D.T) / 2 if self.symmetric else D

  def normal(self, Z):
    """A*A(Z): a product, no gather."""
    D = self.scale**2 * jnp.where(self.place < self.size, Z, 0)
    return (D + D.T) / 2 if self.symmetric else D

  def energy(self, E):
    """‖A(E)‖²."""
    return self.scale**2 * jnp.sum(jnp.where(self.place < self.size, E**2, 0))

  def forward_factors(self, F, G):
    """A(FGᵀ)."""
    return self.forward(F @ G.T)

  def adjoint_products(self, z, F, G):
    """(D G, DᵀF) with D = A*(z)."""
    D = self.adjoint(z)
    return D @ G, D.T @ F


def entries(
  rows: np.ndarray,
  columns: np.ndarray,
  shape: tuple[int, int],
  symmetric: bool = False,
) -> Entries:
  """The gathered form; on the host.

  Args:
    rows: Row of each known entry.
    columns: Its column. Pairs in the order of rows, none twice.
    shape: (n₁, n₂).
    symmetric: Whether an entry stands for the symmetric part of its A_i.

  Returns:
    The operator.

  Raises:
    ValueError: If an entry is out of the matrix, or known twice.
  """
  rows, columns = _places(rows, columns, shape)
  m = len(rows)
  by_row = _sides(rows, columns, np.arange(m), shape[0])
  order = np.argsort(columns, kind='stable')
  by_column = _sides(columns[order], rows[order], order, shape[1])
  return Entries(
    shape, symmetric, jnp.array(rows), jnp.array(columns), by_row, by_column
  )


def masked(
  rows: np.ndarray,
  columns: np.ndarray,
  shape: tuple[int, int],
  symmetric: bool = False,
) -> Masked:
  """The form with a mask; arguments and errors as for `entries`."""
  rows, columns = _places(rows, columns, shape)
  place = np.full(shape, len(rows), np.int32)
  place[rows, columns] = np.arange(len(rows))
  return Masked(
    shape, symmetric, jnp.array(rows), jnp.array(columns), jnp.array(place)
  )


def completion(
  rows: np.ndarray,
  columns: np.ndarray,
  shape: tuple[int, int],
  symmetric: bool = False,
) -> tuple[Entries | Masked, str]:
  """The quicker form for this share of known entries, and why.

  Args:
    rows: As for `entries`.
    columns: As there.
    shape: (n₁, n₂).
    symmetric: As there.

  Returns:
    (the operator, the reason).

  >>> completion(np.array([0]), np.array([3]), (20, 20))[1]
  'entries: 0.25 % are known, below 30 % a gather reads less'
  """
  share = len(rows) / (shape[0] * shape[1])
  known = f'{100 * share:.3g} % are known'
  if share < _DENSE:
    why = f'entries: {known}, below {100 * _DENSE:.0f} % a gather reads less'
    return entries(rows, columns, shape, symmetric), why
  why = f'masked: {known}, from {100 * _DENSE:.0f} % on products are quicker'
  return masked(rows, columns, shape, symmetric), why


def _places(
  rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
  """Both as int32; refuses what is no list of different places in order."""
  rows, columns = (np.asarray(x) for x in (rows, columns))
  if rows.shape != columns.shape or rows.ndim != 1 or not rows.size:
    raise ValueError(
      f'places have shapes {rows.shape} and {columns.shape}, expected one (m,)'
    )
  flat = rows.astype(np.int64) * shape[1] + columns
  inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0)
  if not np.all(inside & (columns < shape[1])):
    raise ValueError(f'a place is outside of {shape[0]} x {shape[1]}')
  if np.any(np.diff(flat) <= 0):
    raise ValueError('places are to be in the order of rows, none twice')
  return rows.astype(np.int32), columns.astype(np.int32)


def _sides(
  index: np.ndarray, other: np.ndarray, place: np.ndarray, n: int
) -> Sides:
  """Lists of equal length for the values of a sorted index, below n."""
  others, places = None, []
  while True:
    counts = np.bincount(index, minlength=n)
    length = min(_LENGTH, max(int(counts.max()), 1))
    lists = np.maximum(-(-counts // length), 1)  # of each row
    before = np.cumsum(lists) - lists
    nth = np.arange(len(index)) - (np.cumsum(counts) - counts)[index]
    at = before[index] + nth // length, nth % length
    table = np.full((lists.sum(), length), len(index), np.int32)
    table[at] = place
    places.append(jnp.array(table))
    if others is None:
      others = np.zeros(table.shape, np.int32)
      others[at] = other
    if lists.max() == 1:
      return Sides(jnp.array(others), tuple(places))
    index = np.repeat(np.arange(n), lists)
    place = np.arange(len(index))


def _take(x: Array, index: Array) -> Array:
  """Elements at places of ours, which XLA need not clamp."""
  return x.at[index].get(mode='promise_in_bounds')


def _filled(x: Array, place: Array) -> Array:
  """Elements at places, 0 for one beyond the last."""
  return x.at[place].get(mode='fill', fill_value=0)


def _row_sums(xs: Sequence[Array]) -> list[Array]:
  """Sums of rows in one pass: each alone would read the places anew."""
  zeros = tuple(jnp.zeros((), x.dtype) for x in xs)

  def add(sums, more):
    return tuple(map(operator.add, sums, more))

  return list(jax.lax.reduce(tuple(xs), zeros, add, (1,)))
