"""Pieces that the programs of all norms share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from framework.maths.margin import interior_point as ip
from framework.maths.margin.certificate import farkas_residual, limits
from framework.maths.margin.rows import (
  Constraints,
)

__all__ = [
  'Posed',
  'border',
  'even',
  'inequality',
  'last',
  'matrices',
  'off_diagonal',
  'or_one',
  'proved',
]


class Posed(NamedTuple):
  """A program, where to start it, and how to read its solution."""

  program: ip.Program
  start: ip.Start
  read: Callable[[ip.Iterate], tuple[Float[Array, 'd q'], Float[Array, ' m']]]
  guess: Any = None  # an `ip.Iterate` that may be a solution already


def inequality(rows: Constraints) -> Bool[Array, ' m']:
  """Rows that are present and no equations."""
  return rows.present & ~rows.equality


def proved(rows: Constraints) -> Callable:
  """Whether multipliers prove that no W satisfies the rows."""
  _, proof = limits(rows.D.dtype)
  return lambda lam: farkas_residual(lam, rows) <= 0.1 * proof


def even(rows: Constraints) -> Float[Array, ' m']:
  """λ with bᵀλ = 1, the same for all inequalities."""
  lam = jnp.where(inequality(rows), 1, jnp.sign(rows.bound))
  total = rows.bound @ lam
  return lam / jnp.where(total > 0, total, 1)


def or_one(b: Float[Array, ' m']) -> Float[Array, ' m']:
  """A positive slack for every bound: the bound itself where it is."""
  return jnp.where(b > 0, b, 1)


def last(k: int, value: float, like: Float[Array, '...']) -> Float[Array, ' k']:
  """(0, ..., 0, value)."""
  return jnp.zeros(k, like.dtype).at[-1].set(value)


def border(
  block: Float[Array, 'k k'],
  side: Float[Array, ' k'],
  corner: Float[Array, ''] | float = 0.0,
) -> Float[Array, 'l l']:
  """The block with one more row and column."""
  corner = jnp.full((1, 1), corner, block.dtype)
  return jnp.block([[block, side[:, None]], [side[None], corner]])


def off_diagonal(M: Float[Array, 'd q']) -> Float[Array, 'N N']:
  """[[0, M], [Mᵀ, 0]]."""
  d, q = M.shape
  return jnp.block(
    [[jnp.zeros((d, d), M.dtype), M], [M.T, jnp.zeros((q, q), M.dtype)]]
  )


def matrices(rows: Constraints) -> Float[Array, 'm k']:
  """The A_r themselves, flattened."""
  return (rows.D[:, :, None] * rows.Z[:, None, :]).reshape(len(rows.D), -1)
