import shutil
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from framework.run.checkpoint import Checkpoints, digest, to_host

# A failed restore leaves orbax's threads with a closed event loop.
pytestmark = pytest.mark.filterwarnings(
  'ignore::pytest.PytestUnraisableExceptionWarning'
)


class Nothing(NamedTuple):
  pass


class State(NamedTuple):
  """Every kind of leaf and node that a state may have."""

  wide: Any
  narrow: Any
  half: Any
  count: Any
  flag: Any
  key: Any
  rest: Any


def state(fill=1.0, impl='threefry2x32'):
  return State(
    # Noise, most of what is on disk: it does not compress.
    wide=np.random.default_rng(int(fill)).normal(size=(40, 50)),
    narrow={'b': jnp.full(4, fill, jnp.float32) / 3, 'a': jnp.float32(fill)},
    half=jnp.full(3, fill, jnp.bfloat16) / 3,
    count=jnp.int32(7),
    flag=jnp.array([True, False]),
    key=jax.random.split(jax.random.key(int(fill), impl=impl), 2),
    rest=(Nothing(), None, [Nothing()]),
  )


def shapes(meta):
  return jax.eval_shape(state)


def same(one, two):
  chex.assert_trees_all_equal_structs(one, two)
  chex.assert_trees_all_equal_dtypes(one, two)
  chex.assert_trees_all_equal(to_host(one), to_host(two))


@pytest.fixture
def checkpoints(tmp_path):
  opened = Checkpoints(tmp_path / 'c', keep=3)
  yield opened
  opened.close()


def test_every_kind_of_leaf_comes_back(checkpoints):
  checkpoints.save(3, state(), {'t': 12, 'plans': [{'seeds': 2}]})
  checkpoints.wait()
  found = checkpoints.restore(shapes)
  assert found.step == 3 and found.meta == {'t': 12, 'plans': [{'seeds': 2}]}
  same(found.tree, state())
  assert found.tree.half.dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize('impl', ['rbg', 'unsafe_rbg'])
def test_keys_of_other_generators_come_back(checkpoints, impl):
  checkpoints.save(1, state(impl=impl), {})
  checkpoints.wait()
  found = checkpoints.restore(
    lambda _: jax.eval_shape(lambda: state(impl=impl))
  )
  assert jax.random.key_impl(found.tree.key) == impl
  same(found.tree, state(impl=impl))


def test_the_template_may_depend_on_the_facts(checkpoints):
  checkpoints.save(1, {'x': np.arange(5.0)}, {'size': 5})
  checkpoints.wait()
  found = checkpoints.restore(lambda m: {'x': np.zeros(m['size'])})
  np.testing.assert_array_equal(found.tree['x'], np.arange(5.0))


def test_nothing_to_restore(checkpoints):
  assert checkpoints.restore(shapes) is None


def test_what_was_saved_is_a_copy(checkpoints):
  """The arrays may be given away or written over at once."""
  mine = {'x': np.zeros(10**6)}
  given = {'x': jnp.zeros(10**6)}
  checkpoints.save(1, mine, {})
  mine['x'][:] = 1
  checkpoints.save(2, given, {})
  jax.jit(lambda x: x + 1, donate_argnums=0)(given['x']).block_until_ready()
  checkpoints.wait()
  template = lambda _: {'x': np.zeros(10**6)}  # noqa: E731
  assert checkpoints.restore(template).tree['x'].max() == 0
  checkpoints._manager.delete(2)
  assert checkpoints.restore(template).tree['x'].max() == 0


def test_a_step_that_is_there_is_not_saved_again(checkpoints):
  checkpoints.save(1, {'x': np.ones(2)}, {})
  checkpoints.wait()
  checkpoints.save(1, {'x': np.zeros(2)}, {})
  checkpoints.wait()
  found = checkpoints.restore(lambda _: {'x': np.zeros(2)})
  np.testing.assert_array_equal(found.tree['x'], 1)


def test_only_the_newest_are_kept(tmp_path):
  opened = Checkpoints(tmp_path, keep=2)
  for step in (1, 4, 9, 11):
    opened.save(step, {'x': np.full(2, step)}, {})
  opened.close()
  steps = {p.name for p in tmp_path.iterdir() if p.name.isdigit()}
  assert steps == {'9', '11'}
  again = Checkpoints(tmp_path, keep=2)
  found = again.restore(lambda _: {'x': np.zeros(2, int)})
  assert found.step == 11 and found.tree['x'][0] == 11
  again.close()


def test_keeping_none_is_refused(tmp_path):
  with pytest.raises(ValueError, match='keep is 0'):
    Checkpoints(tmp_path, keep=0)


