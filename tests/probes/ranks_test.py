import jax
import numpy as np
import pytest

from framework import probes

RANKS = [
  probes.effective_rank,
  probes.stable_rank,
  probes.participation_ratio,
  probes.numerical_rank,
]


@pytest.mark.parametrize('rank', RANKS)
@pytest.mark.parametrize('scale', [1.0, 1e-30, 1e30])
def test_equal_singular_values_are_counted(rank, scale):
  for m in (1, 3):
    s = np.zeros(5, np.float32)
    s[1 : 1 + m] = scale
    np.testing.assert_allclose(rank(s), m, rtol=1e-6, atol=0)


@pytest.mark.parametrize('rank', RANKS)
def test_the_zero_matrix_has_none(rank):
  assert rank(np.zeros(3)) == 0


def test_two_different_singular_values():
  """σ = (2, 1): the entropy of (2/3, 1/3); 5/4; 25/17."""
  s = np.array([1.0, 0.0, 2.0])
  entropy = -(2 * np.log(2 / 3) + np.log(1 / 3)) / 3
  for rank, want in zip(
    RANKS, (np.exp(entropy), 5 / 4, 25 / 17, 2), strict=True
  ):
    np.testing.assert_allclose(rank(s), want, rtol=1e-12, atol=0)
  assert probes.numerical_rank(s, 0.6) == 1


@pytest.mark.parametrize('rank', RANKS[:3])
def test_slopes_are_finite_at_rank_one(rank):
  slope = jax.jit(jax.jacfwd(rank))(np.array([1.0, 1e-30]))
  assert np.all(np.isfinite(slope))
