import numpy as np
import pytest

from framework.probes import cka


def features(seed, rows, width):
  return np.random.default_rng(seed).standard_normal((rows, width)) + 3


@pytest.mark.parametrize('rows, p, q', [(20, 3, 5), (6, 9, 4), (6, 2, 30)])
def test_it_is_the_ratio_of_hilbert_schmidt_independence(rows, p, q):
  """HSIC(K, L) ∝ tr(K H L H) with H = I − 11ᵀ/n, narrow and wide alike."""
  X, Y = features(0, rows, p), features(1, rows, q)
  H = np.eye(rows) - 1 / rows
  K, L = (H @ (Z @ Z.T) @ H for Z in (X, Y))
  want = np.trace(K @ L) / np.sqrt(np.trace(K @ K) * np.trace(L @ L))
  np.testing.assert_allclose(cka(X, Y), want, rtol=1e-9, atol=0)
  np.testing.assert_allclose(cka(Y, X), want, rtol=1e-9, atol=0)


@pytest.mark.parametrize('rows, width', [(20, 4), (5, 8)])
def test_rotations_scales_and_shifts_change_nothing(rows, width):
  X = features(0, rows, width)
  Q = np.linalg.qr(features(1, width, width))[0]
  for scale in (1e-100, 1.0, 1e100):
    Y = scale * (X @ Q + 7)
    np.testing.assert_allclose(cka(X, Y), 1, rtol=1e-9, atol=0)


def test_features_of_other_rows_share_nothing():
  """Two features, orthogonal once centred."""
  X = np.array([[1.0], [-1.0], [0.0], [0.0]])
  Y = np.array([[0.0], [0.0], [1.0], [-1.0]])
  assert cka(X, Y) == 0


def test_features_that_tell_no_rows_apart():
  assert cka(np.ones((5, 2)), features(0, 5, 3)) == 0