def flip(data):
  return (
    data[: len(data) // 2]
    + bytes([data[len(data) // 2] ^ 1])
    + data[len(data) // 2 + 1 :]
  )


@pytest.fixture(scope='module')
def two_steps(tmp_path_factory):
  where = tmp_path_factory.mktemp('two')
  opened = Checkpoints(where)
  opened.save(1, state(1.0), {'t': 1})
  opened.save(2, state(2.0), {'t': 2})
  opened.close()
  return where


def files_of(step):
  return sorted(p.relative_to(step) for p in step.rglob('*') if p.is_file())


@pytest.mark.parametrize('damage', ['flip', 'truncate', 'empty', 'delete'])
def test_no_damage_to_any_file_goes_unnoticed(two_steps, tmp_path, damage):
  """Whatever comes back is one of the two states, bit by bit."""
  change = {'flip': flip, 'truncate': lambda d: d[: len(d) // 2]}
  older = 0
  for name in files_of(two_steps / '2'):
    where = tmp_path / 'copy'
    shutil.copytree(two_steps, where)
    path = where / '2' / name
    if damage == 'delete':
      path.unlink()
    else:
      path.write_bytes(change.get(damage, lambda d: b'')(path.read_bytes()))
    opened = Checkpoints(where)
    found = opened.restore(shapes)
    opened.close()
    # Some files are not needed to restore; then nothing is lost.
    assert found is not None, f'{damage} {name}: even the older one is gone'
    assert found.meta == {'t': found.step}
    same(found.tree, state(float(found.step)))
    older += found.step == 1
    shutil.rmtree(where)
  assert older >= 2


def test_a_bad_checkpoint_is_set_aside(two_steps, tmp_path, caplog):
  shutil.copytree(two_steps, tmp_path / 'c')
  files = [p for p in (tmp_path / 'c' / '2').rglob('*') if p.is_file()]
  data = max(files, key=lambda p: p.stat().st_size)
  good = data.read_bytes()
  data.write_bytes(flip(good))
  opened = Checkpoints(tmp_path / 'c')
  assert opened.restore(shapes).step == 1
  # The storage layer reads it without a word; our digest notices.
  assert 'checkpoint 2 is damaged (its digest does not match' in caplog.text
  # Nothing is deleted: repaired, it can be put back.
  aside = tmp_path / 'c.damaged' / '2' / data.relative_to(tmp_path / 'c' / '2')
  assert aside.read_bytes() == flip(good)
  # Its number can be used again, and be damaged again.
  opened.save(2, state(5.0), {'t': 2})
  opened.wait()
  same(opened.restore(shapes).tree, state(5.0))
  again = max(
    (p for p in (tmp_path / 'c' / '2').rglob('*') if p.is_file()),
    key=lambda p: p.stat().st_size,
  )
  again.write_bytes(flip(again.read_bytes()))
  assert opened.restore(shapes).step == 1
  assert {p.name for p in (tmp_path / 'c.damaged').iterdir()} == {'2', '2+'}
  opened.close()


def test_a_folder_that_was_not_committed_is_ignored(two_steps, tmp_path):
  shutil.copytree(two_steps, tmp_path / 'c')
  shutil.copytree(two_steps / '2', tmp_path / 'c' / '3.orbax-checkpoint-tmp')
  opened = Checkpoints(tmp_path / 'c')
  assert opened.restore(shapes).step == 2
  opened.close()


@pytest.mark.parametrize(
  'other',
  [
    {'a': np.zeros(4), 'b': np.ones(3)},  # a value
    {'a': np.zeros((2, 2)), 'b': np.zeros(3)},  # a shape
    {'a': np.zeros(4), 'b': np.zeros(3, np.int64)},  # a dtype of the same size
    {'a': np.zeros(4), 'c': np.zeros(3)},  # a name
    {'a': np.zeros(3), 'b': np.zeros(4)},  # where one leaf ends
    {'a': np.zeros(4), 'b': -np.zeros(3)},  # a sign of zero
  ],
)
def test_the_digest_sees_every_difference(other):
  tree = {'a': np.zeros(4), 'b': np.zeros(3)}
  assert digest(tree) == digest(jax.tree.map(np.copy, tree))
  assert digest(tree) != digest(other)


def test_the_digest_does_not_see_the_memory_layout():
  x = np.arange(6.0).reshape(2, 3)
  assert digest({'x': x}) == digest({'x': np.asfortranarray(x)})


def test_to_host_gathers_shards():
  mesh = jax.make_mesh((8,), ('i',))
  x = jax.device_put(
    np.arange(16.0), jax.sharding.NamedSharding(mesh, jax.P('i'))
  )
  host = to_host({'x': x, 'y': 3})
  assert type(host['x']) is np.ndarray and type(host['y']) is np.ndarray
  np.testing.assert_array_equal(host['x'], np.arange(16.0))
