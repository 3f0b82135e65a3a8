"""Bounds on the least norm, computed from a solution alone.

For any norm with dual ‖·‖°, multipliers λ with λ_r ≥ 0 on inequalities, and any
W that satisfies all rows,

    bᵀλ ≤ Σ λ_r ⟨A_r, W⟩ = ⟨Σ λ_r A_r, W⟩ ≤ ‖Σ λ_r A_r‖° ‖W‖ ,

so that bᵀλ / ‖Σ λ_r A_r‖° bounds the norm of every solution from below. The
bound proves optimality where a solution attains it, and infeasibility where it
has no end: Σ λ_r A_r = 0 with bᵀλ > 0 (Farkas).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from framework.maths.margin.norms import norm_named
from framework.maths.margin.rows import Constraints, combine, margins

__all__ = [
  'Certificate',
  'Solution',
  'certify',
  'farkas_residual',
  'limits',
]


class Certificate(NamedTuple):
  """Bounds on the least norm, and what is proved.

  Neither feasible nor infeasible: nothing is proved, the problem is too close
  to the edge for the precision. A feasible W with a gap that is not small
  satisfies all rows but is not known to be the smallest.
  """

  primal: Float[Array, '']  # ‖W‖: an upper bound; inf where no W is found
  dual: Float[Array, '']  # bᵀλ / ‖Σ λ_r A_r‖°: a lower bound
  gap: Float[Array, '']  # (primal − dual) / primal; inf where no W is found
  margin: Float[Array, '']  # the least margin ⟨A_r, W⟩ of an inequality
  violation: Float[Array, '']  # the most by which a row is missed
  farkas: Float[Array, '']  # ‖Σ λ_r A_r‖_F / (bᵀλ max ‖A_r‖_F)
  feasible: Bool[Array, '']  # W satisfies all rows
  infeasible: Bool[Array, '']  # no W below 1 / (farkas max ‖A_r‖_F) does
  iterations: Int[Array, '']


class Solution(NamedTuple):
  """The matrix of least norm, its multipliers, and their worth."""

  W: Float[Array, 'd q']  # NaN unless the certificate says feasible
  multipliers: Float[Array, ' m']  # a Farkas ray where it says infeasible
  certificate: Certificate


def limits(dtype: jnp.dtype) -> tuple[float, float]:
  """(violation of a row still called rounding, farkas that proves)."""
  if jnp.dtype(dtype) == jnp.float64:
    return 1e-8, 1e-8
  return 1e-3, 1e-4


def row_size(rows: Constraints) -> Float[Array, '']:
  """Largest row: max ‖A_r‖_F = max ‖d_r‖ ‖z_r‖."""
  square = jnp.sum(rows.D**2, 1) * jnp.sum(rows.Z**2, 1)
  return jnp.sqrt(jnp.max(square, initial=0))


def farkas_residual(
  multipliers: Float[Array, ' m'], rows: Constraints
) -> Float[Array, '']:
  """‖Σ λ_r A_r‖_F / (bᵀλ max ‖A_r‖_F); infinite where bᵀλ is not positive."""
  value = rows.bound @ multipliers
  size = jnp.sqrt(jnp.sum(combine(multipliers, rows) ** 2))
  total = value * jnp.maximum(row_size(rows), jnp.finfo(value.dtype).tiny)
  return jnp.where(value > 0, size / jnp.where(value > 0, total, 1), jnp.inf)


def certify(
  W: Float[Array, 'd q'],
  multipliers: Float[Array, ' m'],
  rows: Constraints,
  norm: str,
  iterations: Int[Array, ''] | int = 0,
) -> Solution:
  """Rescales W to the edge of the feasible set and bounds its norm.

  Args:
    W: A candidate.
    multipliers: Candidates for λ; their signs are put right.
    rows: The constraints.
    norm: Which norm is least, a key of `norms.NORMS`.
    iterations: What the solver took.

  Returns:
    W as rescaled, NaN if it misses a row; λ scaled so that bᵀλ = ‖W‖_F² in the
    Frobenius norm and ‖Σ λ_r A_r‖° = 1 in others.

  Raises:
    ValueError: If there is no such norm.

  >>> from framework.maths.margin.rows import constraints
  >>> rows = constraints(jnp.eye(2), jnp.ones((2, 1)))
  >>> W = jnp.array([[2.0], [2.0]])
  >>> solution = certify(W, jnp.ones(2), rows, 'frobenius')
  >>> print(solution.W.T, solution.certificate.gap.round(6))
  [[1. 1.]] 0.0
  """
  value, dual_value = norm_named(norm)
  inequality = rows.present & ~rows.equality
  strict = inequality & (rows.bound > 0)
  ratio = margins(W, rows) / jnp.where(strict, rows.bound, 1)
  least = jnp.min(jnp.where(strict, ratio, jnp.inf), initial=jnp.inf)
  # Scaling keeps homogeneous rows only.
  free = jnp.all(jnp.where(rows.equality, rows.bound, 0) == 0)
  free &= (least > 0) & jnp.isfinite(least)
  W = jnp.where(free, W / jnp.where(free, least, 1), W)
  margin = margins(W, rows)
  missed = jnp.where(
    rows.equality, jnp.abs(margin - rows.bound), rows.bound - margin
  )
  missed = jnp.max(jnp.where(rows.present, missed, 0), initial=0)
  missed = jnp.maximum(missed, 0)
  allowed, proof = limits(W.dtype)
  highest = jnp.max(jnp.abs(rows.bound), initial=0)
  feasible = missed <= allowed * jnp.where(highest > 0, highest, 1)

  lam = jnp.where(inequality, jnp.maximum(multipliers, 0), multipliers)
  lam = jnp.where(rows.present & jnp.isfinite(lam), lam, 0)
  farkas = farkas_residual(lam, rows)
  total, length = rows.bound @ lam, dual_value(combine(lam, rows))
  some = (total > 0) & (length > 0)
  bound = jnp.where(some, total / jnp.where(some, length, 1), 0)
  bound = jnp.where((total > 0) & (length == 0), jnp.inf, bound)
  infeasible = ~feasible & (farkas <= proof)
  scale = jnp.where(some, length, 1)
  scale = scale / bound if norm == 'frobenius' else scale
  usable = some & ~infeasible
  lam = jnp.where(usable, lam / jnp.where(usable, scale, 1), lam)

  primal = jnp.where(feasible, value(jnp.where(feasible, W, 0)), jnp.inf)
  gap = (primal - bound) / jnp.where(primal > 0, primal, 1)
  inf = jnp.asarray(jnp.inf, W.dtype)
  least = jnp.min(jnp.where(inequality, margin, inf), initial=jnp.inf)
  certificate = Certificate(
    primal=primal,
    dual=bound,
    gap=jnp.where(feasible, jnp.where(primal > 0, gap, 0), inf),
    margin=least,
    violation=missed,
    farkas=farkas,
    feasible=feasible,
    infeasible=infeasible,
    iterations=jnp.asarray(iterations),
  )
  return Solution(jnp.where(feasible, W, jnp.nan), lam, certificate)
