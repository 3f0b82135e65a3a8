"""The gradient of attention with a linear head, exact at every horizon.

    ∇L(W) = (1/n) Σ_i ℓ'(m_i) X_iᵀ q_i z_iᵀ,   q_t = s_t (γ_t − m),   m = sᵀγ

Σ_t q_t = 0, and once attention has settled on one token, q_top is a difference
of numbers that agree to all digits: automatic differentiation then returns
noise, and the run stops at a point that is not stationary. Here the top token
is eliminated,

    q_t = s_t (Δ_t − Σ_u s_u Δ_u)  for t ≠ top,  Δ_t = γ_t − γ_top,
    q_top = −Σ_{t≠top} q_t,

which is accurate to rounding for every t, and exp(c), c the largest logit
difference a_t − a_top of all samples and t ≠ top, is taken out of the gradient:

    ∇L = exp(c) G,   ‖G‖ of order one.

Normalised updates need G alone: nothing underflows at any horizon, float32
included. log‖∇L‖ = c + log‖G‖.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from framework.systems.attention_svm.layer import logits
from framework.systems.attention_svm.losses import Loss

__all__ = ['Jacobian', 'ScaledGradient', 'gradient', 'jacobian', 'kq_gradient']


class Jacobian(NamedTuple):
  """∂m/∂a of every sample, with a common scale taken out."""

  q: Float[Array, 'n T']  # ∂m_i/∂a_it = exp(scale) q_it
  scale: Float[Array, '']
  margin: Float[Array, ' n']  # m_i = s_iᵀγ_i
  attention: Float[Array, 'n T']  # s_i


class ScaledGradient(NamedTuple):
  """exp(scale) times `tree` is the gradient."""

  tree: dict[str, Float[Array, '...']]
  scale: Float[Array, '']
  loss: Float[Array, '']


def jacobian(
  a: Float[Array, 'n T'],
  gamma: Float[Array, 'n T'],
  mask: Bool[Array, 'n T'] | None = None,
) -> Jacobian:
  """The derivative of the margins, top token eliminated.

  Args:
    a: Logits; −∞ (or masked) where there is no token.
    gamma: Scores.
    mask: Which tokens there are; those with finite logits when None.

  Returns:
    A `Jacobian`. A sample with a single token has q = 0.

  >>> import jax.numpy as jnp
  >>> j = jacobian(jnp.array([[900.0, 0.0]]), jnp.array([[1.0, 0.0]]))
  >>> print(j.q, j.scale)
  [[ 1. -1.]] -900.0
  """
  if mask is None:
    mask = jnp.isfinite(a)
  a = jnp.where(mask, a, -jnp.inf)
  top = jnp.argmax(a, -1)[:, None]
  is_top = jnp.arange(a.shape[-1])[None] == top
  others = mask & ~is_top
  r = jnp.where(others, a - jnp.take_along_axis(a, top, -1), -jnp.inf)
  scale = jnp.max(r)
  scale = jnp.where(jnp.isfinite(scale), scale, 0)  # no sample has a choice
  e = jnp.where(others, jnp.exp(r), 0)
  total = 1 + jnp.sum(e, -1, keepdims=True)
  at_top = jnp.take_along_axis(gamma, top, -1)
  delta = jnp.where(others, gamma - at_top, 0)
  excess = jnp.sum(e * delta, -1, keepdims=True) / total  # m − γ_top
  q = jnp.where(others, jnp.exp(r - scale), 0) / total * (delta - excess)
  q = jnp.where(is_top, -jnp.sum(q, -1, keepdims=True), q)
  s = jnp.where(is_top, 1, e) / total
  return Jacobian(q, scale, (at_top + excess)[:, 0], s)


def gradient(
  W: Float[Array, 'd q'],
  X: Float[Array, 'n T d'],
  Z: Float[Array, 'n q'],
  gamma: Float[Array, 'n T'],
  loss: Loss,
  mask: Bool[Array, 'n T'] | None = None,
) -> ScaledGradient:
  """∇L(W) of L = (1/n) Σ_i ℓ(s_iᵀγ_i).

  Args:
    W: Attention weights.
    X: Tokens.
    Z: Queries.
    gamma: Scores γ_it = Y_i vᵀx_it, or any others.
    loss: Of the margin, such as `losses.logistic`.
    mask: Which tokens there are.

  Returns:
    A `ScaledGradient` over {'W'}.
  """
  j = jacobian(logits(W, X, Z, mask), gamma, mask)
  weight = loss.slope(j.margin) / len(X)
  G = jnp.einsum(
    'nt,ntd,nq->dq', weight[:, None] * j.q, X, Z, optimize='optimal'
  )
  return ScaledGradient({'W': G}, j.scale, jnp.mean(loss.value(j.margin)))


def kq_gradient(
  K: Float[Array, 'd m'],
  Q: Float[Array, 'q m'],
  X: Float[Array, 'n T d'],
  Z: Float[Array, 'n q'],
  gamma: Float[Array, 'n T'],
  loss: Loss,
  mask: Bool[Array, 'n T'] | None = None,
) -> ScaledGradient:
  """∇_K = ∇L(KQᵀ) Q and ∇_Q = ∇L(KQᵀ)ᵀ K, exact at every horizon.

  Args:
    K: Key weights.
    Q: Query weights.
    X: Tokens.
    Z: Queries.
    gamma: Scores.
    loss: Of the margin, such as `losses.logistic`.
    mask: Which tokens there are.

  Returns:
    A `ScaledGradient` over {'K', 'Q'}.
  """
  G, scale, value = gradient(K @ Q.T, X, Z, gamma, loss, mask)
  return ScaledGradient({'K': G['W'] @ Q, 'Q': G['W'].T @ K}, scale, value)
