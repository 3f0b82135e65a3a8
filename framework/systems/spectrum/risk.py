"""The exact risk of ridge regression with random features, or with a kernel.

n samples, k random features, ridge δ (the predictor uses (K + δI)⁻¹, with K the
mean over features of their outer products), label noise σ². Two numbers
κ, γ >= 0 solve [1]

    n = Σ λ_i/(λ_i+γ) + δ/κ,        k = Σ λ_i/(λ_i+γ) + kκ/γ.

With z = Σ λ_i/(λ_i+γ), s = Σ λ_i γ/(λ_i+γ)², b_0 = Σ v_i² γ²/(λ_i+γ)²,
b_1 = Σ v_i² γ/(λ_i+γ), a = n − z = δ/κ and b = k − z = kκ/γ,

    E_test = n [b b_0 + s b_1 + (b + s) σ²] / [a b + s (a + b)],
    E_train = (a/n)² E_test,

in which no term is negative: nothing cancels, not even at k = n and a vanishing
ridge. Since a b = δk/γ and a − b = n − k, a and b are functions of γ, and one
equation is left, z(γ) + a(γ) = n, which falls in γ. k = ∞ is kernel ridge
regression, and δ = 0 the limit δ → 0+.

*Deviation*: [1] writes the two risks as quotients of differences, which lose
up to half the digits; the forms here are equal to them.

References:
  [1] Simon, Karkada, Ghosh, Belkin, "More is Better in Modern Machine Learning:
      when Infinite Overparameterization is Optimal and Overfitting is
      Obligatory", 2023.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from framework.systems.spectrum import spectra
from framework.systems.spectrum.spectra import Spectrum

__all__ = ['Risk', 'krr_risk', 'optimal_ratio', 'rf_risk']

_NATS = 250.0  # how far below its upper bound γ is looked for
_HALVINGS = {8: 60, 4: 32}  # bytes of a number: until the bracket is rounding
_CONVERGES = 0.3  # λ_M/γ up to which the tail's power series is exact


class Risk(NamedTuple):
  """Risks of a ridge regression, and the two numbers behind them."""

  test: Float[Array, '']  # mean squared error on new noisy labels
  train: Float[Array, '']  # mean squared error on its own samples
  kappa: Float[Array, '']  # κ: effective ridge
  gamma: Float[Array, '']  # γ: eigenvalue below which nothing is learnt
  learned: Float[Array, '']  # z: modes that are learnt
  bias: Float[Array, '']  # b_0: power of the target that is not


class _Sums(NamedTuple):
  z: Array
  s: Array
  b0: Array
  b1: Array


@jax.jit
def rf_risk(
  spectrum: Spectrum,
  noise: Float[ArrayLike, ''],
  n: Float[ArrayLike, ''],
  k: Float[ArrayLike, ''],
  ridge: Float[ArrayLike, ''],
) -> Risk:
  """The risk of ridge regression on k random features.

  Differentiable in whatever is not a count, through the implicit function.

  Args:
    spectrum: Eigenvalues and target; of one with a tail at least 3 min(n, k)
      modes are to be kept.
    noise: Variance σ² of the labels' noise, >= 0.
    n: Samples > 0.
    k: Features > 0; infinity is the kernel itself.
    ridge: δ >= 0; zero is the limit from above.

  Returns:
    A `Risk`; NaN where a spectrum with a tail keeps too few modes.

  >>> s = spectra.unit_power(spectra.power_law(1.5, 1.25, 2000, tail=False))
  >>> print(rf_risk(s, 0.0, 256, 128, 0.1).test.round(4))
  0.3352
  """
  dtype = spectrum.lam.dtype
  noise, n, k, ridge = (jnp.asarray(x, dtype) for x in (noise, n, k, ridge))
  kernel = jnp.isinf(k)
  k_here = jnp.where(kernel, 2 * n, k)  # any number: it is not looked at

  def sides(gamma, n, k, kernel, ridge):
    """(a, b), from a b = δk/γ and a − b = n − k."""
    product, gap = ridge / gamma * k, jnp.abs(n - k)
    large = (gap + jnp.sqrt(gap**2 + 4 * product)) / 2
    small = jnp.where(large > 0, product / jnp.where(large > 0, large, 1), 0)
    a = jnp.where(n >= k, large, small)
    b = jnp.where(n >= k, small, large)
    return jnp.where(kernel, ridge / gamma, a), b

  # Bounds are of values: a derivative passes through the equation alone.
  held = jax.lax.stop_gradient
  most = jnp.minimum(n, jnp.where(kernel, n, k))
  high = held(4 * (spectra.trace(spectrum) + ridge) / most)
  nats = _NATS if dtype.itemsize == 8 else _NATS / 4

  def equation(gamma):
    a, _ = sides(gamma, n, k_here, kernel, ridge)
    return _sums(spectrum, gamma).z + a - n

  def solve(equation, start):
    del start
    log_high = jnp.log(high)

    def halve(_, bracket):
      low, up = bracket
      middle = (low + up) / 2
      above = equation(jnp.exp(middle)) > 0  # the root is at a larger γ
      return jnp.where(above, middle, low), jnp.where(above, up, middle)

    low, up = jax.lax.fori_loop(
      0, _HALVINGS[dtype.itemsize], halve, (log_high - nats, log_high)
    )
    gamma = jnp.exp((low + up) / 2)
    # The logarithm has lost its last digits: two steps of Newton's rule.
    for _ in range(2):
      value, slope = jax.jvp(equation, (gamma,), (gamma,))
      move = jnp.where(slope < 0, -value / jnp.where(slope < 0, slope, -1), 0)
      gamma = gamma * (1 + jnp.clip(move, -1e-3, 1e-3))
    return gamma

  gamma = jax.lax.custom_root(
    equation, high, solve, lambda linear, y: y / linear(jnp.ones_like(y))
  )
  sums = _sums(spectrum, gamma)
  a, b = sides(gamma, n, k_here, kernel, ridge)
  # Fewer modes than samples and features, and no ridge: γ vanishes.
  unsolved = gamma <= held(high) * math.exp(-0.9 * nats)
  a = jnp.where(unsolved, n - sums.z, a)
  b = jnp.where(unsolved, k_here - sums.z, b)
  z, s, b0, b1 = sums
  finite = (b * b0 + s * b1 + (b + s) * noise) / (a * b + s * (a + b))
  test = n * jnp.where(kernel, (b0 + noise) / (a + s), finite)
  kappa = jnp.where(kernel, gamma, gamma * b / k_here)
  # At k = n without ridge the test risk is infinite, the train risk zero.
  train = jnp.where(a > 0, (a / n) ** 2 * test, 0)
  return Risk(test, train, kappa, gamma, z, b0)


@jax.jit
def krr_risk(
  spectrum: Spectrum,
  noise: Float[ArrayLike, ''],
  n: Float[ArrayLike, ''],
  ridge: Float[ArrayLike, ''],
) -> Risk:
  """The risk of kernel ridge regression: infinitely many random features.

      E_test = n (b_0 + σ²) / (n − Σ λ_i²/(λ_i+κ)²),    κ = γ

  Args:
    spectrum: Eigenvalues and target.
    noise: Variance σ² of the labels' noise, >= 0.
    n: Samples > 0.
    ridge: δ >= 0; zero is the limit from above.

  Returns:
    A `Risk`.

  >>> s = spectra.unit_power(spectra.power_law(1.5, 1.25, 2000, tail=False))
  >>> print(f"{krr_risk(s, 0.1, 128, 0.01).test:.4f}")
  0.4216
  """
  return rf_risk(spectrum, noise, n, jnp.inf, ridge)


def _sums(spectrum: Spectrum, gamma: Array) -> _Sums:
  """z, s, b_0 and b_1 at γ, over all modes."""
  lam, v2, tail = spectrum
  learned = lam / (lam + gamma)
  missed = gamma / (lam + gamma)
  sums = _Sums(
    jnp.sum(learned),
    jnp.sum(learned * missed),
    jnp.sum(v2 * missed**2),
    jnp.sum(v2 * missed),
  )
  if tail is None:
    return sums
  # Σ_{i>M} f(λ_i/γ), f expanded in powers of λ_i/γ.
  ratio = tail.edge / gamma
  j = jnp.arange(tail.lam.size, dtype=lam.dtype)
  known = jnp.minimum(ratio, _CONVERGES)
  powers = known**j * jnp.where(j % 2 == 0, 1, -1).astype(lam.dtype)
  rest = _Sums(
    jnp.sum(powers * known * tail.lam),
    jnp.sum(powers * known * (j + 1) * tail.lam),
    jnp.sum(powers * (j + 1) * tail.v2),
    jnp.sum(powers * tail.v2),
  )
  # Below, z is at least what it is where the series stops being exact; the
  # root cannot be there unless too few modes are kept.
  unknown = jnp.where(ratio > _CONVERGES, jnp.nan, 0).astype(lam.dtype)
  beyond = rest._replace(
    s=rest.s + unknown, b0=rest.b0 + unknown, b1=rest.b1 + unknown
  )
  return _Sums(*map(jnp.add, sums, beyond))


def optimal_ratio(
  alpha: Float[ArrayLike, ''],
  beta: Float[ArrayLike, ''],
  relative_noise: Float[ArrayLike, ''],
) -> Float[Array, '']:
  """E_train/E_test of kernel ridge regression at its best ridge, on power laws.

  λ_i = i^−α, v_i² = i^−β with 1 < β < 2α + 1, n → ∞. With r = δ/(nκ), the
  ratio is r², and the best r is the root of

      α − β − (α−1) β r + (α−1) σ²_rel (1−r)^β = 0,

  or 0 where there is none: then interpolation is best.

  Args:
    alpha: α > 1.
    beta: β > 1.
    relative_noise: σ²_rel: noise over the bias Σ v_i² κ²/(λ_i+κ)² of the
      regression without ridge.

  Returns:
    r².

  >>> print(optimal_ratio(1.5, 1.25, 0.0).round(4), optimal_ratio(1.5, 1.5, 0))
  0.16 0.0
  """
  alpha, beta, noise = map(jnp.asarray, (alpha, beta, relative_noise))
  dtype = jnp.result_type(alpha, beta, noise, jnp.float32)
  alpha, beta, noise = (x.astype(dtype) for x in (alpha, beta, noise))

  def falling(r):
    left = alpha - beta - (alpha - 1) * beta * r
    return left + (alpha - 1) * noise * (1 - r) ** beta

  def halve(_, bracket):
    low, high = bracket
    middle = (low + high) / 2
    above = falling(middle) > 0
    return jnp.where(above, middle, low), jnp.where(above, high, middle)

  shape = jnp.broadcast_shapes(alpha.shape, beta.shape, noise.shape)
  ends = jnp.zeros(shape, dtype), jnp.ones(shape, dtype)
  low, high = jax.lax.fori_loop(0, 60, halve, ends)
  r = jnp.where(falling(jnp.zeros(shape, dtype)) > 0, (low + high) / 2, 0)
  return r**2
