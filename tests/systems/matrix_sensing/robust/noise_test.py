"""Noise of measurements: shares, sizes, and what an adversary does."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.matrix_sensing.robust import noise, sign_rip

M = 4000
HP = SimpleNamespace(outliers=0.3, size=10.0)
KEY = jax.random.key(0)


def test_outliers_are_a_share_of_gaussians():
  s = np.sqrt(M) * np.array(noise.outliers(KEY, M, HP, jnp.float64))
  spoilt = s != 0
  assert abs(spoilt.mean() - 0.3) < 0.03
  assert abs(s[spoilt].std() / 10 - 1) < 0.06
  more = noise.outliers(KEY, M, SimpleNamespace(outliers=0.5, size=10.0))
  assert np.all(np.array(more)[spoilt] != 0)  # of the same draw


def test_dense_and_heavy_tailed_noise():
  s = np.sqrt(M) * np.array(noise.dense(KEY, M, HP, jnp.float64))
  assert abs(s.std() / 10 - 1) < 0.05
  s = np.sqrt(M) * np.array(noise.heavy_tailed(KEY, M, HP, jnp.float64))
  quartile = np.quantile(np.abs(s), 0.5)  # of Cauchy: its scale
  assert abs(quartile / 10 - 1) < 0.1
  assert np.abs(s).max() > 1000


def test_the_adversary_speaks_against_the_truth():
  clean = jax.random.normal(jax.random.key(1), (M,)) / M**0.5
  s = noise.sign_aligned(KEY, M, HP, clean=clean)
  spoilt = np.array(s) != 0
  assert abs(spoilt.mean() - 0.3) < 0.03
  assert np.all(np.array(s * clean)[spoilt] < 0)
  np.testing.assert_allclose(np.abs(s)[spoilt], 10 / M**0.5, rtol=1e-6, atol=0)


def test_sign_rip_is_exact_at_one_matrix():
  """δ is reached by the top of what is left, and by nothing of rank q more."""
  rng = np.random.default_rng(0)
  Q, X = rng.normal(size=(2, 5, 5))
  phi, delta = sign_rip(jnp.array(Q), jnp.array(X), 2)
  along = X / np.linalg.norm(X)
  np.testing.assert_allclose(phi, np.vdot(Q, along), rtol=1e-12, atol=0)
  left = Q - phi * along
  U, s, Vt = np.linalg.svd(left)
  Y = (U[:, :2] * s[:2]) @ Vt[:2]
  reached = np.vdot(left, Y) / np.linalg.norm(Y)
  np.testing.assert_allclose(reached, phi * delta, rtol=1e-10, atol=0)
  with pytest.raises(ValueError, match='rank is 6'):
    sign_rip(jnp.array(Q), jnp.array(X), 6)
