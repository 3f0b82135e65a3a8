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

from framework.maths.margin.cone_steps import (
  nearly_to_singular,
  symmetric,
  to_boundary,
  to_singular,
)

__all__ = ['Cone', 'Iterate', 'Program', 'Rows', 'Start', 'solve']

_Y = Float[Array, ' k']
_R = Float[Array, ' p']
_S = Float[Array, 'N N']

_REFINEMENTS = 2
_NEAR = 1e-2  # an iterate that misses less is worth keeping


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


class _Measured(NamedTuple):
  """Residuals and gap of an iterate."""

  dual: _Y  # P y + c − Bᵀz − 𝓕*X
  primal: _R  # s − (B y − h), of equations h − B y
  S: Any  # S(y)
  total: Float[Array, '']  # <s, z> + <S, X>
  gap: Float[Array, '']  # the total, relative to the objective
  missed: Float[Array, '']  # residuals, relative to the objective or to one


class _Path(NamedTuple):
  """The state of the loop."""

  now: Iterate
  measured: _Measured
  best: Iterate
  least: Float[Array, '']  # what the best one misses
  done: Bool[Array, '']


def _tolerance(program: Program) -> Tolerance:
  """As small as the floating-point type allows; X S⁻¹ loses half of it."""
  double = program.c.dtype == jnp.float64
  if program.P is not None:  # an error of W is the root of one of its norm
    return Tolerance(1e-13, 1e-11) if double else Tolerance(1e-9, 2e-6)
  if program.cone is None:
    return Tolerance(1e-13, 1e-11) if double else Tolerance(5e-7, 5e-7)
  return Tolerance(2e-10, 1e-9) if double else Tolerance(2e-6, 2e-5)


def solve(
  program: Program,
  start: Start,
  max_iterations: int,
  guess: Iterate | None = None,
) -> Iterate:
  """Follows the central path.

  Args:
    program: The program, scaled so that its data are of order one.
    start: Where to start.
    max_iterations: Steps at most.
    guess: What another method found. If it meets the tolerance, or proves that
      there is no solution, it is returned and no step is made.

  Returns:
    The best iterate. What it is worth, its caller certifies.
  """
  if guess is None:
    return _follow(program, start, max_iterations)
  at, tol = _measure(program, guess), _tolerance(program)
  good = (at.gap <= tol.complementarity) & (at.missed <= tol.residual)
  good |= program.unbounded(guess.y, guess.z)

  def follow(found: tuple[Any, Iterate]) -> tuple[Any, Iterate]:
    _, guess = found
    it = _follow(program, start, max_iterations)
    it = it._replace(iterations=guess.iterations + it.iterations)
    return jnp.asarray(True), it

  # One round at most. Under vmap a conditional would make it for every lane; a
  # loop makes it only if some lane needs it.
  return jax.lax.while_loop(lambda found: ~found[0], follow, (good, guess))[1]


def _follow(program: Program, start: Start, max_iterations: int) -> Iterate:
  rows = program.rows
  X: Any = None
  if program.cone is not None:
    X = start.X * jnp.eye(len(program.cone.constant), dtype=start.y.dtype)
  first = Iterate(
    start.y,
    jnp.where(rows.inequality, start.s, 0),
    jnp.where(rows.inequality, start.z, 0),
    X,
    jnp.zeros((), jnp.int32),
  )
  inf = jnp.asarray(jnp.inf, start.y.dtype)
  path = _Path(first, _measure(program, first), first, inf, jnp.zeros((), bool))

  def go_on(path: _Path) -> Bool[Array, '']:
    return ~path.done & (path.now.iterations < max_iterations)

  path = jax.lax.while_loop(go_on, lambda path: _advance(program, path), path)
  return path.best._replace(iterations=path.now.iterations)


def _advance(program: Program, path: _Path) -> _Path:
  """A step, and whether it was the last."""
  new = _step(program, path.now, path.measured)
  sound = jnp.asarray(True)
  for part in jax.tree.leaves(new):
    sound &= jnp.all(jnp.isfinite(part))
  now = jax.tree.map(lambda a, b: jnp.where(sound, a, b), new, path.now)
  now = now._replace(iterations=new.iterations)
  it = _measure(program, now)
  tol = _tolerance(program)
  small = (it.gap <= tol.complementarity) & (it.missed <= tol.residual)
  # Far below, residuals have come to rest at what rounding leaves.
  small |= it.gap <= 1e-3 * tol.complementarity
  small &= now.iterations > 2  # the second step mends the rounding of the first
  proof = program.unbounded(now.y, now.z)
  misses = jnp.maximum(it.gap / tol.complementarity, it.missed / tol.residual)
  near = (it.gap < _NEAR) & (it.missed < _NEAR)
  misses = jnp.where(near, misses, jnp.inf)
  # While none is near the last is best: it may prove that there is no solution.
  better = proof | (misses <= path.least)
  best, least = jax.tree.map(
    lambda a, b: jnp.where(better, a, b), (now, misses), (path.best, path.least)
  )
  return _Path(now, it, best, least, small | proof | ~sound)


