"""MNIST: 28 x 28 images of handwritten digits.

`mnist/mnist.npz` with x_train uint8 (60000, 28, 28), y_train, x_test, y_test,
in the original order; x_test may be all 10,000 test images or a part of them
(`test_index` then says which).

References:
  LeCun, Cortes, Burges, "The MNIST database of handwritten digits".
"""

import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from framework.data import store

__all__ = ['FILE', 'Mnist', 'load']

FILE = store.File(
  'mnist/mnist.npz',
  (
    # Half of the test images.
    '1aaef1e5311abd22f1b9e9c5e99b4531b187cf04daccfa3dda96cb916c9144ee',
    # All of them: the file of Keras.
    '731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1',
  ),
  'https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz',
)
_SIZES = {'x_train': (60_000, 28, 28), 'y_train': (60_000,)}


class Mnist(NamedTuple):
  """Images as rows of 784 pixels in [0, 1]."""

  x_train: Float[np.ndarray, 'train 784']
  y_train: Int[np.ndarray, ' train']
  x_test: Float[np.ndarray, 'test 784']
  y_test: Int[np.ndarray, ' test']


def load(
  root: str | os.PathLike | None = None,
  *,
  train: int = 60_000,
  test: int | None = None,
) -> Mnist:
  """Reads the first images of either side.

  Args:
    root: Folder of the data, as in `store.folder`.
    train: Training images, from the first, at most 60,000.
    test: Test images, from the first; all there are when None.

  Returns:
    float32 pixels and int32 labels.

  Raises:
    DataError: If the file is not there or not the right one, or has not as
      many images.
  """
  path = store.locate(FILE, root)
  with np.load(path) as stored:
    arrays = {n: stored[n] for n in ('x_train', 'y_train', 'x_test', 'y_test')}
  for name, shape in _SIZES.items():
    if arrays[name].shape != shape:
      raise store.DataError(
        f'{path}: {name} has shape {arrays[name].shape}, expected {shape}'
      )
  have = len(arrays['x_test'])
  test = have if test is None else test
  if not (1 <= train <= 60_000 and 1 <= test <= have):
    raise store.DataError(
      f'{train} training and {test} test images, expected 1 to 60000 and 1 to '
      f'{have}'
    )
  return Mnist(
    *_rows(arrays['x_train'], arrays['y_train'], train),
    *_rows(arrays['x_test'], arrays['y_test'], test),
  )


def _rows(x, y, count: int):
  pixels = x[:count].reshape(count, -1).astype(np.float32) / 255
  return pixels, y[:count].astype(np.int32)
