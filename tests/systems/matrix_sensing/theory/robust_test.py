"""Laws of the sub-gradient method, against what they are laws of."""

import numpy as np
import pytest

from framework.systems.matrix_sensing import theory


def test_phi_is_an_expectation():
  rng = np.random.default_rng(0)
  p, size, error = 0.3, 2.0, 1.3
  s = np.where(rng.random(400_000) < p, size * rng.normal(size=400_000), 0)
  law = np.sqrt(2 / np.pi) * np.mean(np.exp(-(s**2) / (2 * error**2)))
  np.testing.assert_allclose(
    theory.sign_rip_phi(error, p, size), law, rtol=5e-3, atol=0
  )


@pytest.mark.parametrize('rank', [1, 6, 20])
def test_delta_is_the_top_of_a_semicircle(rank):
  n, m, rng = 200, 1000, np.random.default_rng(0)
  B = rng.normal(size=(n, n)) / m**0.5
  sizes = np.sort(np.abs(np.linalg.eigvalsh((B + B.T) / 2)))[::-1]
  law = np.sqrt(np.sum(sizes[:rank] ** 2))
  found = theory.sign_rip_delta(m, n, rank, 1.0)
  np.testing.assert_allclose(found, law, rtol=0.08, atol=0)


def test_the_effective_step_is_that_of_a_quantile():
  rng = np.random.default_rng(0)
  p, level, size = 0.4, 0.25, 1e3
  z = rng.normal(size=400_000)
  spoilt = np.where(rng.random(z.size) < p, size * z, z)
  stretched = np.quantile(np.abs(spoilt), level) / np.quantile(np.abs(z), level)
  found = theory.effective_step(0.2, level, p)
  np.testing.assert_allclose(
    found, 0.2 * (1 - p) * stretched, rtol=0.01, atol=0
  )
  assert theory.effective_step(0.2, 0.5, 0.5) == np.inf


def test_travel_is_that_of_the_recursion():
  sigma, alpha, phi = np.array([1.0, 0.5]), 1e-4, 0.6
  norm, eta = np.linalg.norm(sigma), 1e-3
  steps = np.log(np.sqrt(0.5) / alpha) / np.log1p(eta * phi * 0.5 / norm)
  found = theory.travel(norm, phi, 0.5, alpha)
  np.testing.assert_allclose(found, eta * steps, rtol=1e-3, atol=0)


def test_the_oracle_takes_its_share_of_the_noise():
  """A linear fit of d numbers to m measurements of unit variance."""
  d, m, size, rng = 30, 2000, 0.7, np.random.default_rng(0)
  A, s = rng.normal(size=(m, d)), size * rng.normal(size=m)
  law = np.linalg.norm(np.linalg.lstsq(A, s, rcond=None)[0])
  n, k = 8, 5  # 5 (16 - 5 + 1)/2 = 30 numbers
  found = theory.oracle_error(size, n, k, m)
  np.testing.assert_allclose(found, law, rtol=0.3, atol=0)
  np.testing.assert_allclose(found, size * (d / m) ** 0.5, rtol=1e-6, atol=0)
