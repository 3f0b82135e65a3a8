"""Omniglot: 20 drawings each of handwritten characters from 50 alphabets.

`omniglot/omniglot28.npz` with images uint8 (characters, 20, 28, 28), ink = 255,
split (0 train, 1 validation, 2 test: the characters of Vinyals et al.) and
where each character is from. The file read here has the 1,028 training, the 172
validation and 244 of the 423 test characters.

References:
  Lake, Salakhutdinov, Tenenbaum, "Human-level concept learning through
  probabilistic program induction", Science 350, 2015.
  Vinyals et al., "Matching Networks for One Shot Learning", 2016.
"""

import os
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from framework.data import store

__all__ = ['FILE', 'Omniglot', 'load']

FILE = store.File(
  'omniglot/omniglot28.npz',
  ('b904ab9a85bb2e4e5bc4c00862da4aacd75c8f866eb6061f89833bb9f649d084',),
)


class Omniglot(NamedTuple):
  """Pixels as bytes, a drawing a row; axes (characters, drawers, 784)."""

  train: UInt8[np.ndarray, 'train 20 784']
  validation: UInt8[np.ndarray, 'validation 20 784']
  test: UInt8[np.ndarray, 'test 20 784']


def load(root: str | os.PathLike | None = None) -> Omniglot:
  """Reads all characters.

  Args:
    root: Folder of the data, as in `store.folder`.

  Returns:
    `Omniglot`; divide by 255.

  Raises:
    DataError: If the file is not there or not the right one.
  """
  path = store.locate(FILE, root)
  with np.load(path) as stored:
    images, split = stored['images'], stored['split']
  if images.ndim != 4 or images.shape[1:] != (20, 28, 28):
    raise store.DataError(
      f'{path}: images has shape {images.shape}, expected (n, 20, 28, 28)'
    )
  rows = images.reshape(len(images), 20, 784)
  return Omniglot(*(rows[split == part] for part in range(3)))
