"""Stopped, killed, damaged: the same command again gives the same bits."""

import functools
import itertools
import re
import shutil
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.run import records, results
from framework.run.checkpoint import CheckpointError, Checkpoints
from framework.run.job import Arm, Job
from framework.system import System, rollout
from tests import compiling, toy
from tests.run import jobs


@pytest.fixture(scope='module', autouse=True)
def compile_once(tmp_path_factory):
  """Most tests run the same programs again."""
  with compiling.cached(tmp_path_factory.mktemp('compiled')):
    yield


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
  where = tmp_path_factory.mktemp('undisturbed')
  jobs.go(jobs.small_job(), where, lanes_per_call=2)
  return results.open(where)


@pytest.mark.parametrize(
  'k, options',
  [
    (1, {'chunk_stops': 1}),
    (2, {'chunk_secs': 1e-9}),
    (4, {'chunk_secs': 1e-3, 'chunk_stops': 7}),
    (7, {'chunk_secs': 1e3, 'chunk_stops': 7}),
  ],
)
def test_interrupted_and_run_again_is_undisturbed(
  tmp_path, undisturbed, k, options
):
  first = {'chunk_stops': 2, 'lanes_per_call': 2, 'batching': 'auto'}
  outcome = jobs.go(
    jobs.small_job(), tmp_path, **first, stop_requested=jobs.Stop(k)
  )
  assert outcome.status == 'preempted'
  part = results.open(tmp_path)['loss'].values
  assert np.isnan(part).any() and np.isfinite(part).any()
  # What is asked for at the restart does not change how lanes are laid out.
  outcome = jobs.go(jobs.small_job(), tmp_path, **options, batching='vmap')
  assert outcome.status == 'done'
  jobs.same(results.open(tmp_path), undisturbed)


def test_stopped_at_every_turn(tmp_path, undisturbed):
  for turn in range(40):
    outcome = jobs.go(
      jobs.small_job(),
      tmp_path,
      lanes_per_call=2,
      chunk_stops=(2, 7)[turn % 2],
      stop_requested=jobs.Stop(2),
    )
    if outcome.status == 'done':
      break
  assert turn > 1
  jobs.same(results.open(tmp_path), undisturbed)


def test_a_run_that_dies_between_records_and_checkpoint(tmp_path, undisturbed):
  """No goodbye: the listener raises after the records were written."""
  calls = []

  def die(*args):
    calls.append(args)
    if len(calls) == 5:
      raise SystemError

  with pytest.raises(SystemError):
    jobs.go(
      jobs.small_job(),
      tmp_path,
      lanes_per_call=2,
      chunk_stops=2,
      checkpoint_every_secs=0,
      listener=die,
    )
  again = []
  jobs.go(
    jobs.small_job(), tmp_path, listener=lambda *args: again.append(args[1])
  )
  # It goes on from the last checkpoint, not from the start.
  assert again[0][0] == calls[4][1][0]
  jobs.same(results.open(tmp_path), undisturbed)


@pytest.fixture(scope='module')
def stopped(tmp_path_factory):
  """A run stopped in its second block, with three checkpoints."""
  where = tmp_path_factory.mktemp('stopped')
  options = {'lanes_per_call': 2, 'chunk_stops': 2, 'keep': 3}
  jobs.go(
    jobs.small_job(),
    where,
    **options,
    checkpoint_every_secs=0,
    stop_requested=jobs.Stop(8),
  )
  return where


def steps_in(where):
  return sorted(
    int(p.name) for p in (where / 'checkpoints').iterdir() if p.name.isdigit()
  )


