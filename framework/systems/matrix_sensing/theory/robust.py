"""Laws of the sub-gradient method: what it sees, and how fast it goes.

A_i has entries of unit variance, U⁺ = U − η_t Q U with the sub-gradient Q of
the mean absolute residual. Scalar functions, or of what broadcasts.

References:
  [1] Ma, Fattahi, "Global Convergence of Sub-gradient Method for Robust Matrix
      Recovery", 2022.
"""

import jax.numpy as jnp
import jax.scipy.special
from jaxtyping import Array, ArrayLike, Float

__all__ = [
  'effective_step',
  'oracle_error',
  'sign_rip_delta',
  'sign_rip_phi',
  'travel',
]

Scalar = Float[ArrayLike, '...']


def sign_rip_phi(
  error: Scalar, outliers: Scalar = 0.0, size: Scalar = jnp.inf
) -> Float[Array, '...']:
  """φ = √(2/π) E exp(−s²/2‖X‖²): the part of Q along the error X.

      √(2/π) (1 − p + p ‖X‖/√(‖X‖² + size²))

  Derived for Gaussian A_i and noise that is N(0, size²) with probability p; for
  dense noise p = 1.

  Args:
    error: ‖X‖_F.
    outliers: p.
    size: Their deviation.

  Returns:
    φ.

  >>> print(sign_rip_phi(1.0).round(4), sign_rip_phi(1.0, 1.0, 0.0).round(4))
  0.7979 0.7979
  """
  left = error / jnp.sqrt(jnp.square(error) + jnp.square(size))
  return jnp.sqrt(2 / jnp.pi) * (1 - outliers + outliers * left)


def sign_rip_delta(
  m: Scalar, n: int, rank: int, phi: Scalar
) -> Float[Array, '...']:
  """δ of Gaussian symmetric measurements: a semicircle over φ.

  Off X, Q is a symmetric matrix of independent Gaussian entries of variance
  1/2m. Its eigenvalues fill a semicircle of radius √(2n/m), in which the i-th
  largest size is at the (i − ½)/n quantile; δ φ is the norm of the first q.

  Args:
    m: Measurements.
    n: Rows.
    rank: q.
    phi: φ.

  Returns:
    δ.

  >>> round(float(sign_rip_delta(6000, 20, 6, 0.7979)), 2)
  0.19
  """
  # Sizes |λ| of a semicircle: P(|λ| <= x) = (2/π)(x√(1−x²) + asin x).
  x = jnp.linspace(0.0, 1.0, 4001)
  below = 2 / jnp.pi * (x * jnp.sqrt(1 - x**2) + jnp.arcsin(x))
  places = 1 - (jnp.arange(rank) + 0.5) / n
  sizes = jnp.interp(places, below, x)
  return jnp.sqrt(2 * n / jnp.asarray(m) * jnp.sum(sizes**2)) / phi


def effective_step(
  step: Scalar, level: Scalar, outliers: Scalar
) -> Float[Array, '...']:
  """The gradient step that a quantile step amounts to under large outliers.

      c (1 − p) z(τ/(1 − p)) / z(τ),   z(τ) = Φ⁻¹((1 + τ)/2)

  The τ-quantile of all residuals is the τ/(1 − p)-quantile of the clean ones,
  and φ is 1 − p of what it is without outliers.

  Args:
    step: c.
    level: τ.
    outliers: p.

  Returns:
    The step; infinite from the breakdown p = 1 − τ on.

  >>> print(effective_step(0.25, 0.5, 0.0), effective_step(0.25, 0.5, 0.5))
  0.25 inf
  """
  clean = 1 - jnp.asarray(outliers)
  share = jnp.minimum(jnp.asarray(level) / jnp.maximum(clean, 1e-12), 1.0)
  z = jax.scipy.special.ndtri((1 + share) / 2)
  return (
    jnp.asarray(step) * clean * z / jax.scipy.special.ndtri((1 + level) / 2)
  )


def travel(
  norm: Scalar, phi: Scalar, sigma_r: Scalar, alpha: Scalar
) -> Float[Array, '...']:
  """Σ η_t that a small start needs: (‖M‖/(φ σ_r)) ln(√σ_r/α).

  While XXᵀ is small Q is −φ M/‖M‖, and the r-th direction of U grows by
  1 + η φ σ_r/‖M‖ a step, from α to √σ_r. A clock of less travel never arrives.

  Args:
    norm: ‖M‖_F.
    phi: φ at M.
    sigma_r: Smallest singular value of M.
    alpha: Its share of the start.

  Returns:
    The sum of the step sizes.
  """
  return (
    jnp.asarray(norm) / (phi * sigma_r) * jnp.log(jnp.sqrt(sigma_r) / alpha)
  )


def oracle_error(
  size: Scalar, n: Scalar, k: Scalar, m: Scalar
) -> Float[Array, '...']:
  """Error of a fit of rank k to dense noise: size √(k(2n − k + 1)/2m).

  Least squares over the numbers that determine a symmetric n × n matrix of rank
  k, with measurements of unit variance: each takes its share of the noise.

  Args:
    size: Deviation of the noise.
    n: Rows.
    k: Rank of what is fitted.
    m: Measurements.

  Returns:
    ‖XXᵀ − M‖_F.

  >>> round(float(oracle_error(1.0, 20, 3, 1500)), 3)
  0.195
  """
  numbers = jnp.asarray(k) * (2 * n - k + 1) / 2
  return jnp.asarray(size) * jnp.sqrt(numbers / m)
