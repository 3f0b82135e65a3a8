"""Checkpoints in a bucket; their contents are tested like those on a disk."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.run import bucket
from framework.run.checkpoint import CheckpointError, Checkpoints
from tests.run.checkpoint_test import same, shapes, state


@pytest.fixture
def checkpoints(where):
  opened = Checkpoints(f'{where}/checkpoints', keep=2)
  yield opened
  opened.close()


def again(where):
  return Checkpoints(f'{where}/checkpoints', keep=2)


def test_every_kind_of_leaf_comes_back(checkpoints, where):
  checkpoints.save(3, state(), {'t': 12, 'plans': [{'seeds': 2}]})
  checkpoints.wait()
  found = again(where).restore(shapes)
  assert found.step == 3 and found.meta == {'t': 12, 'plans': [{'seeds': 2}]}
  same(found.tree, state())
  assert checkpoints.restore(shapes).step == 3


def test_leaves_without_entries(checkpoints):
  tree = {'a': np.zeros((0, 3)), 'b': None}
  checkpoints.save(1, tree, {})
  same(checkpoints_waited(checkpoints).restore(lambda _: tree).tree, tree)


def checkpoints_waited(checkpoints):
  checkpoints.wait()
  return checkpoints


def test_what_was_saved_is_a_copy(checkpoints):
  mine, given = {'x': np.zeros(10**4)}, {'x': jnp.zeros(10**4)}
  template = lambda _: {'x': np.zeros(10**4)}  # noqa: E731
  checkpoints.save(1, mine, {})
  mine['x'][:] = 1
  assert checkpoints_waited(checkpoints).restore(template).tree['x'].max() == 0
  template = lambda _: jax.eval_shape(lambda: given)  # noqa: E731
  checkpoints.save(2, given, {})
  jax.jit(lambda x: x + 1, donate_argnums=0)(given['x']).block_until_ready()
  given = {'x': jnp.zeros(10**4)}
  assert checkpoints_waited(checkpoints).restore(template).tree['x'].max() == 0


# What aiohttp thinks of a large body.
@pytest.mark.filterwarnings('ignore:Sending a large body:ResourceWarning')
def test_a_large_one_is_sent_in_parts(checkpoints, where, storage):
  big = {'x': np.random.default_rng(0).normal(size=7 * 2**20)}  # 56 MiB
  before = len(storage.requests)
  checkpoints.save(1, big, {})
  checkpoints.wait()
  assert len(storage.requests) - before == 3  # begun, 50 MiB, the rest
  found = again(where).restore(lambda _: {'x': np.zeros(7 * 2**20)})
  np.testing.assert_array_equal(found.tree['x'], big['x'])


def test_one_request_each_and_the_oldest_are_removed(
  checkpoints, where, storage
):
  before = len(storage.requests)
  for step in (1, 5, 20, 21):
    checkpoints.save(step, {'x': np.full(3, step)}, {})
  checkpoints.wait()
  made = [r for r in storage.requests[before:] if '/checkpoints' in r]
  assert [r.split()[0] for r in made] == ['POST'] * 3 + [
    'DELETE',
    'POST',
    'DELETE',
  ]
  assert checkpoints.steps() == again(where).steps() == [20, 21]
  assert bucket.files(f'{where}/checkpoints') == ['20', '21']
  checkpoints.save(21, {'x': np.zeros(3)}, {})  # it is there
  checkpoints.wait()
  found = checkpoints.restore(lambda _: {'x': np.zeros(3, int)})
  np.testing.assert_array_equal(found.tree['x'], [21, 21, 21])


def flipped(data: bytes) -> bytes:
  data = bytearray(data)
  data[len(data) // 2] ^= 1
  return bytes(data)


@pytest.mark.parametrize(
  'damage',
  [
    flipped,
    lambda data: data[:-9],
    lambda data: data[: len(data) // 2],
    lambda data: b'\n',
    lambda data: data.replace(b'"t": 12', b'"t": 13'),
  ],
  ids=['flipped', 'truncated', 'halved', 'nothing', 'facts'],
)
def test_a_damaged_one_is_moved_aside(
  checkpoints, where, storage, damage, caplog
):
  for step in (1, 2):
    checkpoints.save(step, state(step), {'t': 12})
  checkpoints.wait()
  path = f'{where}/checkpoints/2'
  bucket.write(path, damage(bucket.read(path)))
  opened = again(where)
  found = opened.restore(shapes)
  assert found.step == 1
  same(found.tree, state(1))
  assert 'checkpoint 2 is damaged' in caplog.text
  assert bucket.files(f'{where}/checkpoints.damaged') == ['2']
  opened.save(2, state(2), {})  # its number is free again
  opened.wait()
  assert again(where).restore(shapes).step == 2


def test_a_bucket_that_refuses_is_one_line(checkpoints, storage):
  storage.refuses = True
  checkpoints.save(1, {'x': np.ones(2)}, {})
  with pytest.raises(
    CheckpointError, match=r'cannot be written: Forb'
  ) as error:
    checkpoints.wait()
  assert '\n' not in str(error.value)


def test_what_cannot_be_fetched_is_not_damaged(checkpoints, where, storage):
  checkpoints.save(1, {'x': np.ones(2)}, {})
  checkpoints.wait()
  opened = again(where)
  storage.hides = True
  with pytest.raises(bucket.BucketError, match='Forbidden'):
    opened.restore(lambda _: {'x': np.ones(2)})
  storage.hides = False
  assert opened.restore(lambda _: {'x': np.ones(2)}).step == 1
  assert bucket.files(f'{where}/checkpoints.damaged') == []
