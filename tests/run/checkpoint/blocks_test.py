"""A checkpoint of a growing state costs what was appended."""

import numpy as np
import pytest

from framework.run.checkpoint import Checkpoints, blocks


@pytest.fixture(autouse=True)
def small(monkeypatch):
  monkeypatch.setattr(blocks, '_LARGE', 1 << 10)
  monkeypatch.setattr(blocks, '_SIZE', 1 << 8)


def written(folder):
  """Bytes of every block there is."""
  place = folder / 'checkpoints.blocks'
  return {p.name: p.stat().st_size for p in place.iterdir()}


def state(rows):
  store = np.zeros((256, 8), np.float32)  # 8 KiB
  store[:rows] = np.arange(rows * 8).reshape(rows, 8)
  return {'store': store, 'count': np.int32(rows)}


def restored(saved, like):
  return saved.restore(lambda meta: like)


def test_what_was_appended_is_written(tmp_path):
  saved = Checkpoints(tmp_path / 'checkpoints')
  saved.save(1, state(100), {})
  saved.wait()
  before = written(tmp_path)
  saved.save(2, state(108), {})
  saved.wait()
  new = written(tmp_path).keys() - before.keys()
  # Eight rows are one block of 256 bytes, and may lie in two.
  assert 1 <= len(new) <= 2
  found = restored(saved, state(0))
  assert found is not None and found.step == 2
  np.testing.assert_array_equal(found.tree['store'], state(108)['store'])
  saved.save(3, state(200), {})
  saved.save(4, state(201), {})
  saved.save(5, state(202), {})
  saved.close()
  # Those of checkpoints that are gone are gone.
  kept = written(tmp_path)
  assert new - kept.keys()
  saved = Checkpoints(tmp_path / 'checkpoints')
  found = restored(saved, state(0))
  np.testing.assert_array_equal(found.tree['store'], state(202)['store'])
  saved.close()


def test_a_damaged_block_makes_the_checkpoint_before_count(tmp_path, caplog):
  saved = Checkpoints(tmp_path / 'checkpoints')
  saved.save(1, state(8), {})
  saved.wait()
  before = written(tmp_path)
  saved.save(2, state(16), {})
  saved.wait()
  (name, *_) = written(tmp_path).keys() - before.keys()
  place = tmp_path / 'checkpoints.blocks' / name
  data = bytearray(place.read_bytes())
  data[3] ^= 1
  place.write_bytes(bytes(data))
  found = restored(saved, state(0))
  saved.close()
  assert found.step == 1 and found.tree['count'] == 8
  assert 'has changed' in caplog.text
