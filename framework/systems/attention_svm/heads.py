"""Heads: functions h(x) of the token x = Xᵀs that attention mixes.

    linear     vᵀx
    relu       1ᵀ ReLU(Vᵀx)
    penalised  vᵀx − λ‖x‖²

The derivative of h in s is that of a linear head with the scores

    γ_it = Y_i ∇h(x̄_i)ᵀ x_it,   x̄_i = X_iᵀ s_i,

so the exact-horizon gradient serves every head.
"""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

from framework.maths.simplex import simplex_projection

__all__ = [
  'Head',
  'linear',
  'local_scores',
  'penalised',
  'penalised_attention',
  'relu',
]

# (mixed token (d,), head parameters, λ) -> output.
Head: TypeAlias = Callable[[Array, Array, Array], Float[Array, '']]


def linear(
  x: Float[Array, ' d'], v: Float[Array, ' d'], strength: Float[Array, '']
) -> Float[Array, '']:
  """h(x) = vᵀx, whatever λ is."""
  del strength
  return x @ v


def relu(
  x: Float[Array, ' d'], v: Float[Array, 'd k'], strength: Float[Array, '']
) -> Float[Array, '']:
  """h(x) = 1ᵀ ReLU(Vᵀx), whatever λ is."""
  del strength
  return jnp.sum(jax.nn.relu(x @ v))


def penalised(
  x: Float[Array, ' d'], v: Float[Array, ' d'], strength: Float[Array, '']
) -> Float[Array, '']:
  """h(x) = vᵀx − λ‖x‖²: the more λ, the more tokens share the attention."""
  return x @ v - strength * jnp.sum(x**2)


def penalised_attention(
  gamma: Float[Array, '*n T'],
  strength: Float[ArrayLike, ''],
  mask: Bool[Array, '*n T'] | None = None,
) -> Float[Array, '*n T']:
  """The attention that is best for `penalised` on orthonormal tokens.

      argmax_s h(Xᵀs) = argmax_s γᵀs − λ‖s‖² = Π(γ/2λ),   γ = Xv,

  Π the projection on the simplex. Its support grows from one token at λ → 0 to
  all at λ → ∞. It is what training tends to where Y = 1.

  Args:
    gamma: Scores vᵀx_it.
    strength: λ > 0.
    mask: Which tokens there are.

  Returns:
    s*, exactly zero off its support.

  >>> print(penalised_attention(jnp.array([1.0, 0.5, 0.0]), 0.5).round(3))
  [0.75 0.25 0.  ]
  """
  return simplex_projection(gamma / (2 * strength), mask)


def local_scores(
  head: Head,
  mixed: Float[Array, 'n d'],
  X: Float[Array, 'n T d'],
  Y: Float[Array, ' n'],
  v: Float[Array, 'd *k'],
  strength: Float[Array, ''],
) -> tuple[Float[Array, ' n'], Float[Array, 'n T']]:
  """Margins Y_i h(x̄_i) and the scores γ_it of the head's linearisation.

  Args:
    head: The head.
    mixed: x̄_i.
    X: Tokens.
    Y: Labels.
    v: Parameters of the head.
    strength: Its λ.

  Returns:
    (margins, scores).
  """
  value, slope = jax.vmap(jax.value_and_grad(head), (0, None, None))(
    mixed, v, strength
  )
  return Y * value, Y[:, None] * jnp.einsum('ntd,nd->nt', X, slope)
