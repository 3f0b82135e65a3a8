"""The hard-margin problem: the matrix of least norm with given margins.

    W = argmin ‖W‖  s.t.  ⟨A_r, W⟩ ≥ b_r  (or = b_r)

in the Frobenius, nuclear, spectral, l1 or linf norm. Every solution carries
bounds that prove it: see `certificate`. In the Frobenius norm rows are pivoted
first (`active_set`), and the interior-point method is for what that does not
solve to the same tolerance; in the others it does all. All functions are
unbatched, to be vmapped; on a CPU a batch is a loop, in which each problem
stops by itself.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from framework.maths import linalg
from framework.maths.linalg import one_by_one
from framework.maths.margin import interior_point
from framework.maths.margin.certificate import Solution, certify
from framework.maths.margin.norms import norm_named
from framework.maths.margin.programs import PROGRAMS
from framework.maths.margin.rows import Constraints, combine, gram, margins

__all__ = ['least_norm', 'neighbours', 'svm']


def svm(
  rows: Constraints,
  norm: str = 'frobenius',
  queries: int | None = None,
  max_iterations: int = 60,
) -> Solution:
  """The matrix of least norm that satisfies all rows.

  W is unique in the Frobenius norm; in others it may not be, and is then one of
  the solutions. In the Frobenius norm all is differentiable, once or more:
  through the equations of the active rows, so where no row is active with a
  zero multiplier and dependent active rows stay dependent. In other norms the
  least norm alone is: `least_norm`.

  Args:
    rows: The constraints.
    norm: 'frobenius', 'nuclear', 'spectral', 'l1' or 'linf'.
    queries: How many different queries the rows have at most, if known: in
      unitarily invariant norms problems then shrink to so many columns.
    max_iterations: Steps of the interior-point method at most. Pivots, which
      the certificate counts as well, have a bound of their own.

  Returns:
    W, NaN unless feasible; multipliers; certificate. In the Frobenius norm
    W = Σ λ_r A_r; in others ‖Σ λ_r A_r‖° = 1.

  Raises:
    ValueError: If there is no such norm, or a count is not positive.

  >>> from framework.maths.margin.rows import constraints
  >>> rows = constraints(jnp.eye(2), jnp.ones((2, 1)))
  >>> solution = svm(rows)
  >>> print(solution.W.T.round(4), solution.certificate.feasible)
  [[1. 1.]] True
  >>> opposite = constraints(jnp.array([[1.0], [-1.0]]), jnp.ones((2, 1)))
  >>> print(svm(opposite).W, svm(opposite).certificate.infeasible)
  [[nan]] True
  """
  norm_named(norm)
  for name, count in (('queries', queries), ('max_iterations', max_iterations)):
    if count is not None and count < 1:
      raise ValueError(f'{name} is {count}, expected an integer >= 1')
  if not len(rows.D):
    raise ValueError('rows are 0, expected at least one')
  return _differentiable(norm, queries, max_iterations)(*rows)


@functools.lru_cache
def _solver(norm: str, queries: int | None, max_iterations: int) -> Callable:
  """Fields of constraints -> solution."""

  def run(*fields):
    rows = Constraints(*fields)
    scaled, size = _normalised(rows)
    spans: Any = None
    if norm in ('nuclear', 'spectral'):
      # W lives between the spans of differences and queries.
      D, left = _span(scaled.D, None)
      Z, right = _span(scaled.Z, queries)
      spans, scaled = (left, right), scaled._replace(D=D, Z=Z)
    posed = PROGRAMS[norm](scaled)
    it = interior_point.solve(
      posed.program, posed.start, max_iterations, posed.guess
    )
    W, multipliers = posed.read(it)
    if spans is not None:
      W = spans[0] @ W @ spans[1].T
    W = jnp.where(jnp.any(rows.bound != 0), W * size, 0)
    return certify(W, multipliers, rows, norm, it.iterations)

  return jax.jit(one_by_one(run))


def _normalised(rows: Constraints) -> tuple[Constraints, Array]:
  """Rows of size one at most, and what their W is to be multiplied with."""

  def size(F):
    largest = jnp.sqrt(jnp.max(jnp.sum(F**2, 1), initial=0))
    return jnp.where(largest > 0, largest, 1)

  d, z = size(rows.D), size(rows.Z)
  b = jnp.max(jnp.abs(rows.bound), initial=0)
  b = jnp.where(b > 0, b, 1)
  scaled = rows._replace(D=rows.D / d, Z=rows.Z / z, bound=rows.bound / b)
  return scaled, b / d / z


def _span(
  F: Float[Array, 'm k'], rank: int | None
) -> tuple[Float[Array, 'm r'], Float[Array, 'k r']]:
  """Rows in an orthonormal basis of their span, and the basis.

  Columns of the basis that the rows do not need are zero.
  """
  m, k = F.shape
  rank = min(m, k) if rank is None else min(m, k, rank)
  _, values, Vt = linalg.svd(F)
  needed = values > max(m, k) * jnp.finfo(F.dtype).eps * values[0]
  basis = jnp.where(needed, 1, 0)[None, :rank] * Vt[:rank].T
  return F @ basis, basis


@functools.lru_cache
def _differentiable(
  norm: str, queries: int | None, max_iterations: int
) -> Callable:
  """The solver with the derivative of its solution."""
  solver = _solver(norm, queries, max_iterations)

  @jax.custom_jvp
  def solve(*fields):
    return solver(*fields)

  @solve.defjvp
  def _(primals, tangents):
    if norm != 'frobenius':
      raise NotImplementedError(
        f'the solution in norm {norm!r} has no derivative here, only that in '
        "'frobenius'; `least_norm` has one in every norm"
      )
    solution = solve(*primals)
    return solution, _derivative(Constraints(*primals), solution, tangents)

  return solve


def _derivative(rows, solution, tangents):
  """d(λ, W) where G_SS λ_S = b_S for the active rows S."""
  W, lam, certificate = solution
  dD, dZ, db = tangents[:3]
  slack = margins(W, rows) - rows.bound
  size = jnp.sum(rows.D**2, 1) * jnp.sum(rows.Z**2, 1)
  active = rows.equality | (rows.present & (lam * size > slack))
  both = active[:, None] & active[None]
  G = jnp.where(both, gram(rows), 0)
  ridge = 30 * jnp.finfo(G.dtype).eps * jnp.diagonal(G)
  G += jnp.diag(jnp.where(active, ridge, 1))
  # The inverse, so that what acts on tangents is a product: it transposes.
  inverse = linalg.solve_spd(G, jnp.eye(len(G), dtype=G.dtype))

  def gram_times(D, Z, b):
    return b - gram(rows._replace(D=D, Z=Z)) @ lam

  given = (rows.D, rows.Z, rows.bound)
  right = jax.jvp(gram_times, given, (dD, dZ, db))[1]
  dlam = inverse @ jnp.where(active, right, 0)

  def matrix(lam, D, Z):
    return combine(lam, rows._replace(D=D, Z=Z))

  dW = jax.jvp(matrix, (lam, rows.D, rows.Z), (dlam, dD, dZ))[1]
  found = certificate.feasible
  dW = jnp.where(found, dW, jnp.nan)
  length = jnp.where(found & (certificate.primal > 0), certificate.primal, 1)
  dnorm = jnp.sum(jnp.where(found, W, 0) * dW) / length
  zeros = jax.tree.map(_no_tangent, certificate)
  return Solution(dW, dlam, zeros._replace(primal=dnorm, dual=dnorm))


def _no_tangent(x):
  if jnp.issubdtype(x.dtype, jnp.floating):
    return jnp.zeros_like(x)
  return np.zeros(x.shape, jax.dtypes.float0)


def least_norm(
  rows: Constraints,
  norm: str = 'frobenius',
  queries: int | None = None,
  max_iterations: int = 60,
) -> Float[Array, '']:
  """‖W‖ of the solution; infinite where none is found. Differentiable, once.

  With multipliers of ‖Σ λ_r A_r‖° = 1, and unique ones, its derivative is

      d‖W‖ = Σ λ_r (db_r − ⟨dA_r, W⟩).

  Args:
    rows: The constraints.
    norm: A norm as in `svm`.
    queries: As in `svm`.
    max_iterations: As in `svm`.

  Returns:
    The least norm.

  Raises:
    ValueError: As `svm`.

  >>> from framework.maths.margin.rows import constraints
  >>> rows = constraints(2 * jnp.eye(1), jnp.ones((1, 1)))
  >>> print(least_norm(rows, 'linf').round(4))
  0.5
  """
  fixed = jax.tree.map(jax.lax.stop_gradient, rows)
  solution = svm(fixed, norm, queries, max_iterations)
  W, lam, certificate = jax.tree.map(jax.lax.stop_gradient, solution)
  if norm == 'frobenius':
    lam = lam / jnp.where(certificate.primal > 0, certificate.primal, 1)
  change = lam @ (rows.bound - margins(W, rows))
  change = jnp.where(certificate.feasible, change, 0)
  return certificate.primal + change - jax.lax.stop_gradient(change)


def neighbours(
  W: Float[Array, 'd q'], rows: Constraints, tolerance: float = 1e-4
):
  """Rows at their bound, margin < b + tolerance: the support vectors.

  Args:
    W: A solution.
    rows: Its constraints.
    tolerance: How near counts; solutions are accurate to 1e-8 or better, and
      for random data the next margin is far.

  Returns:
    (m,) bool, of inequalities that are present.

  >>> from framework.maths.margin.rows import constraints
  >>> rows = constraints(jnp.diag(jnp.array([1.0, 5.0])), jnp.ones((2, 1)))
  >>> print(neighbours(jnp.ones((2, 1)), rows))
  [ True False]
  """
  near = margins(W, rows) < rows.bound + tolerance
  return near & rows.present & ~rows.equality
