import shutil
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from framework.run.checkpoint import (
  CheckpointError,
  Checkpoints,
  digest,
  steps,
  to_host,
)

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
  checkpoints._stored._manager.delete(2)
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
    {'a': np.zeros(4), 'b': np.zeros((1, 3))},  # an axis of one
  ],
)
def test_the_digest_sees_every_difference(other):
  tree = {'a': np.zeros(4), 'b': np.zeros(3)}
  assert digest(tree) == digest(jax.tree.map(np.copy, tree))
  assert digest(tree) != digest(other)


def test_the_digest_does_not_see_the_memory_layout():
  x = np.arange(6.0).reshape(2, 3)
  assert digest({'x': x}) == digest({'x': np.asfortranarray(x)})


def test_the_digest_tells_a_scalar_from_an_array_of_one():
  assert digest({'x': np.zeros(())}) != digest({'x': np.zeros(1)})


def old_save(opened, step, tree, meta):
  """As an earlier version did: by name, with a digest and no seal."""
  host, args = to_host(tree), opened._stored._args
  facts = {'digest': steps._old_digest(host), **meta}
  opened._stored._manager.save(
    step,
    args=args.Composite(
      state=args.StandardSave(host), meta=args.JsonSave(facts)
    ),
  )
  opened.wait()


def test_a_checkpoint_of_an_earlier_version_comes_back(checkpoints):
  old_save(checkpoints, 1, state(), {'t': 12})
  found = checkpoints.restore(shapes)
  assert found.step == 1 and found.meta == {'t': 12}
  same(found.tree, state())


def test_leaves_without_entries_and_nothing_else(checkpoints):
  tree = {'none': np.zeros((0, 3), np.float32), 'x': jnp.arange(3)}
  checkpoints.save(1, tree, {})
  checkpoints.save(2, {'none': np.zeros((3, 0))}, {})
  checkpoints.save(3, {}, {})
  checkpoints.wait()
  assert checkpoints.restore(lambda _: {}).tree == {}
  checkpoints._stored._manager.delete(3)
  found = checkpoints.restore(lambda _: {'none': np.zeros((3, 0))})
  assert found.tree['none'].shape == (3, 0)
  checkpoints._stored._manager.delete(2)
  found = checkpoints.restore(lambda _: jax.eval_shape(lambda: tree))
  assert found.tree['none'].shape == (0, 3)
  assert found.tree['none'].dtype == np.float32
  np.testing.assert_array_equal(found.tree['x'], [0, 1, 2])


def test_names_that_look_alike_are_kept_apart(checkpoints, caplog):
  tree = {'a.b': np.ones(2), 'a': {'b': np.zeros(2)}, 'a/b': np.full(2, 3.0)}
  checkpoints.save(1, tree, {})
  checkpoints.wait()
  found = checkpoints.restore(lambda _: jax.tree.map(np.empty_like, tree))
  same(found.tree, tree)
  assert not caplog.text


@pytest.mark.parametrize(
  'other, message',
  [
    ({'key': jax.random.key(0, impl='rbg')}, r"\['key'\] as key<fry>\[\], exp"),
    ({'key': jnp.zeros(2)}, r'as key<fry>\[\], expected float64\[2\]'),
    ({'other': jnp.zeros(2)}, r"\['key'\] as key<fry>\[\], expected nothing"),
    (
      {'key': jax.random.key(0), 'x': jnp.zeros(2)},
      r"\['x'\] as nothing, expected float64\[2\]",
    ),
  ],
)
def test_one_of_another_program_is_not_called_damaged(
  checkpoints, caplog, other, message
):
  checkpoints.save(1, {'key': jax.random.key(0)}, {})
  checkpoints.wait()
  with pytest.raises(CheckpointError, match=message):
    checkpoints.restore(lambda _: jax.eval_shape(lambda: other))
  assert not caplog.text
  found = checkpoints.restore(lambda _: {'key': jax.random.key(1)})
  same(found.tree, {'key': jax.random.key(0)})


def test_a_fact_that_is_changed_is_damage(checkpoints, caplog):
  """A step, a record, a plan: resumed from another one all would be wrong."""
  checkpoints.save(1, {'x': np.ones(2)}, {'t': 12})
  checkpoints.save(2, {'x': np.ones(2)}, {'t': 34})
  checkpoints.wait()
  folder = checkpoints._directory / '2' / 'meta' / 'metadata'
  text = folder.read_text()
  assert '"t": 34' in text
  folder.write_text(text.replace('"t": 34', '"t": 35'))
  found = checkpoints.restore(lambda _: {'x': np.zeros(2)})
  assert found.step == 1 and found.meta == {'t': 12}
  assert 'checkpoint 2 is damaged (its facts are not what' in caplog.text


def test_what_killed_processes_left_is_removed(tmp_path):
  where = tmp_path / 'c'
  opened = Checkpoints(where)
  opened.save(1, {'x': np.ones(2)}, {})
  opened.close()
  for step in range(2, 40):
    shutil.copytree(where / '1', where / f'{step}.orbax-checkpoint-tmp')
  shutil.copytree(where / '1', where / '3.orbax-checkpoint-tmp-1700000000')
  opened = Checkpoints(where)
  assert {p.name for p in where.iterdir()} == {'1'}
  assert opened.restore(lambda _: {'x': np.zeros(2)}).step == 1
  opened.close()


def test_to_host_gathers_shards():
  mesh = jax.make_mesh((8,), ('i',))
  x = jax.device_put(
    np.arange(16.0), jax.sharding.NamedSharding(mesh, jax.P('i'))
  )
  host = to_host({'x': x, 'y': 3})
  assert type(host['x']) is np.ndarray and type(host['y']) is np.ndarray
  np.testing.assert_array_equal(host['x'], np.arange(16.0))
