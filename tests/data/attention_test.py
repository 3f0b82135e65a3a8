"""The stored model attends to what its file says."""

import numpy as np
import pytest

from framework.data import attention, store


@pytest.fixture(scope='module')
def model():
  if not store.there(attention.FILE):
    pytest.skip(f'no {attention.FILE.name} in {store.folder()}')
  return attention.load()


def test_shapes_and_types(model):
  assert model.Wq.shape == model.Wk.shape == (6, 384, 384)
  assert model.hidden.shape == (6, 16, 48, 384)
  assert model.hidden.dtype == model.Wq.dtype == np.float32
  assert model.argmax.shape == (6, 16, 12, 48)


def test_attention_is_recomputed(model):
  layer, h = 2, 384 // model.heads
  x = model.hidden[layer]
  q, k = (
    (x @ W[layer].T + b[layer]).reshape(16, 48, model.heads, h)
    for W, b in ((model.Wq, model.bq), (model.Wk, model.bk))
  )
  a = np.einsum('pqhd,pkhd->phqk', q, k) / np.sqrt(h)
  e = np.exp(a - a.max(-1, keepdims=True))
  share = e / e.sum(-1, keepdims=True)
  np.testing.assert_array_equal(share.argmax(-1), model.argmax[layer])
  np.testing.assert_allclose(
    share.max(-1), model.share[layer], atol=2e-3, rtol=0
  )


def test_a_missing_file_is_one_line(tmp_path):
  with pytest.raises(store.DataError, match=r'no minilm_attention\.npz in'):
    attention.load(tmp_path)


def test_another_content_is_refused(tmp_path):
  (tmp_path / 'minilm_attention.npz').write_bytes(b'no')
  with pytest.raises(store.DataError, match='has SHA-256'):
    attention.load(tmp_path)
