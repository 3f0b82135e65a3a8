"""What the theorems predict for matrix sensing, as numbers.

All errors are *squared* Frobenius errors ‖FGᵀ − M‖_F², all rates are slopes of
their natural logarithm per step, step sizes η are those of
L = ¼‖A(XXᵀ) − y‖² and L = ½‖A(FGᵀ) − y‖². Everything is a scalar function of
scalars (or broadcasts), jittable and differentiable.

References:
  [1] Xiong, Ding, Du, "How Over-Parameterization Slows Down Gradient Descent in
      Matrix Sensing: The Curses of Symmetry and Initialization", 2023.
  [2] Zhuo, Kwon, Ho, Caramanis, "On the computational and statistical
      complexity of over-parameterized matrix sensing", 2021.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

__all__ = [
  'Pair',
  'balanced_rate',
  'crossover',
  'linear_rate',
  'noise_eigenvalue',
  'pair_step',
  'scalar_noise',
  'stability_edge',
  'sublinear',
  'sublinear_corrected',
  'time_to_error',
]

Scalar = Float[ArrayLike, '...']


def linear_rate(eta: Scalar, eigenvalue: Scalar) -> Float[Array, '']:
  """Slope of ln(squared error) when the slowest mode contracts linearly.

      d ln‖E_t‖² / dt = 2 ln(1 − ηλ)

  λ is σ_r for the exactly parametrised symmetric problem at population, the
  smallest eigenvalue of F_∞ᵀF_∞ on the noise block for the asymmetric
  over-parametrised one, and λ⁺_min(JᵀJ) of the Jacobian J of
  (F, G) ↦ A(FGᵀ) at the limit in *every* linear case (derived by linearising
  the step at the limit).

  Args:
    eta: Step size η.
    eigenvalue: λ of the slowest mode, 0 < ηλ < 1.

  Returns:
    The slope per step, negative.

  >>> round(float(linear_rate(0.2, 0.5)), 4)
  -0.2107
  """
  return 2 * jnp.log1p(-jnp.asarray(eta) * eigenvalue)


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


def noise_eigenvalue(
  alpha: Scalar, ratio: Scalar, n: Scalar, k: Scalar, r: Scalar
) -> Float[Array, '']:
  """Smallest imbalance on the noise block of a Gaussian start, large n.

      λ_min(Δ)/α² → max_u u/(u + c) − ρ²u/(u − cρ²) − u,   c = (k − r)/n

  for F_0 = αF̃, G_0 = ραG̃ with entries N(0, 1/n): the left edge of the free
  difference of two Marchenko–Pastur laws, (1 − √c)² at ρ = 0 and 1 − ρ² at
  c → 0 (derived: the edge is where R_F(z) + R_−G(z) + 1/z turns, z = −1/u).
  Δ = FᵀF − GᵀG is conserved up to O(η²), so λ is what remains of F on the noise
  block when G has died there; at λ < 0, k too near n, it does not die. Finite
  blocks lie above the edge: by 40 % on average at n = 50, k − r = 2.

  Args:
    alpha: Scale α of F_0.
    ratio: Scale of G_0 over that of F_0, ρ < 1.
    n: Rows.
    k: Columns.
    r: Rank of the truth.

  Returns:
    λ, of the order α²; infinite if k ≤ r, where there is no noise block.

  >>> round(float(noise_eigenvalue(1.0, 1 / 3, 50, 5, 3)), 3)
  0.526
  """
  rho2 = jnp.square(jnp.asarray(ratio, float))
  c = (k - jnp.asarray(r)) / n

  # The derivative vanishes where two shares that fall with u sum to one: one of
  # them is at least 1 at `low`, both are at most 1/2 at `high`.
  def bound(root):
    return jnp.maximum(root - c, (root + c) * rho2)

  def halve(_, bracket):
    low, high = bracket
    u = (low + high) / 2
    shares = c / jnp.square(u + c) + c * rho2**2 / jnp.square(u - c * rho2)
    return jnp.where(shares > 1, u, low), jnp.where(shares > 1, high, u)

  bracket = bound(jnp.sqrt(c)), bound(jnp.sqrt(2 * c))
  _, u = jax.lax.fori_loop(0, 50, halve, bracket)
  # At a maximum λ depends on the rest as if u were fixed.
  u = jax.lax.stop_gradient(u)
  edge = u / (u + c) - rho2 * u / (u - c * rho2) - u
  return jnp.where(c > 0, jnp.square(alpha) * edge, jnp.inf)


def balanced_rate(
  eta: Scalar, beta2: Scalar, sigma_r: Scalar
) -> Float[Array, '']:
  """Rate after the one modified step, independent of α.

      2 ln(1 − η min(β², σ_r²/β²))

  F = βP has the noise block contract by ηβ², the signal's cross block by
  ησ_r²/β²; the best choice is β² = σ_r.

  Args:
    eta: Step size η.
    beta2: β².
    sigma_r: Smallest singular value of the truth.

  Returns:
    The slope per step at population, negative.

  >>> round(float(balanced_rate(0.2, 0.5, 0.5)), 4)
  -0.2107
  """
  cross = jnp.square(sigma_r) / jnp.asarray(beta2)
  return linear_rate(eta, jnp.minimum(beta2, cross))


def stability_edge(
  sigma_1: Scalar, beta2: Scalar | None = None
) -> Float[Array, '']:
  """Largest stable step size at the solution at population.

      2/(2σ_1) balanced and symmetric;  2/(β² + σ_1²/β²) after balancing

  With measurements, divide by 1 + δ of the restricted isometry.

  Args:
    sigma_1: Largest singular value of the truth.
    beta2: β² of the balancing step; None for the balanced solution.

  Returns:
    The edge η*.

  >>> float(stability_edge(1.0)), float(stability_edge(1.0, 0.5))
  (1.0, 0.8)
  """
  sigma_1 = jnp.asarray(sigma_1)
  if beta2 is None:
    return 1 / sigma_1
  beta2 = jnp.asarray(beta2)
  return 2 / (beta2 + jnp.square(sigma_1) / beta2)


def time_to_error(
  level: Scalar, start: Scalar, rate: Scalar
) -> Float[Array, '']:
  """Steps until a linearly converging squared error falls to a level.

      t = ln(start / level) / |rate|

  Args:
    level: Squared error to reach.
    start: Squared error of the slow mode at t = 0, extrapolated back.
    rate: Slope of its logarithm, negative.

  Returns:
    Steps, 0 when it starts below.

  >>> round(float(time_to_error(1e-6, 1e-2, -0.01)), 1)
  921.0
  """
  steps = jnp.log(jnp.asarray(start) / level) / jnp.abs(rate)
  return jnp.maximum(steps, 0.0)


class Pair(NamedTuple):
  """The asymmetric scalar toy."""

  a: Float[Array, '']
  b: Float[Array, '']


def pair_step(pair: Pair, eta: Scalar) -> Pair:
  """One step on the noise pair: a⁺ = a(1 − ηb²), b⁺ = b(1 − ηa²).

  The imbalance is multiplied by an exact factor,

      a⁺² − b⁺² = (a² − b²)(1 − η²a²b²),

  so Δ_∞ = Δ_0 Π_t (1 − η²a_t²b_t²), and b dies at the rate ln(1 − ηΔ_∞).

  Args:
    pair: (a, b).
    eta: Step size η.

  Returns:
    The next pair.

  >>> p = pair_step(Pair(jnp.float32(1), jnp.float32(0.5)), 0.5)
  >>> float(p.a), float(p.b)
  (0.875, 0.25)
  """
  a, b = pair
  return Pair(a * (1 - eta * b**2), b * (1 - eta * a**2))
