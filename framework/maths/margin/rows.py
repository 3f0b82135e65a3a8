"""Linear constraints on a matrix, each of rank one.

Row r asks of the matrix W that

    ⟨A_r, W⟩ = d_rᵀ W z_r  ≥ b_r   (or = b_r),    A_r = d_r z_rᵀ.

With z_r = 1 these are constraints on a vector. The matrices A_r are never
formed: all that a solver needs is G = (D Dᵀ) ∘ (Z Zᵀ), the Gram matrix of the
rows, and sums Σ λ_r A_r = Dᵀ diag(λ) Z. Rows that are not `present` ask
nothing, so that ragged problems fit one program.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

__all__ = [
  'Constraints',
  'combine',
  'concatenate',
  'constraints',
  'gram',
  'margins',
]


class Constraints(NamedTuple):
  """d_rᵀ W z_r ≥ b_r, or = b_r, for the rows that are present."""

  D: Float[Array, 'm d']
  Z: Float[Array, 'm q']
  bound: Float[Array, ' m']
  equality: Bool[Array, ' m']
  present: Bool[Array, ' m']


def constraints(
  D: Float[Array, 'm d'],
  Z: Float[Array, 'm q'],
  bound: Float[Array, ' m'] | float = 1.0,
  equality: Bool[Array, ' m'] | bool = False,
  present: Bool[Array, ' m'] | bool = True,
) -> Constraints:
  """Rows from their factors.

  Args:
    D: Left factors d_r, as rows.
    Z: Right factors z_r, as rows.
    bound: b_r, not negative for an inequality.
    equality: Whether the row is an equation.
    present: Whether the row is there at all; others may hold anything.

  Returns:
    The rows, zero where absent.

  Raises:
    ValueError: If shapes do not fit.

  >>> rows = constraints(jnp.eye(2), jnp.ones((2, 1)))
  >>> print(margins(jnp.array([[1.0], [3.0]]), rows))
  [1. 3.]
  """
  D, Z = jnp.asarray(D), jnp.asarray(Z)
  if D.ndim != 2 or Z.ndim != 2 or len(D) != len(Z):
    raise ValueError(
      f'D and Z have shapes {D.shape} and {Z.shape}, expected (m, d) and (m, q)'
    )
  m, dtype = len(D), jnp.result_type(D, Z, jnp.float32)
  try:
    there = jnp.broadcast_to(jnp.asarray(present, bool), (m,))
    equal = jnp.broadcast_to(jnp.asarray(equality, bool), (m,))
    b = jnp.broadcast_to(jnp.asarray(bound, dtype), (m,))
  except ValueError as error:
    raise ValueError(
      f'bound, equality, present do not fit {m} rows: {error}'
    ) from None
  return Constraints(
    jnp.where(there[:, None], D, 0).astype(dtype),
    jnp.where(there[:, None], Z, 0).astype(dtype),
    jnp.where(there, b, 0),
    equal & there,
    there,
  )


def concatenate(*parts: Constraints) -> Constraints:
  """All rows of all parts.

  >>> rows = constraints(jnp.eye(2), jnp.ones((2, 1)))
  >>> concatenate(rows, rows).D.shape
  (4, 2)
  """
  return Constraints(
    *(jnp.concatenate(field) for field in zip(*parts, strict=True))
  )


def margins(W: Float[Array, 'd q'], rows: Constraints) -> Float[Array, ' m']:
  """⟨A_r, W⟩ = d_rᵀ W z_r, zero for absent rows."""
  return jnp.sum((rows.D @ W) * rows.Z, 1)


def combine(
  multipliers: Float[Array, ' m'], rows: Constraints
) -> Float[Array, 'd q']:
  """Σ_r λ_r A_r = Dᵀ diag(λ) Z."""
  return (rows.D * multipliers[:, None]).T @ rows.Z


def gram(rows: Constraints) -> Float[Array, 'm m']:
  """G_rs = ⟨A_r, A_s⟩ = ⟨d_r, d_s⟩ ⟨z_r, z_s⟩.

  >>> print(gram(constraints(jnp.eye(2), jnp.ones((2, 1)))))
  [[1. 0.]
   [0. 1.]]
  """
  return (rows.D @ rows.D.T) * (rows.Z @ rows.Z.T)
