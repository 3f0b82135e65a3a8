"""Laws of deep products, greedy learning and SGD, against recursions."""

import numpy as np
import pytest

from framework.systems.matrix_sensing import theory


def product(depth, eta, alpha, sigma, steps):
  """One eigenvalue of a balanced product, step by step."""
  w = np.full(depth, alpha)
  path = [w.prod()]
  for _ in range(steps):
    w = w - eta * (w.prod() - sigma) * w.prod() / w
    path.append(w.prod())
  return np.array(path)


@pytest.mark.parametrize('depth', [2, 3, 5])
def test_the_tail_of_a_deep_product(depth):
  path = product(depth, 0.02, 0.7, 0.0, 5000)
  for t in (500, 5000):
    law = theory.deep_noise(t, depth, 0.02, 0.7, 3)
    np.testing.assert_allclose(3 * path[t] ** 2, law, rtol=0.03, atol=0)


@pytest.mark.parametrize('depth', [2, 3, 4])
def test_the_plateau_of_a_deep_product(depth):
  path = product(depth, 0.01, 0.3, 0.8, 5000)
  escaped = int(np.argmax(path >= 0.4))
  law = theory.deep_escape(0.8, depth, 0.01, 0.3)
  np.testing.assert_allclose(escaped, law, rtol=0.03, atol=1)
  assert theory.deep_escape(0.1, depth, 0.01, 0.9) == 0


def test_half_times_are_exponential_from_small():
  law = np.log(0.5**0.5 / 1e-6) / np.log1p(0.1 * 0.5)
  found = theory.half_time(0.5, 0.1, 1e-6)
  np.testing.assert_allclose(found, law, rtol=0.03, atol=0)
  assert theory.half_time(0.5, 0.1, 0.6) == 0


def test_the_balancing_rate_is_the_mean_change_of_one_step():
  n, b, eta, noise, rng = 6, 4, 0.05, 0.7, np.random.default_rng(0)
  F, G = rng.normal(size=(n, 2)), 0.1 * rng.normal(size=(n, 2))
  before = F.T @ F - G.T @ G
  changes = []
  for _ in range(4000):  # at the truth: E = 0
    A = rng.normal(size=(b, n, n))
    D = np.einsum('i,ijk->jk', noise * rng.normal(size=b), A) / b
    after_F, after_G = F - eta * D @ G, G - eta * D.T @ F
    changes.append(after_F.T @ after_F - after_G.T @ after_G - before)
  rate = np.expm1(theory.balancing_rate(eta, n, b, noise))
  np.testing.assert_allclose(
    np.mean(changes, 0), rate * before, rtol=0, atol=0.1 * abs(rate) * 10
  )
  np.testing.assert_allclose(
    np.trace(np.mean(changes, 0)) / np.trace(before), rate, rtol=0.05, atol=0
  )
