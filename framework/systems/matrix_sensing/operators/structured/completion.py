"""Matrix completion: measurements are entries of the matrix.

    A(Z)_i = √(n₁n₂/m) Z_{r_i c_i},   so that E‖A(Z)‖² = ‖Z‖_F² over the places

Two forms of one map. `Entries` looks at the known entries alone, through lists
of equal length for each row and each column: gathers and no scatter. `Masked`
makes the whole matrix and multiplies by zeros and ones: more arithmetic, all of
it in matrix products. The known entries are in the order of rows in both.

References:
  Candès, Recht, "Exact matrix completion via convex optimization", 2009.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from framework.systems.matrix_sensing.operators.base import pytree
from framework.systems.matrix_sensing.operators.structured.factored import (
  Factored,
)

__all__ = ['Entries', 'Masked', 'completion', 'entries', 'masked']

# Measured: from this share of known entries on the whole matrix is quicker.
_DENSE = 0.1


class Sides(NamedTuple):
  """The known entries by rows, or by columns, padded to equal lengths."""

  other: Int[Array, 'n d']  # the column (row) of each; 0 where there is none
  place: Int[Array, 'n d']  # which measurement it is; m where there is none


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
    return self.scale * jnp.sum(F[self.rows] * G[self.columns], axis=1)

  def adjoint_products(self, z, F, G):
    """(D G, DᵀF) with D = A*(z)."""
    # A place beyond the last measurement is filled with zero.
    z = self.scale * z

    def product(side, G):
      weights = z.at[side.place].get(mode='fill', fill_value=0)
      return jnp.einsum('nd,ndk->nk', weights, G[side.other])

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


@pytree('rows', 'columns', 'known')
@dataclasses.dataclass(frozen=True)
class Masked(_Known):
  """Known entries, from the whole matrix; the same map as `Entries`."""

  known: Float[Array, 'n1 n2']  # 1 where an entry is known, 0 elsewhere

  def normal(self, Z):
    """A*A(Z): a product, no gather."""
    D = self.scale**2 * self.known.astype(Z.dtype) * Z
    return (D + D.T) / 2 if self.symmetric else D

  def energy(self, E):
    """‖A(E)‖²."""
    return self.scale**2 * jnp.sum(self.known.astype(E.dtype) * E**2)

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
  known = np.zeros(shape, np.float32)
  known[rows, columns] = 1
  return Masked(
    shape, symmetric, jnp.array(rows), jnp.array(columns), jnp.array(known)
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
  'entries: 0.25 % are known, below 10 % a gather reads less'
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
  """Lists of equal length, one for each value of a sorted index."""
  m = len(index)
  counts = np.bincount(index, minlength=n)
  starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
  column = np.arange(m) - starts[index]
  others = np.zeros((n, max(int(counts.max()), 1)), np.int32)
  places = np.full(others.shape, m, np.int32)
  others[index, column], places[index, column] = other, place
  return Sides(jnp.array(others), jnp.array(places))
