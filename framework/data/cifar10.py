"""CIFAR-10: 32 x 32 colour images in ten classes, exact pixels.

`cifar10/cifar10_lossless.npz` with x uint8 (4000, 32, 32, 3) and y: the first
4000 training images, in the original order: any prefix is a fair part.

References:
  Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from framework.data import store

__all__ = ['FILE', 'Images', 'load']

FILE = store.File(
  'cifar10/cifar10_lossless.npz',
  ('b1a447a06800b14125703d235dba1c724fa86f53da2fe4e3c3dea8a9fb15a877',),
)


class Images(NamedTuple):
  """Images as rows of 3072 numbers in [0, 1]."""

  x: Float[np.ndarray, 'images 3072']
  y: Int[np.ndarray, ' images']


def load(
  root: str | os.PathLike | None = None, *, images: int = 4000
) -> Images:
  """Reads the first images.

  Args:
    root: Folder of the data, as in `store.folder`.
    images: From the first, at most 4000.

  Returns:
    float32 pixels and int32 labels.

  Raises:
    DataError: If the file is not there or not the right one, or has not as
      many images.
  """
  path = store.locate(FILE, root)
  if not 1 <= images <= 4000:
    raise store.DataError(f'{images} images, expected 1 to 4000')
  with np.load(path) as stored:
    x, y = stored['x'][:images], stored['y'][:images]
  return Images(
    x.reshape(images, -1).astype(np.float32) / 255, y.astype(np.int32)
  )
