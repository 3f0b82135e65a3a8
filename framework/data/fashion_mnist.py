"""Fashion-MNIST: 28 x 28 images of clothes, in ten classes.

`fashion_mnist/fashion_mnist.npz` with x_train uint8 (12000, 28, 28), 1200 a
class, and x_test (2500, 28, 28), 250 a class, mixed: any prefix is a fair part.

References:
  Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
  Machine Learning Algorithms", 2017.
"""

import os

import numpy as np

from framework.data import store
from framework.data.mnist import Mnist

__all__ = ['FILE', 'load']

FILE = store.File(
  'fashion_mnist/fashion_mnist.npz',
  ('c833f1363357df00e7e55eb1ac15a4a01b47508a98c6cc3b995049165fa585a7',),
)


def load(
  root: str | os.PathLike | None = None,
  *,
  train: int = 12_000,
  test: int = 2500,
) -> Mnist:
  """Reads the first images of either side.

  Args:
    root: Folder of the data, as in `store.folder`.
    train: Training images, from the first, at most 12,000.
    test: Test images, from the first, at most 2500.

  Returns:
    float32 pixels in [0, 1], rows of 784, and int32 labels.

  Raises:
    DataError: If the file is not there or not the right one, or has not as
      many images.
  """
  path = store.locate(FILE, root)
  if not (1 <= train <= 12_000 and 1 <= test <= 2500):
    raise store.DataError(
      f'{train} training and {test} test images, expected 1 to 12000 and 1 to '
      '2500'
    )
  with np.load(path) as stored:
    x, y = stored['x_train'][:train], stored['y_train'][:train]
    far, far_y = stored['x_test'][:test], stored['y_test'][:test]
  return Mnist(
    x.reshape(train, -1).astype(np.float32) / 255,
    y.astype(np.int32),
    far.reshape(test, -1).astype(np.float32) / 255,
    far_y.astype(np.int32),
  )
