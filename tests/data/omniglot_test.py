"""The file of Omniglot: what is refused, and what is in the real one."""

import hashlib
import io

import numpy as np
import pytest

from framework.data import omniglot, store

SHAPE = 6, 20, 28, 28


def put(folder, monkeypatch, images, split=(0, 0, 0, 1, 2, 2)):
  """A file whose checksum is taken for the right one."""
  content = io.BytesIO()
  np.savez(content, images=images, split=np.array(split))
  path = folder / 'omniglot28.npz'
  path.write_bytes(content.getvalue())
  known = hashlib.sha256(content.getvalue()).hexdigest()
  file = omniglot.FILE._replace(sha256=(known,))
  monkeypatch.setattr(omniglot, 'FILE', file)
  return path


def drawings(shape=SHAPE):
  draw = np.random.default_rng(0).integers
  return draw(0, 256, shape).astype(np.uint8)


def refused(folder, line):
  with pytest.raises(store.DataError, match=line) as caught:
    omniglot.load(folder)
  assert len(str(caught.value).splitlines()) == 1


def test_a_missing_file_is_refused(tmp_path):
  refused(tmp_path, 'no omniglot28.npz in .*TRAINING_DYNAMICS_DATA')


def test_another_content_is_refused(tmp_path, monkeypatch):
  path = put(tmp_path, monkeypatch, drawings())
  path.write_bytes(path.read_bytes()[:-1] + b'?')
  refused(tmp_path, 'omniglot28.npz has SHA-256 .*, expected .*: fetch it')


@pytest.mark.parametrize(
  'shape', [(6, 20, 27, 28), (6, 19, 28, 28), (6, 20, 784)]
)
def test_another_shape_is_refused(shape, tmp_path, monkeypatch):
  put(tmp_path, monkeypatch, drawings(shape))
  found = ', '.join(map(str, shape))
  refused(
    tmp_path, rf'images has shape \({found}\), expected \(n, 20, 28, 28\)'
  )


def test_characters_go_where_the_split_says(tmp_path, monkeypatch):
  images = drawings()
  put(tmp_path, monkeypatch, images, (2, 0, 1, 0, 2, 0))
  data = omniglot.load(tmp_path)
  for part, rows in zip(data, ([1, 3, 5], [2], [0, 4]), strict=True):
    assert part.dtype == np.uint8
    np.testing.assert_array_equal(part, images[rows].reshape(-1, 20, 784))


def test_the_real_file():
  if not store.there(omniglot.FILE):
    pytest.skip(f'no {omniglot.FILE.name} in {store.folder()}')
  data = omniglot.load()
  sizes = [part.shape for part in data]
  assert sizes == [(1028, 20, 784), (172, 20, 784), (244, 20, 784)]
  # Ink is 255 on an empty page, and no two characters share a drawing.
  for part in data:
    assert part.dtype == np.uint8 and part.max() == 255
    assert 0.02 < np.mean(part > 127) < 0.3
  first = [x[0].tobytes() for part in data for x in part]
  assert len(set(first)) == len(first) == 1444
