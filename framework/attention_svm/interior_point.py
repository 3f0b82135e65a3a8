"""A primal-dual interior-point method for small dense convex programs.

    min ½ yᵀP y + cᵀy   s.t.  B y − h ∈ rows ≥ 0 or = 0,   S(y) ⪰ 0,

with an affine S(y) = S_0 + 𝓕 y. With multipliers z of the rows and X of the
matrix inequality the method follows

    P y + c − Bᵀz − 𝓕*X = 0,   s = B y − h,   s_i z_i = μ,   S X = μ I

to μ → 0 by predictor and corrector (Mehrotra); the matrix part is linearised as
by Helmberg, Kojima, Monteiro (HKM). One step costs one Cholesky factorisation
of the size of y.

References:
  Mehrotra, "On the implementation of a primal-dual interior point method",
  SIAM J. Optim. 2 (1992). Helmberg, Rendl, Vanderbei, Wolkowicz, "An
  interior-point method for semidefinite programming", SIAM J. Optim. 6 (1996).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Bool, Float, Int

from framework.attention_svm.step_length import (
  nearly_to_singular,
  symmetric,
  to_boundary,
  to_singular,
)

__all__ = ['Cone', 'Iterate', 'Program', 'Rows', 'Start', 'solve']

_Y = Float[Array, ' k']
_R = Float[Array, ' p']
_S = Float[Array, 'N N']


class Rows(NamedTuple):
  """B y − h ≥ 0, or = 0; rows of neither kind are ignored."""

  apply: Callable[[_Y], _R]  # B y
  adjoint: Callable[[_R], _Y]  # Bᵀz
  weigh: Callable[[_R], Float[Array, 'k k']]  # Bᵀ diag(w) B
  h: _R
  inequality: Bool[Array, ' p']
  equality: Bool[Array, ' p']


class Cone(NamedTuple):
  """S(y) = S_0 + 𝓕 y ⪰ 0."""

  constant: _S
  apply: Callable[[_Y], _S]  # 𝓕 y
  adjoint: Callable[[_S], _Y]  # 𝓕*X
  schur: Callable[[_S, _S], Float[Array, 'k k']]  # X, S⁻¹ → <𝓕_k, X 𝓕_l S⁻¹>


class Program(NamedTuple):
  """A convex program; `unbounded` stops it: no multiplier will do."""

  P: Any  # Float[Array, 'k k'] or None
  c: _Y
  rows: Rows
  cone: Any  # Cone or None
  unbounded: Callable[[_Y, _R], Bool[Array, '']]


class Iterate(NamedTuple):
  """Where the method is."""

  y: _Y
  s: _R
  z: _R
  X: Any  # a symmetric matrix, None without a cone
  iterations: Int[Array, '']
  done: Bool[Array, '']


class Start(NamedTuple):
  """Where to start: s, z > 0 on inequalities, S(y) ≻ 0, X a multiple of I."""

  y: _Y
  s: _R
  z: _R
  X: float = 0.0


class Tolerance(NamedTuple):
  """When to stop, relative to the objective or, where that is more, to one."""

  complementarity: float
  residual: float


def _tolerance(program: Program) -> Tolerance:
  """What the floating-point type allows; X S⁻¹ loses half the digits."""
  double = program.c.dtype == jnp.float64
  if program.cone is None:
    return Tolerance(1e-13, 1e-11) if double else Tolerance(2e-6, 2e-5)
  return Tolerance(2e-10, 1e-9) if double else Tolerance(1e-5, 1e-4)


def solve(program: Program, start: Start, max_iterations: int) -> Iterate:
  """Follows the central path.

  Args:
    program: The program, scaled so that its data are of order one.
    start: Where to start.
    max_iterations: Steps at most.

  Returns:
    The last iterate. What it is worth, its caller certifies.
  """
  rows = program.rows
  X: Any = None
  if program.cone is not None:
    X = start.X * jnp.eye(len(program.cone.constant), dtype=start.y.dtype)
  first = Iterate(
    start.y,
    jnp.where(rows.inequality, start.s, 0),
    jnp.where(rows.inequality, start.z, 0),
    X,
    jnp.asarray(0),
    jnp.asarray(False),
  )

  def go_on(it: Iterate) -> Bool[Array, '']:
    return ~it.done & (it.iterations < max_iterations)

  return jax.lax.while_loop(go_on, lambda it: _step(program, it), first)


def _step(program: Program, it: Iterate) -> Iterate:
  rows, cone = program.rows, program.cone
  y, s, z, X = it.y, it.s, it.z, it.X
  eps = jnp.finfo(y.dtype).eps
  some = rows.inequality
  degree = jnp.sum(some) + (0 if cone is None else len(X))
  degree = jnp.maximum(degree, 1)
  safe = jnp.where(some, s, 1)

  dual = program.c - rows.adjoint(z)
  if program.P is not None:
    dual += program.P @ y
  residual = jnp.where(some | rows.equality, s - (rows.apply(y) - rows.h), 0)
  # An equation is a row of great weight: multipliers take up what is left.
  weight = jnp.where(rows.equality, eps**-0.5, jnp.where(some, z / safe, 0))
  M = rows.weigh(weight)
  if program.P is not None:
    M += program.P
  S: Any = None
  inverse: Any = None
  factors: Any = None
  if cone is not None:
    S = cone.constant + cone.apply(y)
    LS = jnp.linalg.cholesky(S)
    inverse = cho_solve((LS, True), jnp.eye(len(S), dtype=S.dtype))
    factors = LS, jnp.linalg.cholesky(X)
    dual -= cone.adjoint(X)
    M += cone.schur(X, inverse)
  # Dependent rows make M singular, absent ones leave a zero row.
  diagonal = jnp.diagonal(M)
  M += jnp.diag(jnp.where(diagonal > 0, 30 * eps * diagonal, 1))
  L = jnp.linalg.cholesky(M)

  def direction(target_z, target_X) -> tuple[Any, Any, Any, Any, Any]:
    step_z = jnp.where(some, target_z - z, 0)
    right = -dual + rows.adjoint(step_z + weight * residual)
    if cone is not None:
      right += cone.adjoint(target_X - X)
    dy = cho_solve((L, True), right)
    ds = jnp.where(some, rows.apply(dy) - residual, 0)
    dz = step_z - weight * (rows.apply(dy) - residual)
    dz = jnp.where(some | rows.equality, dz, 0)
    if cone is None:
      return dy, ds, dz, None, None
    dS = cone.apply(dy)
    return dy, ds, dz, dS, target_X - X - symmetric(X @ dS @ inverse)

  def lengths(ds, dz, dS, dX, shorten, to_singular):
    primal, along = to_boundary(s, ds, some), to_boundary(z, dz, some)
    if cone is not None:
      primal = jnp.minimum(primal, to_singular(factors[0], dS))
      along = jnp.minimum(along, to_singular(factors[1], dX))
    if program.P is not None:  # y is in both residuals
      primal = along = jnp.minimum(primal, along)
    return jnp.minimum(1, shorten * primal), jnp.minimum(1, shorten * along)

  def complementarity(s, z, S, X):
    total = jnp.sum(jnp.where(some, s * z, 0))
    return total if cone is None else total + jnp.sum(S * X)

  total = complementarity(s, z, S, X)
  zero = None if cone is None else jnp.zeros_like(X)
  dy, ds, dz, dS, dX = direction(jnp.zeros_like(z), zero)
  a, b = lengths(ds, dz, dS, dX, 1.0, nearly_to_singular)
  ahead = complementarity(
    s + a * ds,
    z + b * dz,
    None if cone is None else S + a * dS,
    None if cone is None else X + b * dX,
  )
  ratio = jnp.clip(ahead / jnp.where(total > 0, total, 1), 0, 1)
  mu = ratio**3 * total / degree
  target_z = jnp.where(some, (mu - ds * dz) / safe, 0)
  target_X = None
  if cone is not None:
    target_X = mu * inverse - symmetric(dX @ dS @ inverse)
  dy, ds, dz, dS, dX = direction(target_z, target_X)
  a, b = lengths(ds, dz, dS, dX, 0.99, to_singular)

  moved = Iterate(
    y + a * dy,
    s + a * ds,
    z + b * dz,
    None if cone is None else X + b * dX,
    it.iterations + 1,
    jnp.asarray(False),
  )
  sound = jnp.all(jnp.isfinite(moved.y)) & jnp.all(jnp.isfinite(moved.z))
  if cone is not None:
    sound &= jnp.all(jnp.isfinite(moved.X))
  objective = program.c @ moved.y
  if program.P is not None:
    objective += 0.5 * moved.y @ (program.P @ moved.y)
  unit = jnp.minimum(jnp.abs(objective), 1)
  left = complementarity(
    moved.s, moved.z, None if cone is None else S + a * dS, moved.X
  )
  tol = _tolerance(program)
  # The equations are linear: a step of a leaves 1 − a of their residuals.
  missed = jnp.maximum(
    (1 - b) * jnp.max(jnp.abs(dual), initial=0),
    (1 - a) * jnp.max(jnp.abs(residual), initial=0),
  )
  allowed = tol.complementarity * jnp.abs(objective)
  # Far below, residuals have come to rest at what rounding leaves.
  small = (left <= allowed) & (missed <= tol.residual * unit)
  small |= left <= 1e-3 * allowed
  small &= it.iterations > 1  # the second step mends the rounding of the first
  done = small | program.unbounded(moved.y, moved.z)
  kept = jax.tree.map(lambda new, old: jnp.where(sound, new, old), moved, it)
  return kept._replace(done=done | ~sound, iterations=it.iterations + 1)
