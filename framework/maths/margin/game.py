"""The game: min ‖Σ λ_r A_r‖° over λ with bᵀλ = 1, for nuclear and l1.

Adversary and learner: λ mixes the rows, W of norm one answers, the value is the
largest margin. The unknowns are (λ, t) with ‖Σ λ_r A_r‖° ≤ t; W is read off the
multipliers.
"""

import jax.numpy as jnp

from framework.maths.margin import interior_point as ip
from framework.maths.margin import posed
from framework.maths.margin.posed import Posed
from framework.maths.margin.rows import (
  Constraints,
  combine,
  margins,
)

__all__ = ['l1', 'nuclear']


def nuclear(rows: Constraints) -> Posed:
  """The game in (λ, t), with [[t I, −M], [−Mᵀ, t I]] ⪰ 0 for ‖M‖_op ≤ t.

  The off-diagonal block of the matrix multiplier is W/2.
  """
  D, Z = rows.D, rows.Z
  m, d, proved = len(D), D.shape[1], posed.proved(rows)
  N = d + Z.shape[1]
  some, b = posed.inequality(rows), rows.bound

  def schur(X, K):
    """<𝓕_k, X 𝓕_l K>: products of the m × m matrices D X Dᵀ, Z X Zᵀ, D X Zᵀ."""

    def quadratic(A):
      return D @ A[:d, :d] @ D.T, Z @ A[d:, d:] @ Z.T, D @ A[:d, d:] @ Z.T

    (Xd, Xz, Xw), (Kd, Kz, Kw) = quadratic(X), quadratic(K)
    mixed = Xw.T * Kw
    XK = X @ K
    side = -margins(XK[:d, d:] + XK[d:, :d].T, rows)
    block = Xz * Kd + Xd * Kz + mixed + mixed.T
    return posed.border(block, side, jnp.trace(XK))

  def weigh(w):
    return jnp.pad(jnp.diag(w[:-1]) + w[-1] * jnp.outer(b, b), (0, 1))

  def apply(y):
    t = y[-1] * jnp.eye(N, dtype=y.dtype)
    return t - posed.off_diagonal(combine(y[:-1], rows))

  def adjoint(X):
    return jnp.append(-2 * margins(X[:d, d:], rows), jnp.trace(X))

  program = ip.Program(
    P=None,
    c=posed.last(m + 1, 1, b),
    rows=ip.Rows(
      apply=lambda y: jnp.append(y[:-1], b @ y[:-1]),
      adjoint=lambda z: jnp.append(z[:-1] + z[-1] * b, jnp.zeros((), b.dtype)),
      weigh=weigh,
      h=posed.last(m + 1, 1, b),
      inequality=jnp.append(some, False),
      equality=jnp.append(jnp.zeros_like(some), True),
    ),
    cone=ip.Cone(jnp.zeros((N, N), b.dtype), apply, adjoint, schur),
    unbounded=lambda y, z: proved(y[:-1]),
  )
  lam = posed.even(rows)
  t = 2 * jnp.sqrt(jnp.sum(combine(lam, rows) ** 2)) + 1e-3
  start = ip.Start(
    jnp.append(lam, t),
    jnp.append(lam, 0),
    jnp.append(posed.or_one(b), 0),
    1 / N,
  )
  return Posed(program, start, lambda it: (2 * it.X[:d, d:], it.y[:-1]))


def l1(rows: Constraints) -> Posed:
  """The game in (λ, t), with −t ≤ M_ij ≤ t: a linear program."""
  A = posed.matrices(rows)
  m, k = A.shape
  some, b, proved = posed.inequality(rows), rows.bound, posed.proved(rows)

  def apply(y):
    M, t = y[:-1] @ A, y[-1]
    return jnp.concatenate([y[:-1], t - M, t + M, (b @ y[:-1])[None]])

  def adjoint(z):
    low, high = z[m : m + k], z[m + k : -1]
    lam = z[:m] + A @ (high - low) + z[-1] * b
    return jnp.append(lam, jnp.sum(low + high))

  def weigh(w):
    low, high = w[m : m + k], w[m + k : -1]
    block = jnp.diag(w[:m]) + (A * (low + high)[None]) @ A.T
    block += w[-1] * jnp.outer(b, b)
    return posed.border(block, A @ (high - low), jnp.sum(low + high))

  boxes = jnp.ones(2 * k, bool)
  h = posed.last(m + 2 * k + 1, 1, b)
  program = ip.Program(
    P=None,
    c=posed.last(m + 1, 1, b),
    rows=ip.Rows(
      apply,
      adjoint,
      weigh,
      h,
      inequality=jnp.concatenate([some, boxes, jnp.array([False])]),
      equality=jnp.append(jnp.zeros(m + 2 * k, bool), True),
    ),
    cone=None,
    unbounded=lambda y, z: proved(y[:-1]),
  )
  lam = posed.even(rows)
  y = jnp.append(lam, 2 * jnp.max(jnp.abs(lam @ A)) + 1e-3)
  z = jnp.append(jnp.full(2 * k, 1 / (2 * k), b.dtype), 0)
  start = ip.Start(y, apply(y) - h, jnp.concatenate([posed.or_one(b), z]))

  def read(it):
    W = it.z[m : m + k] - it.z[m + k : -1]
    return W.reshape(rows.D.shape[1], rows.Z.shape[1]), it.y[:-1]

  return Posed(program, start, read)
