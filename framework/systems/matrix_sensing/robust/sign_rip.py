"""Sign-RIP: the sub-gradient of the ℓ1 loss points along the error.

    Q(X) = (1/m) Σ sign(<A_i, X> − s_i) A_i,
    |<Q − φ X/‖X‖, Y>| <= δ φ ‖Y‖   for all Y of rank at most q.

References:
  Ma, Fattahi, "Global Convergence of Sub-gradient Method for Robust Matrix
  Recovery", 2022.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from framework.maths import linalg

__all__ = ['SignRip', 'sign_rip']


class SignRip(NamedTuple):
  """The sub-gradient along X and, relative to that, elsewhere."""

  phi: Float[Array, '']
  delta: Float[Array, '']


def sign_rip(
  Q: Float[Array, 'n1 n2'], X: Float[Array, 'n1 n2'], rank: int
) -> SignRip:
  """φ and δ at one X.

      φ = <Q, X>/‖X‖,   δ = ‖(Q − φ X/‖X‖)_q‖_F / φ

  Given X, the supremum over Y of rank q is the norm of the q largest singular
  values, exactly.

  Args:
    Q: The sub-gradient at X, in the product.
    X: The error.
    rank: q.

  Returns:
    The two numbers.

  Raises:
    ValueError: If the rank is out of range.

  >>> X = jnp.diag(jnp.array([1.0, 0.0]))
  >>> print(*sign_rip(jnp.diag(jnp.array([0.8, 0.2])), X, 1))
  0.8 0.25
  """
  if not 1 <= rank <= min(X.shape):
    raise ValueError(f'rank is {rank}, expected 1 to {min(X.shape)}')
  along = X / jnp.sqrt(jnp.sum(X**2))
  phi = jnp.vdot(Q, along)
  left = linalg.singular_values(Q - phi * along)[:rank]
  return SignRip(phi, jnp.sqrt(jnp.sum(left**2)) / phi)
