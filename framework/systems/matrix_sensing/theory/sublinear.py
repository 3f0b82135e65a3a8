"""Laws of columns beyond the rank: squared errors that fall as 1/t².

All errors are *squared* Frobenius errors ‖XXᵀ − M‖_F², step sizes η are those
of L = ¼‖A(XXᵀ) − y‖². Scalar functions of scalars (or what broadcasts),
jittable and differentiable.

References:
  [1] Xiong, Ding, Du, "How Over-Parameterization Slows Down Gradient Descent in
      Matrix Sensing: The Curses of Symmetry and Initialization", 2023.
  [2] Zhuo, Kwon, Ho, Caramanis, "On the computational and statistical
      complexity of over-parameterized matrix sensing", 2021.
"""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

__all__ = [
  'crossover',
  'damped_noise',
  'scalar_noise',
  'sublinear',
  'sublinear_corrected',
]

Scalar = Float[ArrayLike, '...']


def sublinear(t: Scalar, k: Scalar, r: Scalar, eta: Scalar) -> Float[Array, '']:
  """Squared error of the over-parametrised symmetric problem, leading order.

      ‖X_tX_tᵀ − M‖_F² → (k − r) / (4η²t²),   t ≫ 1/(2ηα²)

  The lower bound Ω(1/T²) of [1] with its constant at population: each of the
  k − r noise singular values follows x⁺ = x(1 − ηx²), so x_t² → 1/(2ηt).

  Args:
    t: Step.
    k: Columns of X.
    r: Rank of the truth, r < k.
    eta: Step size η.

  Returns:
    The squared error.

  >>> round(float(sublinear(1000.0, 5, 3, 0.2)), 9)
  1.25e-05
  """
  return (jnp.asarray(k) - r) / (4 * jnp.square(jnp.asarray(eta) * t))


def scalar_noise(t: Scalar, x0: Scalar, eta: Scalar) -> Float[Array, '']:
  """The scalar toy x⁺ = x(1 − ηx²) after t steps, to three terms.

      1/x_t² = 1/x_0² + 2ηt + (3/2) η ln(1 + 2ηx_0²t) + O(η²x_0²)

  Derived from 1/(1 − ηx²)² = 1 + 2ηx² + 3η²x⁴ + ...: each step adds
  2η + 3η²x² to 1/x², and Σ x_s² ≈ ln(1 + 2ηx_0²t)/(2η). What is left out stays
  bounded: for small ηx_0² it tends to (5/4) η²x_0².

  Args:
    t: Step.
    x0: Start x_0.
    eta: Step size η.

  Returns:
    x_t.
  """
  eta = jnp.asarray(eta)
  growth = 2 * eta * t + 1.5 * eta * jnp.log1p(2 * eta * x0**2 * t)
  return 1 / jnp.sqrt(1 / jnp.square(x0) + growth)


def sublinear_corrected(
  t: Scalar, noise: Float[Array, ' k_minus_r'], eta: Scalar
) -> Float[Array, '']:
  """Squared error with the starting scale and the logarithm kept.

      ‖X_tX_tᵀ − M‖_F² ≈ Σ_i x_{i,t}⁴,   x_{i,t} from `scalar_noise`

  Args:
    t: Step.
    noise: Singular values of the noise block at t = 0, about α each.
    eta: Step size η.

  Returns:
    The squared error; tends to `sublinear` for t ≫ `crossover`.
  """
  return jnp.sum(scalar_noise(t, jnp.asarray(noise), eta) ** 4)


def crossover(eta: Scalar, alpha: Scalar) -> Float[Array, '']:
  """The step after which the 1/t² law shows: t* = 1/(2ηα²).

  Args:
    eta: Step size η.
    alpha: Smallest noise singular value at the start.

  Returns:
    t*.

  >>> round(float(crossover(0.2, 0.3)), 2)
  27.78
  """
  return 1 / (2 * jnp.asarray(eta) * jnp.square(alpha))


def damped_noise(
  t: Scalar, x0: Scalar, eta: Scalar, damping: Scalar
) -> Float[Array, '']:
  """The scalar toy of ScaledGD(λ): x⁺ = x(1 − ηx²/(x² + λ)) after t steps.

      λ/x_t² + ln(1/x_t²) = 2ηt + λ/x_0² + ln(1/x_0²) + O(ηln)

  Derived from d(x²)/dt = −2ηx⁴/(x² + λ): linear while x² ≫ λ, and where
  x² ≪ λ it is gradient descent with the step η/λ, so that the squared error
  tends to λ² times `sublinear`.

  Args:
    t: Step.
    x0: Start x_0.
    eta: Step size η.
    damping: λ > 0.

  Returns:
    x_t.

  >>> round(float(damped_noise(4000.0, 0.3, 0.2, 1e-3)), 7)
  0.0007935
  """
  eta, u0 = jnp.asarray(eta), jnp.square(jnp.asarray(x0))
  size = 2 * eta * t + damping / u0 - jnp.log(u0 / damping)

  # v + ln v = size for v = λ/u, by Newton's method in w = ln v.
  w = jnp.where(size > 1, jnp.log(jnp.maximum(size, 1.0)), size)
  for _ in range(6):  # it is convex: each step doubles the digits
    v = jnp.exp(w)
    w = w - (v + w - size) / (v + 1)
  return jnp.sqrt(damping * jnp.exp(-w))
