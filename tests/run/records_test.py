"""Records on their way to disk: whole chunks, little memory, interruptions."""

import contextlib
import itertools
import math
import random

import hypothesis.strategies as st
import numpy as np
import pytest
import zarr
from hypothesis import given, settings

from framework.run import records as lib
from framework.run import results
from framework.run.job import Layout, Variable
from framework.run.records import Records

GRID = {'eta': np.arange(3.0), 'k': np.arange(4)}
LAYOUT = Layout({'rule': ('sgd', 'adam')}, GRID, (7, 8), np.arange(20))
VARIABLES = {
  'loss': Variable((), timed=True, dtype='float32'),
  'spectrum': Variable((2,), timed=True),
  'last': Variable((), timed=False),
}
NOISE = np.random.default_rng(0)


def truth(layout=LAYOUT, variables=VARIABLES):
  """{observation: (structure, seed, point[, time], ...)}."""
  lanes = (len(layout.structures), len(layout.seeds), layout.points)
  times = {True: (len(layout.times),), False: ()}
  return {
    name: NOISE.normal(size=lanes + times[v.timed] + v.shape).astype(v.dtype)
    for name, v in variables.items()
  }


def assert_stored(where, want, layout=LAYOUT):
  found = results.open(where)
  lanes = [len(v) for v in (*layout.structure.values(), *layout.hp.values())]
  for name, x in want.items():
    x = np.moveaxis(x, 1, 2)  # points before seeds
    x = x.reshape(*lanes, len(layout.seeds), *x.shape[3:])
    assert found[name].dtype == float
    np.testing.assert_array_equal(found[name].values, x, err_msg=name)


def timed(want):
  return {n: x for n, x in want.items() if VARIABLES[n].timed}


@contextlib.contextmanager
def chunks_read():
  """The chunks of a store that were read within."""
  read, get = [], zarr.storage.LocalStore.get

  async def noted(self, key, *args, **kwargs):
    if '/c/' in key:
      read.append(key)
    return await get(self, key, *args, **kwargs)

  zarr.storage.LocalStore.get = noted
  try:
    yield read
  finally:
    zarr.storage.LocalStore.get = get


def write(store, want, block=(2, 12), cut=7):
  """As the runner does: block after block, each from first to last record."""
  seeds, points = block
  for s, a, b in itertools.product(
    range(2), range(0, 2, seeds), range(0, 12, points)
  ):
    across = slice(b, min(12, b + points)), slice(a, min(2, a + seeds))
    for t in range(0, 20, cut):
      times = slice(t, min(20, t + cut))
      values = {
        n: x[s][across[1], across[0], times] for n, x in timed(want).items()
      }
      store.write(s, *across, values, times)
    last = {'last': want['last'][s][across[1], across[0]]}
    store.write(s, *across, last)
  store.flush()


@pytest.mark.parametrize(
  'block, span', [((2, 12), 1024), ((1, 8), 8), ((2, 4), 1), ((2, 6), 1024)]
)
def test_no_chunk_is_read_to_be_written(tmp_path, monkeypatch, block, span):
  monkeypatch.setattr(lib, '_SPAN', span)
  want = truth()
  with chunks_read() as read:
    store = Records(tmp_path, LAYOUT, VARIABLES, blocks=[block])
    write(store, want, block)
  assert not [key for key in read if key.split('/')[0] in VARIABLES]
  assert_stored(tmp_path, want)
  assert store.written == set(lib.chunks(tmp_path))


def test_chunks_are_of_a_useful_size(tmp_path):
  """20,000 lanes and 1,000 records: MBs, not one file nor a million."""
  grid = {'eta': np.arange(100.0), 'alpha': np.arange(200.0)}
  layout = Layout({}, grid, (0,), np.arange(1000))
  variables = {'loss': Variable((), True, 'float32')}
  for block in (20000, 2000, 997):
    store = Records(
      tmp_path / str(block), layout, variables, blocks=[(1, block)]
    )
    shape = store._arrays['loss'].chunks
    assert 2**19 <= 4 * math.prod(shape) <= 2**22
    assert math.prod(shape[:2]) <= block


