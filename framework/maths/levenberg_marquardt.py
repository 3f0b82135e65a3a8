"""Nonlinear least squares by Levenberg and Marquardt, for few parameters.

    min_θ ‖r(θ)‖²,   θ⁺ = θ − (JᵀJ + μ D²)⁻¹ Jᵀ r,   D_j = ‖J_j‖,

accepted where the sum of squares falls, with μ lowered by how well it falls
(Nielsen's rule), and raised where it does not; where the foreseen fall is below
rounding μ is lowered at once, for it may hide a direction that is nearly flat.
The linear problem is solved by orthogonalising the columns of J stacked on
μ^½ D, so that its condition is not squared. All loops over parameters are
unrolled: `vmap` over starts, data sets and bootstraps makes one program of
plain arithmetic, with no call to a factorisation. Every step is a pure function
of a state, and as such a System's.

θ of (p, 1, searches) with residuals of (n, searches) are searches side by side.
`vmap` does the same with that axis first; last, it is what the vectors of a
processor hold, and small problems are many times faster.

References:
  Nielsen, "Damping parameter in Marquardt's method", 1999.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

__all__ = ['State', 'begin', 'covariance', 'huge', 'minimise', 'step']

Residual = Callable[[Float[Array, 'p *searches']], Float[Array, 'n *searches']]
_FIRST, _LEAST, _MOST = 1e-3, 1e-22, 1e12  # damping


class State(NamedTuple):
  """Where the search is."""

  theta: Float[Array, 'p *searches']
  sse: Float[Array, '*searches']  # ‖r‖²; `huge` where r is not finite
  damping: Float[Array, '*searches']  # μ
  raised: Float[Array, '*searches']  # factor of μ where a step is refused
  fell: Float[Array, '*searches']  # relative fall of ‖r‖² at the last step made


def begin(residual: Residual, start: Float[Array, 'p *searches']) -> State:
  """The state before the first step.

  Args:
    residual: θ -> r, at least as many as parameters.
    start: θ_0.

  Returns:
    The state.
  """
  sse = _sse(residual(start))
  full = lambda x: jnp.full(sse.shape, x, start.dtype)  # noqa: E731
  return State(start, sse, full(_FIRST), full(2), full(1))


def huge(dtype: Any) -> float:
  """The sum of squares of what is not finite.

  >>> huge(jnp.float32) > 1e18
  True
  """
  return float(jnp.finfo(dtype).max) ** 0.5


def _sum(x: Array) -> Array:
  """Over residuals, of each search."""
  return jnp.sum(x, axis=0, keepdims=x.ndim > 1)


def _where(condition: Array, one: Array, other: Array) -> Array:
  """Of each search, whatever axes stand before."""
  apart = one.ndim > condition.ndim
  return jnp.where(condition[None] if apart else condition, one, other)


def _sse(r: Array) -> Array:
  total, most = _sum(r * r), huge(r.dtype)
  # Not above, nor infinite: the state of a run is made of numbers.
  return jnp.where(total < most, total, most).astype(r.dtype)


def _jacobian(residual: Residual, theta: Array) -> tuple[Array, list[Array]]:
  """R and the columns of J, forward."""
  r, push = jax.linearize(residual, theta)
  zero = jnp.zeros_like(theta)
  return r, [push(zero.at[j].set(1)) for j in range(len(theta))]


def _solve(columns: list[Array], r: Array, damping: Array) -> list[Array]:
  """argmin_x ‖Σ x_j J_j − r‖² + μ Σ D_j² x_j², by modified Gram-Schmidt."""
  p = len(columns)
  tiny = jnp.finfo(r.dtype).tiny
  scale = [jnp.sqrt(jnp.maximum(_sum(c * c), tiny)) for c in columns]
  root = jnp.sqrt(damping)
  zero = jnp.zeros_like(damping)
  # Each column, scaled to one, with its damping below.
  upper = [c * (1 / s) for c, s in zip(columns, scale, strict=True)]
  lower = [
    jnp.stack([root if i == j else zero for i in range(p)]) for j in range(p)
  ]
  right, below = r, jnp.zeros_like(lower[0])
  triangle = [[zero] * p for _ in range(p)]
  y = []
  for j in range(p):
    norm = jnp.sqrt(
      jnp.maximum(_sum(upper[j] ** 2) + jnp.sum(lower[j] ** 2, 0), tiny)
    )
    triangle[j][j] = norm
    q, q_below = upper[j] * (1 / norm), lower[j] * (1 / norm)[None]
    for i in range(j + 1, p):
      dot = _sum(q * upper[i]) + jnp.sum(q_below * lower[i], 0)
      triangle[j][i] = dot
      upper[i], lower[i] = upper[i] - dot * q, lower[i] - dot[None] * q_below
    dot = _sum(q * right) + jnp.sum(q_below * below, 0)
    y.append(dot)
    right, below = right - dot * q, below - dot[None] * q_below
  x = [zero] * p
  for j in reversed(range(p)):
    total = y[j]
    for i in range(j + 1, p):
      total = total - triangle[j][i] * x[i]
    x[j] = total / triangle[j][j]
  return [v / s for v, s in zip(x, scale, strict=True)]


def step(residual: Residual, state: State) -> State:
  """One step: made where it lowers the sum of squares.

  Args:
    residual: θ -> r.
    state: Before.

  Returns:
    The state after.

  >>> x = jnp.arange(1.0, 6.0)
  >>> residual = lambda t: jnp.exp(-t[0] * x) - jnp.exp(-0.5 * x)
  >>> state = begin(residual, jnp.array([1.0]))
  >>> for _ in range(8):
  ...   state = step(residual, state)
  >>> print(f'{state.theta[0]:.4f}')
  0.5000
  """
  return _advance(residual, state, _jacobian(residual, state.theta))[0]


def _advance(
  residual: Residual, state: State, seen: tuple[Array, list[Array]]
) -> tuple[State, tuple[Array, list[Array]]]:
  """A step from where r and J have been seen; r and J where it ends."""
  theta, sse, damping, raised, fell = state
  r, columns = seen
  # Where r is not finite there is nowhere to go from.
  fine = sse < huge(theta.dtype)
  columns = [jnp.where(fine, c, 1) for c in columns]
  move = jnp.stack(_solve(columns, jnp.where(fine, r, 0), damping))
  trial = theta - move
  there = _jacobian(residual, trial)
  new = _sse(there[0])
  # The fall that the linear model foresees: r·Jx + μ‖Dx‖².
  linear = sum(m * c for m, c in zip(move, columns, strict=True))
  size = sum(m**2 * _sum(c * c) for m, c in zip(move, columns, strict=True))
  foreseen = _sum(jnp.where(fine, r, 0) * linear) + damping * size
  gain = jnp.where(foreseen > 0, (sse - new) / foreseen, 0)
  good = new < sse
  lower = damping * jnp.maximum(1 / 3, 1 - (2 * gain - 1) ** 3)
  # A fall below rounding says nothing, but that damping hides what is left.
  eps = jnp.finfo(theta.dtype).eps
  rounding = jnp.where(new < sse, 64 * eps, 5e8 * eps)  # of r is not known
  hidden = foreseen <= rounding * sse
  next_damping = jnp.where(good, lower, damping * raised)
  next_damping = jnp.where(hidden, 1e-5 * damping, next_damping)
  calm = good | hidden
  made = jnp.where(good, (sse - new) / jnp.where(sse > 0, sse, 1), fell)
  after = State(
    _where(good, trial, theta),
    jnp.where(good, new, sse),
    jnp.clip(next_damping, _LEAST, _MOST),
    jnp.where(calm, 2, jnp.minimum(2 * raised, 64)).astype(theta.dtype),
    jnp.where(hidden & ~good, 0, made),
  )
  return after, jax.tree.map(lambda a, b: _where(good, a, b), there, seen)


def _going(state: State, tolerance: float) -> Bool[Array, '*searches']:
  """Whether a step may still lower the sum of squares by more than rounding."""
  eps = jnp.finfo(state.theta.dtype).eps
  stuck = state.damping >= 1e8
  flat = (state.fell <= 64 * eps) & (state.damping <= 1e-20)
  done = (state.fell < tolerance) & (state.damping <= _FIRST)
  known = state.sse < huge(state.theta.dtype)
  return known & (state.sse > 0) & ~stuck & ~flat & ~done


def minimise(
  residual: Residual,
  start: Float[Array, 'p *searches'],
  steps: int = 200,
  tolerance: float = 0.0,
) -> tuple[State, Int[Array, '']]:
  """Steps until nothing falls any more.

  Args:
    residual: θ -> r.
    start: θ_0.
    steps: At most so many.
    tolerance: Relative fall of ‖r‖² of a step that hardly was damped, below
      which it was the last: near a minimum the next falls by its square. When
      zero, rounding alone ends a search.

  Returns:
    (state, steps made).
  """

  def going(carry):
    state, _, t = carry
    return (t < steps) & jnp.any(_going(state, tolerance))

  def go(carry):
    state, seen, t = carry
    after: Any = _advance(residual, state, seen)
    on = _going(state, tolerance)
    if on.ndim:  # others are still on their way
      before = state, seen
      after = jax.tree.map(lambda a, b: _where(on, a, b), after, before)
    return *after, t + 1

  first: Any = begin(residual, start), _jacobian(residual, start), jnp.int32(0)
  state, _, t = jax.lax.while_loop(going, go, first)
  return state, t


def covariance(
  residual: Residual, theta: Float[Array, ' p'], count: Float[Array, '']
) -> Float[Array, 'p p']:
  """The covariance of an estimate, from the scatter of its residuals.

      ‖r‖²/(n − p) (JᵀJ)⁻¹

  Args:
    residual: Of the parameters in which the covariance is wanted.
    theta: The estimate.
    count: Residuals n that count, more than parameters.

  Returns:
    (p, p).
  """
  r, columns = _jacobian(residual, theta)
  p = theta.size
  zero = jnp.zeros((), r.dtype)
  # (JᵀJ)⁻¹ = J⁺ J⁺ᵀ; each row of J⁺ solves against a unit vector of R.
  q, triangle = _orthogonal(columns)
  del q
  inverse = _inverse(triangle, zero)
  scatter = jnp.sum(r * r) / (count - p)
  return scatter * inverse @ inverse.T


def _orthogonal(columns: list[Array]):
  p, tiny = len(columns), jnp.finfo(columns[0].dtype).tiny
  q = list(columns)
  triangle = [[jnp.zeros((), q[0].dtype)] * p for _ in range(p)]
  for j in range(p):
    norm = jnp.sqrt(jnp.maximum(jnp.sum(q[j] ** 2), tiny))
    triangle[j][j] = norm
    q[j] = q[j] / norm
    for i in range(j + 1, p):
      # Twice: the columns may be nearly parallel.
      for _ in range(2):
        dot = jnp.sum(q[j] * q[i])
        triangle[j][i] = triangle[j][i] + dot
        q[i] = q[i] - dot * q[j]
  return q, triangle


def _inverse(triangle: list[list[Array]], zero: Array) -> Float[Array, 'p p']:
  """Of an upper triangle, column by column."""
  p = len(triangle)
  out = [[zero] * p for _ in range(p)]
  for k in range(p):
    for j in reversed(range(k + 1)):
      total = (zero + 1) if j == k else zero
      for i in range(j + 1, k + 1):
        total = total - triangle[j][i] * out[i][k]
      out[j][k] = total / triangle[j][j]
  return jnp.stack([jnp.stack(row) for row in out])
