"""Four numbers that say how many directions a matrix has.

All take its singular values, in any order; padding with zeros changes none.
Of a matrix with m equal singular values and no others all four are m.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

__all__ = [
  'effective_rank',
  'numerical_rank',
  'participation_ratio',
  'stable_rank',
]


@jax.jit
def effective_rank(s: Float[Array, ' k']) -> Float[Array, '']:
  """Exponential of the entropy of the normalised singular values.

      exp(-Σ p_i ln p_i),  p_i = s_i / Σ s

  Args:
    s: Singular values.

  Returns:
    A number between 1 and the rank; 0 of the zero matrix.

  References:
    Roy, Vetterli (2007), The effective rank: a measure of effective
    dimensionality.

  >>> print(effective_rank(jnp.array([2.0, 2.0, 0.0])).round(5))
  2.0
  """
  total = jnp.sum(s)
  p = s / jnp.where(total > 0, total, 1)
  # The slope of −p ln p at 0 is infinite: a value of 0 counts as staying there.
  terms = jnp.where(p > 0, jax.scipy.special.entr(jnp.where(p > 0, p, 1)), 0)
  return jnp.where(total > 0, jnp.exp(jnp.sum(terms)), 0)


@jax.jit
def stable_rank(s: Float[Array, ' k']) -> Float[Array, '']:
  """‖Z‖_F² / ‖Z‖², the squared Frobenius over the squared spectral norm.

  Args:
    s: Singular values of Z.

  Returns:
    A number between 1 and the rank; 0 of the zero matrix.

  >>> print(stable_rank(jnp.array([2.0, 1.0, 0.0])))
  1.25
  """
  return jnp.sum(_over_largest(s) ** 2)


@jax.jit
def participation_ratio(s: Float[Array, ' k']) -> Float[Array, '']:
  """(Σ λ)² / Σ λ² of the eigenvalues λ = s² of ZᵀZ.

  With Z the centred features of some rows, λ are the variances along their
  principal components, and this is the dimension of the cloud of rows.

  Args:
    s: Singular values of Z.

  Returns:
    A number between 1 and the rank; 0 of the zero matrix.

  References:
    Gao, Trautmann, Yu, Santhanam, Ryu, Shenoy, Ganguli (2017), A theory of
    multineuronal dimensionality, dynamics and measurement.

  >>> print(participation_ratio(jnp.array([1.0, 1.0, 0.0])))
  2.0
  """
  variance = _over_largest(s) ** 2
  square = jnp.sum(variance**2)
  return jnp.sum(variance) ** 2 / jnp.where(square > 0, square, 1)


@jax.jit
def numerical_rank(
  s: Float[Array, ' k'], tolerance: float = 1e-5
) -> Int[Array, '']:
  """How many singular values are above a fraction of the largest.

  Args:
    s: Singular values.
    tolerance: The fraction.

  Returns:
    Their number; 0 of the zero matrix.

  >>> print(numerical_rank(jnp.array([1.0, 1e-3, 1e-9])))
  2
  """
  return jnp.sum(s > tolerance * jnp.max(s))


def _over_largest(s: Float[Array, ' k']) -> Float[Array, ' k']:
  """Squares of these neither overflow nor vanish."""
  top = jnp.max(s)
  return s / jnp.where(top > 0, top, 1)
