"""Kernels on the cube against the eigenvalues of all of its points."""

import numpy as np
import pytest

from framework.systems import spectrum as s
from framework.systems.spectrum import augmentation as aug
from framework.systems.spectrum import cube


def kernel(cosine):
  return np.exp(cosine) + np.arccos(np.clip(cosine, -1, 1))


def test_eigenvalues_are_those_of_the_matrix():
  d = 5
  x = 1 - 2.0 * np.array(list(np.ndindex(*(2,) * d)))
  values = np.linalg.eigvalsh(kernel(x @ x.T / d) / 2**d)
  counts = [1, 5, 10, 10, 5, 1]
  wanted = np.repeat(cube.degree_eigenvalues(kernel, d), counts)
  np.testing.assert_allclose(
    np.sort(wanted), np.sort(values), rtol=1e-10, atol=1e-14
  )


def test_masks_are_powers_of_one_number():
  """The kernel of masks looks at the distance alone: λ_k = c^k."""
  d, c = 6, (1 - 0.3) * (1 - 2 * 0.1) ** 2

  def near(cosine):
    same, other = d * (1 + cosine) / 2, d * (1 - cosine) / 2
    return (1 + c) ** same * (1 - c) ** other

  found = cube.degree_eigenvalues(near, d)
  np.testing.assert_allclose(found, c ** np.arange(7.0), rtol=0, atol=1e-14)
  every = np.asarray(aug.eigenvalues(d, 0.3, 0.1))
  np.testing.assert_allclose(every[[0, 1, 7]], found[:3], rtol=1e-12, atol=0)


def test_small_eigenvalues_are_a_ridge():
  """Degrees that are left out count by their trace, to λ/γ."""
  smooth = lambda cosine: np.exp(0.5 * cosine)  # noqa: E731
  power = {0: 0.2, 1: 0.8}
  whole, rest = cube.spectrum_on_cube(smooth, 9, power, 9)
  assert rest == 0
  part, rest = cube.spectrum_on_cube(smooth, 9, power, 3)
  assert rest > 0
  exact = s.krr_risk(whole, 0.1, 15, 1e-3).test
  found = s.krr_risk(part, 0.1, 15, 1e-3 + rest).test
  np.testing.assert_allclose(found, exact, rtol=1e-4, atol=0)


def test_a_target_beyond_what_is_kept_is_refused():
  with pytest.raises(ValueError, match=r'degrees \[1, 3\], of which 2'):
    cube.spectrum_on_cube(kernel, 5, {1: 0.5, 3: 0.5}, 2)