def flip(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 4
  path.write_bytes(bytes(data))


def flip_largest(step):
  files = [p for p in step.rglob('*') if p.is_file()]
  flip(max(files, key=lambda p: p.stat().st_size))


def flip_meta(step):
  (meta,) = (p for p in (step / 'meta').rglob('*') if p.name == 'metadata')
  text = meta.read_text()
  found = re.search(r'"digest": ?"(.)', text)
  other = 'a' if found[1] != 'a' else 'b'
  meta.write_text(text[: found.end() - 1] + other + text[found.end() :])


def truncate(step):
  for path in (step / 'state').rglob('*'):
    if path.is_file():
      path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def delete_half(step):
  shutil.rmtree(step / 'state' / 'd', ignore_errors=True)
  for path in sorted((step / 'state').rglob('*'))[::2]:
    if path.is_file():
      path.unlink()


# A failed restore leaves orbax's threads with a closed event loop.
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
@pytest.mark.parametrize(
  'damage', [flip_largest, flip_meta, truncate, delete_half]
)
def test_a_damaged_checkpoint_is_passed_over(
  tmp_path, undisturbed, stopped, damage, caplog
):
  where = tmp_path / 'copy'
  shutil.copytree(stopped, where)
  *_, before, newest = steps_in(where)
  damage(where / 'checkpoints' / str(newest))
  first = []
  jobs.go(
    jobs.small_job(),
    where,
    listener=lambda _, times, __: first.append(times[0]),
  )
  assert f'checkpoint {newest} is damaged' in caplog.text
  assert f'checkpoint {before} is damaged' not in caplog.text
  # The step of a checkpoint is unit (T + 1) + t + 1.
  reached = (before - 1) % (jobs.TIMES[-1] + 1)
  assert first[0] == min(t for t in jobs.TIMES if t > reached)
  jobs.same(results.open(where), undisturbed)


def test_when_all_are_damaged_it_starts_again(
  tmp_path, undisturbed, stopped, caplog
):
  where = tmp_path / 'copy'
  shutil.copytree(stopped, where)
  for step in steps_in(where):
    flip_meta(where / 'checkpoints' / str(step))
  # The layout is chosen anew, so the bits need the jobs.same options.
  outcome = jobs.go(jobs.small_job(), where, lanes_per_call=2)
  assert outcome.status == 'done' and caplog.text.count('is damaged') == 3
  jobs.same(results.open(where), undisturbed)


def test_a_finished_run_is_left_as_it_is(tmp_path, undisturbed):
  jobs.go(jobs.small_job(), tmp_path, lanes_per_call=2)
  told = []
  outcome = jobs.go(
    jobs.small_job(), tmp_path, listener=lambda *a: told.append(a)
  )
  assert outcome.status == 'done' and not told
  jobs.same(results.open(tmp_path), undisturbed)


def test_python_numbers_as_hp_resume(tmp_path, caplog):
  """Their dtype is settled once, for traces and for shapes alike."""
  job = jobs.small_job()
  job = job._replace(arms=[job.arms[0]._replace(hp=toy.LinearHp())])
  jobs.go(job, tmp_path, chunk_stops=2, stop_requested=jobs.Stop(3))
  jobs.go(job, tmp_path)
  assert 'damaged' not in caplog.text
  assert np.isfinite(results.open(tmp_path)['loss']).all()


def test_a_resumed_run_compiles_each_program_once(tmp_path):
  jobs.go(
    jobs.small_job(),
    tmp_path,
    lanes_per_call=2,
    chunk_stops=2,
    stop_requested=jobs.Stop(2),
  )
  with compiling.counted() as count:
    jobs.go(jobs.small_job(), tmp_path, chunk_stops=2)
  # start, advance, jobs.final, and small change of keys and copies.
  assert count.compiled <= 5


def test_keys_and_integers_in_the_state_survive(tmp_path):
  hp = toy.typed(toy.WalkHp(), float)
  job = Job(
    [Arm(toy.walk(), hp)], results.Layout({}, {}, jobs.SEEDS, np.arange(30))
  )
  jobs.go(job, tmp_path / 'one', batching='map')
  jobs.go(
    job,
    tmp_path / 'two',
    batching='map',
    chunk_stops=3,
    stop_requested=jobs.Stop(4),
  )
  jobs.go(job, tmp_path / 'two')
  one = results.open(tmp_path / 'one')
  jobs.same(one, results.open(tmp_path / 'two'))
  assert one['position'].dims == ('seed', 'time', 'position_0')
  run = jax.jit(functools.partial(rollout, toy.walk()))
  _, want = run(jax.random.key(5), hp, np.arange(30))
  np.testing.assert_allclose(
    one['position'].sel(seed=5), want['position'], rtol=1e-7, atol=0
  )


def test_layout_that_changes_is_said(tmp_path, caplog):
  jobs.go(
    jobs.small_job(),
    tmp_path,
    lanes_per_call=2,
    chunk_stops=2,
    stop_requested=jobs.Stop(1),
  )
  outcome = jobs.go(
    jobs.small_job(), tmp_path, lanes_per_call=4, batching='vmap'
  )
  assert 'the run began with lanes laid out as' in caplog.text
  assert outcome.plans[0].lanes == 2


class Odd(NamedTuple):
  """Leaves that a checkpoint by name would lose."""

  x: Any
  nothing: Any
  alike: Any


def test_any_state_is_saved_and_goes_on(tmp_path, caplog):
  def init(key, problem, hp):
    alike = {'a.b': jnp.zeros(2), 'a': {'b': jnp.ones(2)}}
    return Odd(jnp.ones(()), jnp.zeros((0, 2)), alike)

  def step(key, s, problem, hp):
    return s._replace(x=s.x / 2, alike=jax.tree.map(lambda x: x + s.x, s.alike))

  def observe(s, problem, hp):
    return {'x': s.x, 'one': s.alike['a.b'], 'two': s.alike['a']['b']}

  job = jobs.small_job()
  system = System(lambda key, hp: (), init, step, observe)
  job = job._replace(arms=[job.arms[0]._replace(system=system, final=None)])
  jobs.go(job, tmp_path / 'a')
  stopped = jobs.go(
    job, tmp_path / 'b', chunk_stops=2, stop_requested=jobs.Stop(2)
  )
  assert stopped.status == 'preempted'
  assert jobs.go(job, tmp_path / 'b').status == 'done'
  jobs.same(results.open(tmp_path / 'a'), results.open(tmp_path / 'b'))
  assert not caplog.text


def test_another_generator_does_not_begin_again(tmp_path, caplog):
  """With a key in the state: a good checkpoint, of another program."""

  def job(impl):
    layout = results.Layout({}, {}, jobs.SEEDS, np.arange(30))
    arm = Arm(toy.walk(impl=impl), toy.typed(toy.WalkHp(), float))
    return Job([arm], layout)

  options = {'batching': 'map', 'chunk_stops': 3}
  jobs.go(job('threefry2x32'), tmp_path, **options, stop_requested=jobs.Stop(4))
  before = jobs.last_state(tmp_path)
  with pytest.raises(CheckpointError, match=r'key<fry>.*, expected key<rbg>'):
    jobs.go(job('rbg'), tmp_path, **options)
  assert 'damaged' not in caplog.text and jobs.last_state(tmp_path) == before
  assert jobs.go(job('threefry2x32'), tmp_path, **options).status == 'done'


def test_the_store_is_not_listed_at_every_checkpoint(tmp_path, monkeypatch):
  listed, saved = [], []
  files, save = records._files, Checkpoints.save

  def noted(workdir):
    listed.append(workdir)
    return files(workdir)

  def kept(self, step, tree, meta):
    saved.append(meta['written'])
    save(self, step, tree, meta)

  monkeypatch.setattr(records, '_files', noted)
  monkeypatch.setattr(Checkpoints, 'save', kept)
  jobs.go(jobs.small_job(), tmp_path, chunk_stops=1, checkpoint_every_secs=0)
  assert len(saved) > 5 and len(listed) <= 3
  # And yet each names what is there, the last one all.
  assert saved[-1] == records.chunks(tmp_path)
  assert all(set(a) <= set(b) for a, b in itertools.pairwise(saved))


def test_records_are_on_disk_before_their_checkpoint(tmp_path, monkeypatch):
  covered, there, save = [], [], Checkpoints.save

  def look(self, step, tree, meta):
    found = results.open(tmp_path)['loss'].notnull().any(('eta', 'seed'))
    covered.append(meta['record'])
    there.append(int(found.sum()))
    save(self, step, tree, meta)

  monkeypatch.setattr(Checkpoints, 'save', look)
  jobs.go(jobs.small_job(), tmp_path, chunk_stops=2, checkpoint_every_secs=0)
  assert len(there) > 5 and covered == there


def test_without_a_checkpoint_a_chunk_is_written_when_full(tmp_path):
  there = []

  def listener(*args):
    there.append(int(results.open(tmp_path)['loss'].notnull().sum()))

  jobs.go(jobs.small_job(), tmp_path, chunk_stops=2, listener=listener)
  assert there == [0] * (len(there) - 1) + [2 * 2 * len(jobs.TIMES)]