def _measure(program: Program, it: Iterate) -> _Measured:
  rows, cone = program.rows, program.cone
  some = rows.inequality
  dual = program.c - rows.adjoint(it.z)
  objective = program.c @ it.y
  if program.P is not None:
    Py = program.P @ it.y
    dual, objective = dual + Py, objective + 0.5 * it.y @ Py
  primal = it.s - (rows.apply(it.y) - rows.h)
  primal = jnp.where(some | rows.equality, primal, 0)
  total = jnp.sum(jnp.where(some, it.s * it.z, 0))
  S: Any = None
  if cone is not None:
    S = cone.constant + cone.apply(it.y)
    dual -= cone.adjoint(it.X)
    total += jnp.sum(S * it.X)
  size = jnp.abs(objective)
  worst = jnp.maximum(
    jnp.max(jnp.abs(dual), initial=0), jnp.max(jnp.abs(primal), initial=0)
  )
  tiny = jnp.finfo(size.dtype).tiny
  gap = total / jnp.maximum(size, tiny)
  return _Measured(dual, primal, S, total, gap, worst / jnp.clip(size, tiny, 1))


def _step(program: Program, it: Iterate, at: _Measured) -> Iterate:
  rows, cone = program.rows, program.cone
  y, s, z, X = it.y, it.s, it.z, it.X
  eps = jnp.finfo(y.dtype).eps
  some = rows.inequality
  degree = jnp.sum(some) + (0 if cone is None else len(X))
  degree = jnp.maximum(degree, 1)
  safe = jnp.where(some, s, 1)
  # An equation is a row of great weight: multipliers take up what is left.
  weight = jnp.where(rows.equality, eps**-0.5, jnp.where(some, z / safe, 0))
  M = rows.weigh(weight)
  if program.P is not None:
    M += program.P
  inverse: Any = None
  factors: Any = None
  if cone is not None:
    LS = jnp.linalg.cholesky(at.S)
    inverse = cho_solve((LS, True), jnp.eye(len(LS), dtype=LS.dtype))
    factors = LS, jnp.linalg.cholesky(X)
    M += cone.schur(X, inverse)
  # Dependent rows make M singular, absent ones leave a zero row. Refinement
  # makes up for what that and rounding do.
  diagonal = jnp.diagonal(M)
  ridge = jnp.where(diagonal > 0, 30 * eps * diagonal, 1)
  L = jnp.linalg.cholesky(M + jnp.diag(ridge))

  def direction(target_z, target_X) -> tuple[Any, Any, Any, Any, Any]:
    def refine(_, so_far):
      dy, dz, dX = so_far
      missed = at.dual - rows.adjoint(dz)
      if program.P is not None:
        missed += program.P @ dy
      if cone is not None:
        missed -= cone.adjoint(dX)
      e = -cho_solve((L, True), missed)
      dz -= jnp.where(some | rows.equality, weight * rows.apply(e), 0)
      if cone is not None:
        dX -= symmetric(X @ cone.apply(e) @ inverse)
      return dy + e, dz, dX

    dy, dz, dX = jax.lax.fori_loop(
      0,
      1 + _REFINEMENTS,
      refine,
      (
        jnp.zeros_like(y),
        jnp.where(some, target_z - z, 0) + weight * at.primal,
        None if cone is None else target_X - X,
      ),
    )
    ds = jnp.where(some, rows.apply(dy) - at.primal, 0)
    return dy, ds, dz, None if cone is None else cone.apply(dy), dX

  def lengths(ds, dz, dS, dX, shorten, to_singular):
    primal, along = to_boundary(s, ds, some), to_boundary(z, dz, some)
    if cone is not None:
      primal = jnp.minimum(primal, to_singular(factors[0], dS))
      along = jnp.minimum(along, to_singular(factors[1], dX))
    if program.P is not None:  # y is in both residuals
      primal = along = jnp.minimum(primal, along)
    return jnp.minimum(1, shorten * primal), jnp.minimum(1, shorten * along)

  zero = None if cone is None else jnp.zeros_like(X)
  dy, ds, dz, dS, dX = direction(jnp.zeros_like(z), zero)
  a, b = lengths(ds, dz, dS, dX, 1.0, nearly_to_singular)
  ahead = jnp.sum(jnp.where(some, (s + a * ds) * (z + b * dz), 0))
  if cone is not None:
    ahead += jnp.sum((at.S + a * dS) * (X + b * dX))
  ratio = jnp.clip(ahead / jnp.where(at.total > 0, at.total, 1), 0, 1)
  mu = ratio**3 * at.total / degree
  target_z = jnp.where(some, (mu - ds * dz) / safe, 0)
  target_X = None
  if cone is not None:
    target_X = mu * inverse - symmetric(dX @ dS @ inverse)
  dy, ds, dz, dS, dX = direction(target_z, target_X)
  a, b = lengths(ds, dz, dS, dX, 0.99, to_singular)
  return Iterate(
    y + a * dy,
    s + a * ds,
    z + b * dz,
    None if cone is None else X + b * dX,
    it.iterations + 1,
  )
