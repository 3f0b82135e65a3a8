"""Laws of linear convergence: the rate of the slowest mode.

All errors are *squared* Frobenius errors ‖FGᵀ − M‖_F², all rates are slopes of
their natural logarithm per step, step sizes η are those of
L = ¼‖A(XXᵀ) − y‖² and L = ½‖A(FGᵀ) − y‖². Everything is a scalar function of
scalars (or broadcasts), jittable and differentiable.

References:
  [1] Xiong, Ding, Du, "How Over-Parameterization Slows Down Gradient Descent in
      Matrix Sensing: The Curses of Symmetry and Initialization", 2023.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

__all__ = [
  'Pair',
  'balanced_eigenvalue',
  'balanced_rate',
  'linear_rate',
  'measured_share',
  'noise_eigenvalue',
  'pair_step',
  'signal_pair',
  'stability_edge',
  'time_to_error',
]

Scalar = Float[ArrayLike, '...']


def linear_rate(
  eta: Scalar, eigenvalue: Scalar, highest: Scalar = 0.0
) -> Float[Array, '']:
  """Slope of ln(squared error) when the slowest mode contracts linearly.

      d ln‖E_t‖² / dt = 2 ln max(|1 − ηλ|, |1 − ηλ_max|)

  λ is σ_r for the exactly parametrised symmetric problem at population, the
  smallest eigenvalue of F_∞ᵀF_∞ on the noise block for the asymmetric
  over-parametrised one, and λ⁺_min(JᵀJ) of the Jacobian J of
  (F, G) ↦ A(FGᵀ) at the limit in *every* linear case (derived by linearising
  the step at the limit). Near the edge of stability, ηλ_max > 2 − ηλ, it is the
  *fastest* mode of the flow that converges last: it overshoots.

  Args:
    eta: Step size η.
    eigenvalue: λ of the slowest mode, 0 < ηλ < 1.
    highest: λ_max, such as 2σ_1 at a symmetric solution; 0 where it does not
      matter.

  Returns:
    The slope per step, negative if it converges.

  >>> round(float(linear_rate(0.2, 0.5)), 4)
  -0.2107
  >>> round(float(linear_rate(0.9, 0.5, 2.0)), 4)
  -0.4463
  """
  eta = jnp.asarray(eta)
  # log1p keeps the digits of a small ηλ.
  slow = jnp.log1p(-eta * eigenvalue)
  fast = jnp.log(jnp.abs(1 - eta * highest))
  return 2 * jnp.where(jnp.asarray(highest) > 0, jnp.maximum(slow, fast), slow)


def signal_pair(
  sigma: Scalar, imbalance: Scalar
) -> tuple[Float[Array, ''], Float[Array, '']]:
  """Squares of the two factors of a singular value, from their imbalance.

      a²b² = σ²,  a² − b² = δ:   a², b² = (√(δ² + 4σ²) ± δ) / 2

  At the limit of FGᵀ the cross blocks of σ contract by 1 − ηa² and 1 − ηb² a
  step, and its own block by 1 − η(a² + b²).

  Args:
    sigma: Singular value σ of the truth.
    imbalance: δ, eigenvalue of FᵀF − GᵀG on it.

  Returns:
    (a², b²).

  >>> [round(float(x), 3) for x in signal_pair(0.5, 0.0)]
  [0.5, 0.5]
  >>> [round(float(x), 3) for x in signal_pair(1.0, 1.5)]
  [2.0, 0.5]
  """
  delta = jnp.asarray(imbalance)
  root = jnp.sqrt(jnp.square(delta) + 4 * jnp.square(jnp.asarray(sigma)))
  return (root + delta) / 2, (root - delta) / 2


def measured_share(
  m: Scalar, slow: Scalar, rest: Scalar = 0.0
) -> Float[Array, '']:
  """Share of the slowest eigenvalue of JᵀJ that m Gaussian measurements leave.

      λ⁺_min(JᵀJ) / λ  →  (√(m − d_rest) − √d_slow)² / m

  for d_slow modes of the population's eigenvalue λ and d_rest that are much
  faster. Derived: A restricted to the tangent space is Gaussian, the fast modes
  are eliminated, and the Schur complement of a Wishart matrix is one with
  m − d_rest degrees of freedom; its lower edge is Marchenko–Pastur's. With
  d_rest = 0 and d_slow the dimension of the whole space it is a lower bound.

  Args:
    m: Measurements.
    slow: d_slow, dimensions of the slowest mode.
    rest: d_rest, dimensions of the faster ones.

  Returns:
    A share between 0 and 1; 0 if there are not enough measurements.

  >>> round(float(measured_share(600, 162, 63)), 3)
  0.182
  """
  free = jnp.maximum(jnp.asarray(m, float) - rest, 0.0)
  edge = jnp.maximum(jnp.sqrt(free) - jnp.sqrt(slow), 0.0)
  return jnp.square(edge) / m


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


def balanced_eigenvalue(
  beta2: Scalar, sigma_r: Scalar, error: Scalar = 0.0
) -> Float[Array, '']:
  """Slowest mode after the one modified step, whatever the scale of the start.

      λ = min(β², b²),   b² = σ_r²/β² at error 0

  F = βP has the noise block contract by ηβ², the signal's cross block by ηb²;
  the best choice is β² = σ_r. If the step comes while σ_r is still short by e,
  G has (σ_r − e)/β there and an imbalance δ = β² − (σ_r − e)²/β² is left for
  ever: then b² is that of `signal_pair`(σ_r, δ), which is less.

  Args:
    beta2: β².
    sigma_r: Smallest singular value of the truth.
    error: e, by how much FGᵀ fell short of σ_r at that step; at most the norm
      of the error then.

  Returns:
    λ at population.

  >>> float(balanced_eigenvalue(0.5, 0.5))
  0.5
  >>> print(f'{balanced_eigenvalue(0.125, 0.125, error=0.06):.3f}')
  0.087
  """
  beta2, sigma_r = jnp.asarray(beta2), jnp.asarray(sigma_r)
  found = jnp.maximum(sigma_r - error, 0.0)
  _, cross = signal_pair(sigma_r, beta2 - jnp.square(found) / beta2)
  return jnp.minimum(beta2, cross)


def balanced_rate(
  eta: Scalar, beta2: Scalar, sigma_r: Scalar, error: Scalar = 0.0
) -> Float[Array, '']:
  """Rate after the one modified step: 2 ln(1 − η `balanced_eigenvalue`).

  Args:
    eta: Step size η.
    beta2: β².
    sigma_r: Smallest singular value of the truth.
    error: By how much FGᵀ fell short of σ_r at that step.

  Returns:
    The slope per step at population, negative.

  >>> round(float(balanced_rate(0.2, 0.5, 0.5)), 4)
  -0.2107
  """
  return linear_rate(eta, balanced_eigenvalue(beta2, sigma_r, error))


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
