"""CIFAR-10: 32 x 32 colour images in ten classes, in two codings.

`cifar10/cifar10_lossless.npz` with x uint8 (4000, 32, 32, 3) and y: the first
4000 training images, exact pixels in the original order; any prefix is a fair
part. `cifar10/cifar10_jpeg.npz` has all 50,000 training images and 5,000 test
images as JPEG, which are lossy: not to be mixed with the first. Decoding asks
for Pillow.

References:
  Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

import io
import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from framework.data import store

__all__ = [
  'FILE',
  'JPEG',
  'Cifar10',
  'Images',
  'all_images',
  'load',
  'lossless',
]

FILE = store.File(
  'cifar10/cifar10_lossless.npz',
  ('b1a447a06800b14125703d235dba1c724fa86f53da2fe4e3c3dea8a9fb15a877',),
)
JPEG = store.File(
  'cifar10/cifar10_jpeg.npz',
  ('0365decab05e1625f4530ad258a6bd4b55ac0d67e6f57899feca9e5d65b73f41',),
)


class Images(NamedTuple):
  """Images as rows of 3072 numbers in [0, 1]."""

  x: Float[np.ndarray, 'images 3072']
  y: Int[np.ndarray, ' images']


class Cifar10(NamedTuple):
  """Images as rows, each colour of mean 0 and deviation 1 in training."""

  x_train: Float[np.ndarray, 'train 3072']
  y_train: Int[np.ndarray, ' train']
  x_test: Float[np.ndarray, 'test 3072']
  y_test: Int[np.ndarray, ' test']


def load(
  root: str | os.PathLike | None = None, *, images: int = 4000
) -> Images:
  """Reads the first images that are exact.

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


def lossless(
  root: str | os.PathLike | None = None, *, train: int = 3000
) -> Cifar10:
  """The 4000 images that are exact: the first to train on, the rest to test.

  Args:
    root: Folder of the data, as in `store.folder`.
    train: Images to train on, below 4000.

  Returns:
    float32 rows and int32 labels.

  Raises:
    DataError: As `load`.
  """
  x, y = load(root)
  if not 1 <= train < len(x):
    raise store.DataError(f'{train} images to train on, expected 1 to 3999')
  return _normalised(x[:train], y[:train], x[train:], y[train:])


def all_images(
  root: str | os.PathLike | None = None,
  *,
  train: int = 50_000,
  test: int = 5_000,
) -> Cifar10:
  """Images of the JPEG coding; any first of them are a fair sample.

  Args:
    root: Folder of the data, as in `store.folder`.
    train: Training images, at most 50,000.
    test: Test images, at most 5,000.

  Returns:
    float32 rows and int32 labels.

  Raises:
    DataError: If the file is not there or not the right one, has not as many
      images, or Pillow is not installed.
  """
  path = store.locate(JPEG, root)
  if not (1 <= train <= 50_000 and 1 <= test <= 5_000):
    raise store.DataError(
      f'{train} training and {test} test images, expected 1 to 50000 and 1 to '
      '5000'
    )
  found = []
  with np.load(path) as stored:
    head = stored['header'].tobytes()
    for part, count in (('train', train), ('test', test)):
      scans, at = stored[f'{part}_scans'], stored[f'{part}_offsets']
      x = _decoded(head, scans, at, count).reshape(count, -1)
      found.append(x.astype(np.float32) / 255)
      found.append(stored[f'y_{part}'][:count].astype(np.int32))
  return _normalised(*found)


def _decoded(head: bytes, scans, at, n: int) -> UInt8[np.ndarray, 'n 32 32 3']:
  try:
    from PIL import Image
  except ImportError:
    raise store.DataError(
      'the JPEG coding of CIFAR-10 asks for Pillow: pip install pillow'
    ) from None
  images = [
    Image.open(io.BytesIO(head + scans[at[i] : at[i + 1]].tobytes()))
    for i in range(n)
  ]
  return np.stack([np.asarray(image) for image in images])


def _normalised(x, y, x_test, y_test) -> Cifar10:
  """Colour by colour, by what is trained on."""
  colours = x.reshape(-1, 3)
  mean, std = (np.tile(f(colours, axis=0), 1024) for f in (np.mean, np.std))
  return Cifar10((x - mean) / std, y, (x_test - mean) / std, y_test)