def test_very_large_observations_are_cut(tmp_path):
  layout = Layout({}, {}, (0, 1), np.arange(10))
  variables = {'w': Variable((3, 2000, 2000), True)}
  store = Records(tmp_path, layout, variables)
  assert 8 * math.prod(store._arrays['w'].chunks) <= 2**22


def test_what_is_in_memory_is_bounded(tmp_path, monkeypatch):
  monkeypatch.setattr(lib, '_HELD', 3000)
  want, held = truth(), []
  store = Records(tmp_path, LAYOUT, VARIABLES)
  original = store.write

  def write_and_weigh(*args):
    original(*args)
    held.append(sum(x.nbytes for x in store._buffer.values()))

  monkeypatch.setattr(store, 'write', write_and_weigh)
  seeds, points = slice(0, 2), slice(0, 12)
  for s, t in itertools.product(range(2), range(0, 20, 2)):
    times = slice(t, t + 2)
    values = {n: x[s][:, :, times] for n, x in timed(want).items()}
    store.write(s, points, seeds, values, times)
    store.write(s, points, seeds, {'last': want['last'][s]})
  store.flush()
  assert 0 < max(held) <= 3000
  assert_stored(tmp_path, want)


def test_a_flush_shows_what_there_is_and_is_not_in_the_way(tmp_path):
  want = truth()
  store = Records(tmp_path, LAYOUT, VARIABLES)
  seeds, points = slice(0, 2), slice(0, 12)

  def part(first, stop):
    values = {n: x[1][:, :, first:stop] for n, x in timed(want).items()}
    store.write(1, points, seeds, values, slice(first, stop))

  part(0, 8)
  assert not results.open(tmp_path)['loss'].notnull().any()
  store.flush()
  seen = results.open(tmp_path)['loss'].sel(rule='adam').notnull()
  assert seen.sel(time=slice(0, 7)).all() and seen.sum() == 8 * 24
  assert store.written == set(lib.chunks(tmp_path))
  # The rest of the chunk goes with what is still in memory: none is read.
  with chunks_read() as read:
    part(8, 20)
    store.flush()
  assert not read
  values = results.open(tmp_path)['loss'].sel(rule='adam').values
  want = np.moveaxis(want['loss'][1], 1, 0).reshape(3, 4, 2, 20)
  np.testing.assert_array_equal(values, want)


@settings(max_examples=8, deadline=None)
@given(
  seeds=st.sampled_from([1, 2]),
  points=st.integers(5, 12),
  span=st.sampled_from([1, 5, 64]),
  held=st.sampled_from([0, 3000, 10**6]),
  order=st.integers(0, 2**32),
)
def test_any_interruption_makes_the_same_results(
  tmp_path_factory, seeds, points, span, held, order
):
  """Flushed, killed and begun again from what was flushed, at any time."""
  where, want = tmp_path_factory.mktemp('any'), truth()
  order = random.Random(order)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(lib, '_SPAN', span)
    patch.setattr(lib, '_HELD', held)

    def opened():
      return Records(where, LAYOUT, VARIABLES, blocks=[(seeds, points)])

    store = opened()
    for s, a, b in itertools.product(
      range(2), range(0, 2, seeds), range(0, 12, points)
    ):
      across = slice(b, min(12, b + points)), slice(a, min(2, a + seeds))
      here = s, across[1], across[0]
      t = safe = 0
      while t < 20:
        stop = min(20, t + order.choice([1, 4, 16]))
        values = {n: x[here][:, :, t:stop] for n, x in timed(want).items()}
        store.write(s, *across, values, slice(t, stop))
        t, event = stop, order.random()
        if event < 0.2:
          store.flush()
          safe = t
        elif event < 0.3:
          store, t = opened(), safe
      store.write(s, *across, {'last': want['last'][here]})
      store.flush()
    assert store.written == set(lib.chunks(where))
    assert_stored(where, want)


