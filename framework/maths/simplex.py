"""Projections on the simplex, and on Frobenius and nuclear balls.

    Π(y) = argmin ‖s − y‖  over  s ≥ 0, Σ s = c   has   s_t = max(y_t − τ, 0),

with τ from the sorted entries (Held, Wolfe, Crowder 1974). The projection of a
vector on an l1 ball is one on a simplex, of absolute values; that of a matrix
on a nuclear ball is the same of its singular values.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

from framework.maths import linalg

__all__ = ['project_frobenius', 'project_nuclear', 'simplex_projection']


@jax.jit
def simplex_projection(
  y: Float[Array, '*b T'],
  mask: Bool[Array, '*b T'] | None = None,
  total: Float[ArrayLike, ''] = 1.0,
) -> Float[Array, '*b T']:
  """The nearest point of the simplex, along the last axis.

      s_t = max(y_t − τ, 0),   Σ_t s_t = total

  Args:
    y: Any points.
    mask: Which entries there are; others get 0. At least one in each row.
    total: What the entries sum to, c ≥ 0.

  Returns:
    The projections.

  >>> print(simplex_projection(jnp.array([0.9, 0.5, -1.0])).round(3))
  [0.7 0.3 0. ]

  References:
    Held, Wolfe, Crowder, "Validation of subgradient optimization", Mathematical
    Programming 6 (1974).
  """
  if mask is not None:
    # So far below the others that τ stays above.
    low = jnp.min(jnp.where(mask, y, jnp.inf), -1, keepdims=True)
    y = jnp.where(mask, y, low - total - 1)
  down = jnp.flip(jnp.sort(y, -1), -1)
  counts = jnp.broadcast_to(
    jnp.arange(1, y.shape[-1] + 1, dtype=y.dtype), y.shape
  )
  taus = (jnp.cumsum(down, -1) - total) / counts
  # The largest support whose least entry stays positive.
  size = jnp.maximum(jnp.sum(down > taus, -1, keepdims=True), 1)
  tau = jnp.take_along_axis(taus, size - 1, -1)
  s = jnp.maximum(y - tau, 0)
  return s if mask is None else jnp.where(mask, s, 0)


@jax.jit
def project_frobenius(
  W: Float[Array, '...'], radius: Float[ArrayLike, '']
) -> Float[Array, '...']:
  """The nearest array of Frobenius norm at most `radius`.

  >>> print(project_frobenius(jnp.array([[3.0, 4.0]]), 1.0).round(3))
  [[0.6 0.8]]
  """
  size = jnp.sqrt(jnp.sum(W**2))
  outside = size > radius
  return jnp.where(outside, W * (radius / jnp.where(outside, size, 1)), W)


@jax.jit
def project_nuclear(
  W: Float[Array, 'd q'], radius: Float[ArrayLike, '']
) -> Float[Array, 'd q']:
  """The nearest matrix of nuclear norm at most `radius`.

  Args:
    W: Any matrix.
    radius: R > 0.

  Returns:
    U diag(σ') Vᵀ with σ' the projection of the singular values.

  >>> print(project_nuclear(jnp.diag(jnp.array([3.0, 1.0])), 2.0).round(3))
  [[2. 0.]
   [0. 0.]]
  """
  U, s, Vt = linalg.svd(W)
  inside = jnp.sum(s) <= radius
  shrunk = jnp.where(inside, s, simplex_projection(s, total=radius))
  return (U * shrunk[None]) @ Vt
