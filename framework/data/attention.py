"""Attention of a trained language model: all-MiniLM-L6-v2.

`attention/minilm_attention.npz`: weights of the queries and keys of six layers
of twelve heads, and what goes into each layer for sixteen passages of 48 word
pieces. BERT's layout: no mask, q = h Wqᵀ + bq, k = h Wkᵀ + bk, logits qᵀk/√32.

References:
  Wang, Wei, Dong, Bao, Yang, Zhou, "MiniLM", 2020. Reimers, Gurevych,
  "Sentence-BERT", 2019.
"""

import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from framework.data import store

__all__ = ['FILE', 'HEADS', 'TrainedAttention', 'load']

FILE = store.File(
  'attention/minilm_attention.npz',
  ('ac55a54337f5021a5d9c4d9a2d1196a75aa33ae34f84ac6a08ca7fa06d63fd8e',),
)
HEADS = 12
_SHAPES = {
  'Wq': (6, 384, 384),
  'Wk': (6, 384, 384),
  'bq': (6, 384),
  'bk': (6, 384),
  'hidden': (7, 16, 48, 384),
  'attention_argmax': (6, 16, 12, 48),
  'attention_max': (6, 16, 12, 48),
}


class TrainedAttention(NamedTuple):
  """Queries and keys of every layer, their inputs, and what was attended to."""

  Wq: Float[np.ndarray, 'layers d d']
  Wk: Float[np.ndarray, 'layers d d']
  bq: Float[np.ndarray, 'layers d']
  bk: Float[np.ndarray, 'layers d']
  hidden: Float[np.ndarray, 'layers passages T d']  # inputs of each layer
  argmax: Int[np.ndarray, 'layers passages heads T']  # key of each query
  share: Float[np.ndarray, 'layers passages heads T']  # of attention it gets
  heads: int = HEADS


def load(root: str | os.PathLike | None = None) -> TrainedAttention:
  """Reads the arrays, as float32 and int32.

  Args:
    root: Folder of the data, as in `store.folder`.

  Returns:
    A `TrainedAttention`.

  Raises:
    DataError: If the file is not there or not the right one.
  """
  path = store.locate(FILE, root)
  with np.load(path) as stored:
    arrays = {name: stored[name] for name in _SHAPES}
  for name, shape in _SHAPES.items():
    if arrays[name].shape != shape:
      raise store.DataError(
        f'{path}: {name} has shape {arrays[name].shape}, expected {shape}'
      )
  f = {
    name: x.astype(np.int32 if name.endswith('argmax') else np.float32)
    for name, x in arrays.items()
  }
  return TrainedAttention(
    f['Wq'],
    f['Wk'],
    f['bq'],
    f['bk'],
    f['hidden'][:-1],
    f['attention_argmax'],
    f['attention_max'],
  )
