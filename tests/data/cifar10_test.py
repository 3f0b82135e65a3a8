"""CIFAR-10 as it was stored; skipped where the data are not."""

import numpy as np
import pytest

from framework.data import cifar10, store


def test_a_folder_without_it_is_one_line():
  for load in (cifar10.lossless, cifar10.all_images):
    with pytest.raises(store.DataError, match='put it there'):
      load('/nowhere')


@pytest.mark.skipif(
  not store.there(cifar10.FILE), reason='CIFAR-10 is not on this machine'
)
def test_exact_images():
  found = cifar10.lossless()
  assert found.x_train.shape == (3000, 3072) and found.x_test.shape[0] == 1000
  assert found.y_train[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
  colours = found.x_train.reshape(-1, 3)
  np.testing.assert_allclose(colours.mean(0), 0, rtol=0, atol=1e-3)
  np.testing.assert_allclose(colours.std(0), 1, rtol=0, atol=1e-3)
  with pytest.raises(store.DataError, match='expected 1 to 3999'):
    cifar10.lossless(train=4000)


@pytest.mark.skipif(
  not store.there(cifar10.JPEG), reason='CIFAR-10 is not on this machine'
)
def test_images_of_the_other_coding():
  pytest.importorskip('PIL', reason='decoding asks for Pillow')
  found = cifar10.all_images(train=200, test=20)
  assert found.x_train.shape == (200, 3072) and len(found.y_test) == 20
  with pytest.raises(store.DataError, match='1 to 50000 and 1 to'):
    cifar10.all_images(train=60_000)
