"""What reads out the token that attention mixes: h(x), x = Xᵀs.

The derivative of h in s is that of a linear head with the scores

    γ_it = Y_i ∇h(x̄_i)ᵀ x_it,   x̄_i = X_iᵀ s_i,

so the exact-horizon gradient serves every head.
"""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ['HEADS', 'Head', 'head_named', 'local_scores']

# (mixed token (d,), head parameters, λ) -> output.
Head: TypeAlias = Callable[[Array, Array, Array], Float[Array, '']]


def linear(x, v, strength):
  """h(x) = vᵀx."""
  del strength
  return x @ v


def relu(x, v, strength):
  """h(x) = 1ᵀ ReLU(Vᵀx)."""
  del strength
  return jnp.sum(jax.nn.relu(x @ v))


def penalised(x, v, strength):
  """h(x) = vᵀx − λ‖x‖²: the more λ, the more tokens share the attention."""
  return x @ v - strength * jnp.sum(x**2)


HEADS: dict[str, Head] = {
  'linear': linear,
  'relu': relu,
  'lambda': penalised,
}


def head_named(head: str | Head) -> Head:
  """A head by name, or the head itself.

  Args:
    head: 'linear', 'relu', 'lambda', or a function of your own.

  Returns:
    (mixed token (d,), head parameters, λ) -> output.

  Raises:
    ValueError: If there is no such head.

  >>> print(head_named('linear')(jnp.ones(2), jnp.ones(2), 0.0))
  2.0
  """
  if callable(head):
    return head
  if head not in HEADS:
    raise ValueError(f'head is {head!r}, expected one of {", ".join(HEADS)}')
  return HEADS[head]


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