def test_a_store_of_an_earlier_version_is_filled(tmp_path):
  """All lanes and 64 times in a chunk of float64, zstd, no empty chunks."""
  group = zarr.open_group(str(tmp_path / lib.NAME), mode='a')
  for name, v in VARIABLES.items():
    times = (20,) if v.timed else ()
    group.create_array(
      name,
      shape=(2, 3, 4, 2, *times, *v.shape),
      chunks=(1, 3, 4, 2, *times, *v.shape),
      dtype='float64',
      compressors=zarr.codecs.ZstdCodec(level=1, checksum=True),
      fill_value=float('nan'),
      dimension_names=('rule', 'eta', 'k', 'seed')
      + ('time',) * v.timed
      + ('spectrum_0',) * len(v.shape),
    )
  want = truth()
  store = Records(tmp_path, LAYOUT, VARIABLES, blocks=[(1, 5)])
  write(store, want, (1, 5))
  assert_stored(tmp_path, want)
  assert store._arrays['loss'].chunks == (1, 3, 4, 2, 20)
  assert store.written == set(lib.chunks(tmp_path))


def test_what_a_killed_process_left_is_removed(tmp_path):
  store = Records(tmp_path, LAYOUT, VARIABLES)
  write(store, truth())
  before = lib.chunks(tmp_path)
  left = tmp_path / lib.NAME / (before[0] + '.0123abcd.partial')
  left.write_bytes(b'half')
  root = tmp_path / lib.NAME / 'loss' / 'zarr.0123abcd.partial'
  root.write_bytes(b'half')
  assert lib.chunks(tmp_path) == before
  assert Records(tmp_path, LAYOUT, VARIABLES).written == set(before)
  assert not left.exists() and not root.exists()


def test_what_is_nan_is_missed_when_it_is_gone(tmp_path):
  """It is written like anything else: a lane that diverged is a result."""
  layout = Layout({}, {}, (0,), np.arange(2))
  store = Records(tmp_path, layout, {'x': Variable((), True)})
  nothing = {'x': np.full((1, 1, 2), np.nan)}
  store.write(0, slice(0, 1), slice(0, 1), nothing, slice(0, 2))
  assert 'x/c/0/0' in store.written
  (tmp_path / lib.NAME / 'x' / 'c' / '0' / '0').unlink()
  assert results.missing(tmp_path, sorted(store.written)) == ['x/c/0/0']


def test_observations_without_entries(tmp_path):
  layout = Layout({}, {}, (0,), np.arange(2))
  store = Records(tmp_path, layout, {'x': Variable((0,), True)})
  nothing = {'x': np.zeros((1, 1, 2, 0))}
  store.write(0, slice(0, 1), slice(0, 1), nothing, slice(0, 2))
  store.write(0, slice(0, 1), slice(0, 1), {}, slice(0, 2))
  store.flush()
  assert results.open(tmp_path)['x'].shape == (1, 2, 0)


def test_attributes_of_observations_and_axes(tmp_path):
  words = {
    'time': {'units': 'step'},
    'k': {'units': 'rank'},
    'loss': {'a': 'b'},
  }
  Records(tmp_path, LAYOUT, VARIABLES, words)
  found = results.open(tmp_path)
  assert {n: found[n].attrs for n in words} == words
  assert found['eta'].attrs == {}


@settings(deadline=None)
@given(st.lists(st.integers(1, 5), max_size=4), st.data())
def test_boxes_tile_a_range_in_order(shape, data):
  size = math.prod(shape)
  start = data.draw(st.integers(0, size - 1))
  stop = data.draw(st.integers(start + 1, size))
  boxes = list(lib._boxes(start, stop, shape))
  index = np.arange(size).reshape(shape)
  covered = np.concatenate([np.ravel(index[b]) for b in boxes])
  np.testing.assert_array_equal(covered, np.arange(start, stop))
  assert len(boxes) <= max(1, 2 * len(shape) - 1)


@settings(deadline=None)
@given(
  st.lists(st.integers(1, 40), max_size=4), st.integers(1, 5000), st.data()
)
def test_boxes_of_chunks_fit(shape, room, data):
  size = math.prod(shape)
  block = data.draw(st.integers(0, size))
  found = lib._fit(shape, room, block)
  assert len(found) == len(shape)
  assert all(1 <= a <= b for a, b in zip(found, shape, strict=True))
  assert math.prod(found) <= max(1, min(room, block or room))
  if block in (0, size) and size <= room:
    assert found == shape
