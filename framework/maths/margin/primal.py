"""The margin: max γ with ⟨A_r, W⟩ ≥ γ b_r and ‖W‖ ≤ 1, in (W, γ).

For norms whose dual ball has no barrier without further unknowns.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from framework.maths.margin import interior_point as ip
from framework.maths.margin import posed
from framework.maths.margin.posed import Posed
from framework.maths.margin.rows import (
  Constraints,
)

__all__ = ['linf', 'spectral']


def spectral(rows: Constraints) -> Posed:
  """The margin in (W, γ), with [[I, W], [Wᵀ, I]] ⪰ 0."""
  A = posed.matrices(rows)
  d, q = shape = rows.D.shape[1], rows.Z.shape[1]
  k, N = d * q, d + q

  def schur(X, K):
    def outer(P, Q):  # [(i, j), (k, l)] -> P[i, k] Q[j, l]
      return jnp.einsum('ik,jl->ijkl', P, Q)

    def crossed(P, Q):  # [(i, j), (k, l)] -> P[i, l] Q[k, j]
      return jnp.einsum('il,kj->ijkl', P, Q)

    Xw, Kw = X[:d, d:], K[:d, d:]
    block = outer(K[:d, :d], X[d:, d:]) + outer(X[:d, :d], K[d:, d:])
    block += crossed(Kw, Xw) + crossed(Xw, Kw)
    return jnp.pad(block.reshape(k, k), (0, 1))

  cone = ip.Cone(
    jnp.eye(N, dtype=A.dtype),
    lambda y: posed.off_diagonal(y[:-1].reshape(shape)),
    lambda X: jnp.append(2 * X[:d, d:].ravel(), jnp.zeros((), A.dtype)),
    schur,
  )
  return _margin(rows, A, 0, cone, 1 / N)


def linf(rows: Constraints) -> Posed:
  """The margin in (W, γ), with −1 ≤ W_ij ≤ 1: a linear program."""
  A = posed.matrices(rows)
  return _margin(rows, A, A.shape[1], None, 0.0)


def _margin(
  rows: Constraints,
  A: Float[Array, 'm k'],
  boxed: int,
  cone: ip.Cone | None,
  X: float,
) -> Posed:
  """Max γ s.t. A w − γ b ≥ 0, |w_j| ≤ 1 if boxed, and a cone."""
  m, k = A.shape
  b, proved = rows.bound, posed.proved(rows)

  def apply(y):
    w, margin = y[:-1], A @ y[:-1] - y[-1] * b
    return jnp.concatenate([margin, -w, w]) if boxed else margin

  def adjoint(z):
    w = z[:m] @ A
    if boxed:
      w += z[m + k :] - z[m : m + k]
    return jnp.append(w, -b @ z[:m])

  def weigh(v):
    u = v[:m]
    block = (A.T * u[None]) @ A
    if boxed:
      block += jnp.diag(v[m : m + k] + v[m + k :])
    return posed.border(block, -(u * b) @ A, u @ b**2)

  boxes = jnp.ones(2 * boxed, bool)
  h = jnp.concatenate([jnp.zeros(m, b.dtype), jnp.full(2 * boxed, -1, b.dtype)])
  program = ip.Program(
    P=None,
    c=posed.last(k + 1, -1, b),
    rows=ip.Rows(
      apply,
      adjoint,
      weigh,
      h,
      inequality=jnp.concatenate([posed.inequality(rows), boxes]),
      equality=jnp.concatenate([rows.equality, ~boxes]),
    ),
    cone=cone,
    unbounded=lambda y, z: proved(z[:m]),
  )
  lam = jnp.maximum(posed.even(rows), 0)
  ones = jnp.ones(2 * boxed, b.dtype)
  start = ip.Start(
    posed.last(k + 1, -1, b),
    jnp.concatenate([posed.or_one(b), ones]),
    jnp.concatenate([lam, ones / max(2 * boxed, 1)]),
    X,
  )
  shape = rows.D.shape[1], rows.Z.shape[1]
  return Posed(program, start, lambda it: (it.y[:-1].reshape(shape), it.z[:m]))
