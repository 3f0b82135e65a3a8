"""Augmentation kernels against exhaustive enumeration by a reference."""

import math
import pathlib

import numpy as np
import pytest

from framework.systems.spectrum import augmentation as aug

GOLDEN = np.load(
  pathlib.Path(__file__).parents[3] / 'golden' / 'spectrum' / 'aug.npz'
)


@pytest.mark.parametrize('row', range(len(GOLDEN['rows'])))
def test_masks_and_flips(row):
  d, m, f = GOLDEN['rows'][row]
  d = int(d)
  wanted = GOLDEN[f'eig_{row}']
  np.testing.assert_allclose(
    aug.eigenvalues(d, m, f), wanted, rtol=1e-12, atol=1e-14
  )
  np.testing.assert_allclose(
    aug.complexity(d, m, f), GOLDEN[f'kappa2_{row}'], rtol=1e-13, atol=0
  )
  if d > 6:
    return  # 3^8 views
  K = np.asarray(aug.augmentation_kernel(aug.views(d, m, f)))
  np.testing.assert_allclose(
    K[-1], GOLDEN[f'Krow_{row}'], rtol=1e-12, atol=1e-14
  )
  found = np.sort(np.linalg.eigvalsh(K))[::-1] / 2**d
  np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-14)
  np.testing.assert_allclose(
    K.diagonal().max(), GOLDEN[f'kappa2_{row}'], rtol=1e-13, atol=0
  )


@pytest.mark.parametrize('row', range(len(GOLDEN['block_rows'])))
def test_masked_blocks(row):
  """d, m and L of each row are in the reference's own order."""
  size = len(GOLDEN[f'block_Krow_{row}'])
  d = int(math.log2(size))
  d_given, m, length = (
    *GOLDEN['block_rows'][row][:2],
    GOLDEN['block_rows'][row][2],
  )
  assert d == d_given
  K = np.asarray(aug.augmentation_kernel(aug.block_views(d, m, int(length))))
  np.testing.assert_allclose(
    K[-1], GOLDEN[f'block_Krow_{row}'], rtol=1e-12, atol=1e-14
  )
  np.testing.assert_allclose(
    np.sort(np.linalg.eigvalsh(K))[::-1] / size,
    GOLDEN[f'block_eig_{row}'],
    rtol=0,
    atol=1e-14,
  )


def test_parities_are_its_eigenfunctions():
  V = aug.parities(4, 2)
  K = np.asarray(aug.augmentation_kernel(aug.views(4, 0.3, 0.1))) / 16
  np.testing.assert_allclose(V.T @ V, np.eye(11), rtol=0, atol=1e-15)
  np.testing.assert_allclose(
    K @ V, V * np.asarray(aug.eigenvalues(4, 0.3, 0.1))[:11], rtol=0, atol=1e-14
  )


@pytest.mark.parametrize('k', [2, 7, 32])
def test_a_cut_level_is_refused(k):
  with pytest.raises(ValueError, match='cuts a degenerate level'):
    aug.Structure(d=4, k=k)


def test_blocks_that_are_no_part_are_refused():
  with pytest.raises(ValueError, match='length is 5, expected 1 <= length'):
    aug.block_views(4, 0.5, 5)
