"""Every law against a direct simulation, with a tolerance that is derived."""

import pathlib

import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.matrix_sensing import theory

TOY = pathlib.Path(__file__).parents[3] / 'golden' / 'ms_toy_scalar.npz'


STARTS = (1.0, 0.3, 0.05)


def noise_path(x0, eta, steps):
  """x⁺ = x(1 − ηx²) step by step; x_0 ... x_steps."""
  path = [x0]
  for _ in range(steps):
    path.append(path[-1] * (1 - eta * path[-1] ** 2))
  return np.array(path)


def test_the_toy_is_the_stored_one():
  toy = np.load(TOY)
  for x0 in STARTS:
    path = noise_path(x0, float(toy['eta']), 10_000)
    np.testing.assert_allclose(
      path[toy['steps']], toy[f'x_{x0}'], rtol=1e-12, atol=0
    )


@pytest.mark.parametrize('x0', STARTS)
def test_three_terms_describe_the_toy(x0):
  eta, steps = 0.1, 100_000
  path = noise_path(x0, eta, steps)
  np.testing.assert_allclose(
    theory.scalar_noise(float(steps), x0, eta), path[-1], rtol=2e-6, atol=0
  )
  # What three terms leave out of 1/x² is bounded by 2η²x_0² at every step, and
  # each of them is more than that.
  t = np.arange(steps + 1)
  left_out = 1 / path**2 - 1 / theory.scalar_noise(t, x0, eta) ** 2
  assert np.max(np.abs(left_out)) < 2 * (eta * x0) ** 2
  two_terms = 1 / path**2 - 1 / x0**2 - 2 * eta * t
  assert np.max(np.abs(two_terms)) > 10 * (eta * x0) ** 2


def test_what_three_terms_leave_out():
  eta, x0 = 0.02, 0.3
  path = noise_path(x0, eta, 300_000)
  left_out = 1 / path[-1] ** 2 - 1 / theory.scalar_noise(3e5, x0, eta) ** 2
  np.testing.assert_allclose(
    left_out, 1.25 * (eta * x0) ** 2, rtol=0.02, atol=0
  )


def test_crossover_is_where_the_square_has_halved():
  eta, alpha = 0.2, 0.05
  star = float(theory.crossover(eta, alpha))
  path = noise_path(alpha, eta, round(star))
  # Corrections are of the relative size 3/2 η α² ln 2.
  np.testing.assert_allclose(
    path[-1] ** 2, alpha**2 / 2, rtol=2 * eta * 0.0025, atol=0
  )
  assert round(star) == 1000


def descend_diagonal(x, sigma, eta, steps):
  """X⁺ = X − η(XXᵀ − M)X for diagonal X and M; squared errors."""
  x, sigma = np.array(x), np.array(sigma)
  errors = [np.sum((x**2 - sigma) ** 2)]
  for _ in range(steps):
    x = x - eta * (x**2 - sigma) * x
    errors.append(np.sum((x**2 - sigma) ** 2))
  return np.array(errors)


def test_sublinear_corrected_is_the_diagonal_problem():
  eta, noise, steps = 0.2, (0.3, 0.25, 0.4), 20_000
  sigma = (1.0, 0.5, 0.0, 0.0, 0.0)
  errors = descend_diagonal((0.5, 0.5, *noise), sigma, eta, steps)
  t = np.array([300, 1000, 5000, steps])  # the signal is at rounding by 300
  law = [theory.sublinear_corrected(s, jnp.array(noise), eta) for s in t]
  # x⁴ inherits twice the remainder 2η²x_0² of 1/x² > 2ηt.
  relative = 2 * 2 * (eta * 0.4) ** 2 / (2 * eta * t)
  assert np.all(np.abs(errors[t] / np.array(law) - 1) < relative)


def test_sublinear_is_the_limit():
  eta, alpha, k, r = 0.2, 0.3, 6, 3
  noise = jnp.full(k - r, alpha)
  star = float(theory.crossover(eta, alpha))
  for factor in (1e2, 1e4, 1e6):
    t = factor * star
    ratio = theory.sublinear_corrected(t, noise, eta) / theory.sublinear(
      t, k, r, eta
    )
    # (1 + (t* + 3/4 ln(1 + t/t*))/t)^-2
    lag = (star + 0.75 * np.log1p(factor)) / t
    np.testing.assert_allclose(ratio, (1 + lag) ** -2, rtol=1e-12, atol=0)
  assert abs(ratio - 1) < 3e-6


def descend_full(n, sigma, k, eta, steps, seed=0):
  """Population descent on XXᵀ, entries and bases random; squared errors."""
  rng = np.random.default_rng(seed)
  U, _ = np.linalg.qr(rng.normal(size=(n, len(sigma))))
  M = (U * sigma) @ U.T
  X = 0.3 * rng.normal(size=(n, k)) / n**0.5
  errors = []
  for _ in range(steps + 1):
    E = X @ X.T - M
    errors.append(np.sum(E**2))
    X = X - eta * E @ X
  return np.array(errors)


def test_sublinear_of_excess_rank():
  eta, steps = 0.2, 20_000
  errors = descend_full(12, np.array([1.0, 0.5]), 4, eta, steps)
  law = float(theory.sublinear(steps, 4, 2, eta))
  # Σ (1 + lag_i)^-2 with 1/x_0² the noise block's, about twenty times 1/α²
  # at most, so a lag of at most 20/(0.09 · 8000).
  assert 1 - 2 * 20 / 0.09 / (2 * eta * steps) < errors[-1] / law < 1


@pytest.mark.parametrize(
  'x0, damping, steps, rtol',
  [(0.3, 1e-3, 4000, 2e-3), (0.3, 1e-2, 4000, 1e-3), (0.05, 0.1, 3000, 1e-3)],
)
def test_damped_noise_is_the_recursion(x0, damping, steps, rtol):
  """Left out is a constant in 1/x², of the order of the logarithm times η."""
  eta, x = 0.2, x0
  for _ in range(steps):
    x = x * (1 - eta * x**2 / (x**2 + damping))
  found = theory.damped_noise(float(steps), x0, eta, damping)
  np.testing.assert_allclose(found, x, rtol=rtol, atol=0)
  # In the end gradient descent with the step η/λ.
  late = theory.damped_noise(1e9, x0, eta, damping)
  law = theory.sublinear(1e9, 4, 3, eta / damping)
  np.testing.assert_allclose(late**4, law, rtol=1e-6, atol=0)


def test_damped_noise_begins_at_its_start():
  for x0 in (0.3, 0.01):
    found = theory.damped_noise(0.0, x0, 0.2, 1e-3)
    np.testing.assert_allclose(found, x0, rtol=1e-9, atol=0)
