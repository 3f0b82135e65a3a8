import functools
import itertools
import pathlib
import re
import shutil
import socket
import subprocess
import sys

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from hypothesis import given, settings

from framework import results, runner
from framework.runner import Arm, Job, Options, next_chunk
from framework.system import rollout
from tests import compiling, toy

TIMES = np.array([0, 1, 2, 5, 13, 40, 41, 42, 90, 91, 200, 400])
SEEDS = (4, 5, 9)
DIMS = (3, 2)
AXES = {'eta': (0.1, 0.3), 'scale': (0.5, 1.0, 2.0)}


@pytest.fixture(scope='module', autouse=True)
def compile_once(tmp_path_factory):
  """Most tests run the same programs again."""
  with compiling.cached(tmp_path_factory.mktemp('compiled')):
    yield


def final(x, problem, hp):
  return {'last': x.sum(), 'scaled': hp.scale * x[:2]}


def grid_job(dims=DIMS, seeds=SEEDS, axes=AXES, times=TIMES, final=final):
  """A structural axis, two of hp, seeds."""
  hp = toy.typed(toy.LinearHp(), float)
  arms = [Arm(toy.linear(d, rows=4), hp, final=final) for d in dims]
  # Observations must have one shape in all settings.
  arms = [a._replace(system=without_x(a.system)) for a in arms]
  return Job(arms, results.Layout({'dim': dims}, axes, seeds, times))


def without_x(system):
  def observe(state, problem, hp):
    records = system.observe(state, problem, hp)
    return {**records, 'x': state[:2]}

  return system._replace(observe=observe)


def small_job():
  """One setting, two blocks if asked for two lanes a call."""
  return grid_job((3,), (4, 5), {'eta': (0.1, 0.3)})


@functools.cache
def plain():
  """{observation: (dim, eta, scale, seed, time, ...)} lane by lane."""
  job, lanes = grid_job(), []
  for arm in job.arms:

    def one(key, hp, system=arm.system):
      state, records = rollout(system, key, hp, TIMES)
      problem = system.sample(jax.random.split(key, 3)[0], hp)
      return records, final(state, problem, hp)

    one = jax.jit(one)
    for eta in AXES['eta']:
      for scale in AXES['scale']:
        for seed in SEEDS:
          hp = toy.typed(toy.LinearHp(eta, scale), float)
          records, last = jax.device_get(one(jax.random.key(seed), hp))
          lanes.append({**records, **last})
  return {
    n: np.reshape([x[n] for x in lanes], (2, 2, 3, 3) + lanes[0][n].shape)
    for n in lanes[0]
  }


def go(job, where, **options):
  return runner.run(job, where, Options(**options))


def same(one, two):
  """Whether two datasets hold the same bits."""
  assert set(one.variables) == set(two.variables)
  for name in one.variables:
    assert one[name].dims == two[name].dims
    np.testing.assert_array_equal(
      one[name].values, two[name].values, err_msg=name
    )


@pytest.mark.parametrize(
  'options, exact',
  [
    ({'batching': 'map', 'lanes_per_call': 4, 'chunk_stops': 5}, True),
    ({'batching': 'vmap'}, False),
    ({'batching': 'auto', 'lanes_per_call': 8, 'chunk_stops': 3}, False),
  ],
)
def test_records_are_plain_rollouts(tmp_path, options, exact):
  outcome = go(grid_job(), tmp_path, **options)
  assert outcome[:3] == ('done', 0, 36)
  found, want = results.open(tmp_path), plain()
  lanes = ('dim', 'eta', 'scale', 'seed')
  assert found['loss'].dims == (*lanes, 'time')
  assert found['x'].dims == (*lanes, 'time', 'x_0')
  assert found['last'].dims == lanes
  assert found['scaled'].dims == (*lanes, 'scaled_0')
  for name, x in want.items():
    if exact:
      np.testing.assert_array_equal(found[name].values, x, err_msg=name)
    else:
      np.testing.assert_allclose(
        found[name].values, x, rtol=1e-9, atol=1e-12, err_msg=name
      )
  assert np.isnan(found['diverged_at']).all()
  coords = {n: found[n].values.tolist() for n in (*lanes, 'time')}
  assert coords == {
    'dim': list(DIMS),
    'eta': [0.1, 0.3],
    'scale': [0.5, 1.0, 2.0],
    'seed': list(SEEDS),
    'time': TIMES.tolist(),
  }


def test_padding_is_dropped(tmp_path):
  """Nine lanes in calls of four: three blocks, the last mostly padding."""
  job = grid_job((3,), (4,), {'eta': np.linspace(0.1, 0.3, 9)})
  shapes = []

  def listener(structure, times, values):
    shapes.append(values['loss'].shape[:2])

  outcome = go(
    job, tmp_path, lanes_per_call=4, listener=listener, chunk_stops=32
  )
  assert outcome.plans[0].points == 4
  assert [k for k, _ in itertools.groupby(shapes)] == [(1, 4), (1, 1)]
  assert np.isfinite(results.open(tmp_path)['loss']).all()
  assert results.open(tmp_path).sizes['eta'] == 9


def test_the_listener_is_told_every_record_once(tmp_path):
  """Per setting and time: each block's lanes, together all lanes."""
  told = {}

  def listener(structure, times, values):
    for i, t in enumerate(times):
      seen = told.setdefault((structure['dim'], int(t)), [])
      seen += values['loss'][:, :, i].ravel().tolist()

  go(
    grid_job(),
    tmp_path,
    batching='map',
    lanes_per_call=4,
    listener=listener,
    chunk_stops=5,
  )
  assert set(told) == {(d, t) for d in DIMS for t in TIMES}
  for (dim, t), seen in told.items():
    want = plain()['loss'][DIMS.index(dim)][..., list(TIMES).index(t)]
    assert sorted(seen) == sorted(want.ravel().tolist())


class Stop:
  """Asks to stop when it is asked for the k-th time."""

  def __init__(self, k):
    self.k = k

  def __call__(self):
    self.k -= 1
    return self.k == 0


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
  where = tmp_path_factory.mktemp('undisturbed')
  go(small_job(), where, lanes_per_call=2)
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
  outcome = go(small_job(), tmp_path, **first, stop_requested=Stop(k))
  assert outcome.status == 'preempted'
  part = results.open(tmp_path)['loss'].values
  assert np.isnan(part).any() and np.isfinite(part).any()
  # What is asked for at the restart does not change how lanes are laid out.
  outcome = go(small_job(), tmp_path, **options, batching='vmap')
  assert outcome.status == 'done'
  same(results.open(tmp_path), undisturbed)


def test_stopped_at_every_turn(tmp_path, undisturbed):
  for turn in range(40):
    outcome = go(
      small_job(),
      tmp_path,
      lanes_per_call=2,
      chunk_stops=(2, 7)[turn % 2],
      stop_requested=Stop(2),
    )
    if outcome.status == 'done':
      break
  assert turn > 1
  same(results.open(tmp_path), undisturbed)


def test_a_run_that_dies_between_records_and_checkpoint(tmp_path, undisturbed):
  """No goodbye: the listener raises after the records were written."""
  calls = []

  def die(*args):
    calls.append(args)
    if len(calls) == 5:
      raise MemoryError

  with pytest.raises(MemoryError):
    go(
      small_job(),
      tmp_path,
      lanes_per_call=2,
      chunk_stops=2,
      checkpoint_every_secs=0,
      listener=die,
    )
  again = []
  go(small_job(), tmp_path, listener=lambda *args: again.append(args[1]))
  # It goes on from the last checkpoint, not from the start.
  assert again[0][0] == calls[4][1][0]
  same(results.open(tmp_path), undisturbed)


@pytest.fixture(scope='module')
def stopped(tmp_path_factory):
  """A run stopped in its second block, with three checkpoints."""
  where = tmp_path_factory.mktemp('stopped')
  options = {'lanes_per_call': 2, 'chunk_stops': 2, 'keep': 3}
  go(
    small_job(),
    where,
    **options,
    checkpoint_every_secs=0,
    stop_requested=Stop(8),
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
  go(small_job(), where, listener=lambda _, times, __: first.append(times[0]))
  assert f'checkpoint {newest} is damaged' in caplog.text
  assert f'checkpoint {before} is damaged' not in caplog.text
  # The step of a checkpoint is unit (T + 1) + t + 1.
  reached = (before - 1) % (TIMES[-1] + 1)
  assert first[0] == min(t for t in TIMES if t > reached)
  same(results.open(where), undisturbed)


def test_when_all_are_damaged_it_starts_again(
  tmp_path, undisturbed, stopped, caplog
):
  where = tmp_path / 'copy'
  shutil.copytree(stopped, where)
  for step in steps_in(where):
    flip_meta(where / 'checkpoints' / str(step))
  # The layout is chosen anew, so the bits need the same options.
  outcome = go(small_job(), where, lanes_per_call=2)
  assert outcome.status == 'done' and caplog.text.count('is damaged') == 3
  same(results.open(where), undisturbed)


def test_a_finished_run_is_left_as_it_is(tmp_path, undisturbed):
  go(small_job(), tmp_path, lanes_per_call=2)
  told = []
  outcome = go(small_job(), tmp_path, listener=lambda *a: told.append(a))
  assert outcome.status == 'done' and not told
  same(results.open(tmp_path), undisturbed)


def test_python_numbers_as_hp_resume(tmp_path, caplog):
  """Their dtype is settled once, for traces and for shapes alike."""
  job = small_job()
  job = job._replace(arms=[job.arms[0]._replace(hp=toy.LinearHp())])
  go(job, tmp_path, chunk_stops=2, stop_requested=Stop(3))
  go(job, tmp_path)
  assert 'damaged' not in caplog.text
  assert np.isfinite(results.open(tmp_path)['loss']).all()


def test_a_resumed_run_compiles_each_program_once(tmp_path):
  go(
    small_job(),
    tmp_path,
    lanes_per_call=2,
    chunk_stops=2,
    stop_requested=Stop(2),
  )
  with compiling.counted() as count:
    go(small_job(), tmp_path, chunk_stops=2)
  # start, advance, final, and small change of keys and copies.
  assert count.compiled <= 5


def test_keys_and_integers_in_the_state_survive(tmp_path):
  hp = toy.typed(toy.WalkHp(), float)
  job = Job([Arm(toy.walk(), hp)], results.Layout({}, {}, SEEDS, np.arange(30)))
  go(job, tmp_path / 'one', batching='map')
  go(
    job,
    tmp_path / 'two',
    batching='map',
    chunk_stops=3,
    stop_requested=Stop(4),
  )
  go(job, tmp_path / 'two')
  one = results.open(tmp_path / 'one')
  same(one, results.open(tmp_path / 'two'))
  assert one['position'].dims == ('seed', 'time', 'position_0')
  run = jax.jit(functools.partial(rollout, toy.walk()))
  _, want = run(jax.random.key(5), hp, np.arange(30))
  np.testing.assert_allclose(one['position'].sel(seed=5), want['position'])


class TestDivergence:
  """η = 0.1 (tame) and 0.6 (wild), two seeds."""

  times = np.array([0, 2, 4, 6, 8, 10, 12, 20, 30])

  def job(self, etas=(0.1, 0.6)):
    hp = toy.typed(toy.CubicHp(), float)
    arm = Arm(toy.cubic(), hp, final=lambda x, problem, hp: {'last': x})
    return Job([arm], results.Layout({}, {'eta': etas}, (0, 1), self.times))

  @functools.cached_property
  def wild(self):
    """Records of the wild lane of each seed."""
    hp = toy.typed(toy.CubicHp(0.6), float)
    one = jax.jit(lambda k: rollout(toy.cubic(), k, hp, self.times)[1]['x'])
    return np.array([one(jax.random.key(s)) for s in (0, 1)])

  def first(self):
    return self.times[np.argmin(np.isfinite(self.wild), axis=-1)]

  def test_freeze(self, tmp_path):
    outcome = go(self.job(), tmp_path, batching='map', chunk_stops=2)
    assert outcome[:3] == ('done', 2, 4)
    found = results.open(tmp_path)
    want = np.where(np.isfinite(self.wild), self.wild, np.nan)
    np.testing.assert_array_equal(found['x'].sel(eta=0.6), want)
    np.testing.assert_array_equal(
      found['diverged_at'], [[np.nan] * 2, self.first()]
    )
    assert np.isfinite(found['x'].sel(eta=0.1)).all()
    np.testing.assert_array_equal(
      np.isfinite(found['last']), [[True] * 2, [False] * 2]
    )

  @pytest.mark.parametrize('batching', ['map', 'vmap'])
  def test_the_other_lanes_do_not_notice(self, tmp_path, batching):
    go(self.job(), tmp_path / 'a', batching=batching)
    go(self.job((0.1, 0.2)), tmp_path / 'b', batching=batching)
    a, b = (results.open(tmp_path / p)['x'].sel(eta=0.1) for p in 'ab')
    np.testing.assert_array_equal(a, b)

  def test_all_lanes_gone(self, tmp_path):
    """Nothing is left to compute, and the rest stays NaN."""
    seen = []
    outcome = go(
      self.job((0.6, 0.7)),
      tmp_path,
      chunk_stops=2,
      listener=lambda _, times, __: seen.extend(times),
    )
    assert outcome[:3] == ('diverged', 4, 4)
    assert seen[-1] < 20
    assert np.isnan(results.open(tmp_path)['x'].sel(time=30)).all()
    # And so it is when asked again.
    assert go(self.job((0.6, 0.7)), tmp_path)[:3] == ('diverged', 4, 4)

  def test_continue(self, tmp_path):
    outcome = go(self.job(), tmp_path, batching='map', on_nan='continue')
    assert outcome[:3] == ('done', 2, 4)
    found = results.open(tmp_path)
    np.testing.assert_array_equal(found['x'].sel(eta=0.6), self.wild)
    np.testing.assert_array_equal(found['diverged_at'][1], self.first())
    np.testing.assert_array_equal(found['last'][1], self.wild[:, -1])

  def test_stop(self, tmp_path):
    options = {'on_nan': 'stop', 'batching': 'map', 'chunk_stops': 2}
    outcome = go(self.job(), tmp_path, **options)
    stopped = results.open(tmp_path)
    where = stopped['diverged_at'].values
    dead = int(np.isfinite(where).sum())
    assert outcome[:3] == ('diverged', dead, 4) and dead > 0
    # At the end of the chunk in which the first lane diverged.
    assert np.nanmin(where) == self.first().min()
    assert np.isnan(stopped['x'].sel(time=30)).all()
    assert np.isnan(stopped['last']).all()
    # The same command again does not creep on,
    told = []
    again = go(self.job(), tmp_path, **options, listener=told.append)
    assert again == outcome and not told
    # and another policy goes on from there.
    assert go(self.job(), tmp_path)[:3] == ('done', 2, 4)
    go(self.job(), tmp_path / 'undisturbed', batching='map')
    same(results.open(tmp_path), results.open(tmp_path / 'undisturbed'))


@st.composite
def chunks(draw):
  gaps = draw(st.lists(st.integers(1, 300), min_size=0, max_size=40))
  times = np.cumsum([draw(st.integers(0, 5)), *gaps]).astype(np.int32)
  return times, draw(st.integers(1, 12))


@settings(deadline=None)
@given(chunks(), st.data())
def test_chunks_cover_all_records_in_order(case, data):
  times, slots = case
  t = record = 0
  seen, calls = [], 0
  while record < len(times):
    budget = data.draw(st.integers(1, 400))
    stops, recorded = next_chunk(times, record, t, budget, slots)
    assert stops.dtype == np.int32 and len(stops) == len(recorded) == slots
    assert np.all(np.diff([t, *stops]) >= 0)
    assert stops[-1] - t <= budget
    # Padding neither moves nor records.
    used = int(np.max(np.nonzero(recorded)[0], initial=-1)) + 1
    rest = np.unique(stops[used:])
    assert len(rest) <= 1 and recorded[:used].all()
    # It is as long as the budget and the slots allow.
    left = times[record:]
    fit = left[left <= t + budget][:slots]
    assert used == len(fit)
    if used < slots and used < len(left):
      assert stops[-1] == t + budget
    assert calls < 10**5
    seen += stops[recorded].tolist()
    t, record, calls = int(stops[-1]), record + used, calls + 1
  assert seen == times.tolist()


def test_chunks_keep_to_the_time_they_are_given(tmp_path, monkeypatch):
  """A step that takes 0.1 s by the clock: ten in a chunk of a second."""
  clock, asked = [0.0], []
  made = runner.sweep.Program.__init__

  def make(self, *args, **kwargs):
    made(self, *args, **kwargs)
    compiled = self.advance

    def advance(keys, problem, hp, lanes, t, stops, recorded):
      asked.append(int(stops[-1] - t))
      clock[0] += 0.1 * asked[-1]
      return compiled(keys, problem, hp, lanes, t, stops, recorded)

    self.advance = advance

  def slow_writing(*args):
    """Five seconds must not make chunks ever smaller."""
    clock[0] += 5.0

  monkeypatch.setattr(runner.sweep.Program, '__init__', make)
  monkeypatch.setattr(runner.time, 'monotonic', lambda: clock[0])
  job = grid_job((3,), (0,), {}, np.array([0, *range(5, 800, 5)]))
  go(job, tmp_path, listener=slow_writing, chunk_secs=1.0)
  assert asked[0] == 0  # compilation
  assert asked[1] <= 16
  # Rounding of the clock may cut one step off.
  assert set(asked[2:-1]) <= {9, 10} and len(asked) > 75


def test_a_trace_of_the_asked_for_steps(tmp_path, monkeypatch):
  marks = []
  monkeypatch.setattr(
    jax.profiler, 'start_trace', lambda path: marks.append(('start', path))
  )
  monkeypatch.setattr(
    jax.profiler, 'stop_trace', lambda: marks.append(('stop', None))
  )
  reached = []

  def listener(structure, times, values):
    reached.append((len(marks), times.tolist()))

  go(
    small_job(),
    tmp_path,
    lanes_per_call=2,
    profile=(13, 91),
    listener=listener,
  )
  assert marks == [('start', str(tmp_path / 'profile')), ('stop', None)]
  inside = [t for n, times in reached if n == 1 for t in times]
  assert inside == [40, 41, 42, 90, 91]


def test_a_trace_that_runs_to_the_end_is_ended(tmp_path, monkeypatch):
  marks = []
  monkeypatch.setattr(jax.profiler, 'start_trace', lambda _: marks.append(1))
  monkeypatch.setattr(jax.profiler, 'stop_trace', lambda: marks.append(2))
  go(small_job(), tmp_path, profile=(200, 10**6))
  assert marks == [1, 2]


def test_layout_that_changes_is_said(tmp_path, caplog):
  go(
    small_job(),
    tmp_path,
    lanes_per_call=2,
    chunk_stops=2,
    stop_requested=Stop(1),
  )
  outcome = go(small_job(), tmp_path, lanes_per_call=4, batching='vmap')
  assert 'the run began with lanes laid out as' in caplog.text
  assert outcome.plans[0].lanes == 2


def test_settings_with_different_observations_are_refused(tmp_path):
  job = grid_job()
  arms = [
    a._replace(system=toy.linear(d))
    for a, d in zip(job.arms, DIMS, strict=True)
  ]
  with pytest.raises(ValueError, match=r'observation x is .* in another'):
    go(job._replace(arms=arms), tmp_path)


@pytest.mark.parametrize(
  'change, options, message',
  [
    ({'times': np.array([3, 1])}, {}, 'expected increasing steps'),
    ({'times': np.array([-1, 1])}, {}, 'expected increasing steps'),
    ({'times': np.array([])}, {}, 'expected increasing steps'),
    ({}, {'on_nan': 'halt'}, "on_nan is 'halt', expected freeze, stop"),
    ({}, {'chunk_stops': 0}, 'chunk_stops is 0'),
    ({}, {'batching': 'pmap'}, "batching is 'pmap'"),
    ({}, {'keep': 0}, 'keep is 0'),
  ],
)
def test_what_makes_no_sense_is_refused(tmp_path, change, options, message):
  job = small_job()
  job = job._replace(layout=job.layout._replace(**change))
  with pytest.raises(ValueError, match=message):
    go(job, tmp_path, **options)


def test_every_setting_needs_an_arm(tmp_path):
  job = grid_job()
  with pytest.raises(ValueError, match='1 arms for 2 structures'):
    go(job._replace(arms=job.arms[:1]), tmp_path)


TWO = """
import sys, jax, numpy as np
process, port, where = int(sys.argv[1]), sys.argv[2], sys.argv[3]
jax.config.update('jax_num_cpu_devices', 2)
jax.config.update('jax_enable_x64', True)
jax.distributed.initialize(f'localhost:{port}', 2, process)
from tests import runner_test as r
stop = r.Stop(3) if process == 1 else lambda: False
job = r.two_process_job()
print(r.go(job, where, batching='map', chunk_stops=4, stop_requested=stop))
print(r.go(job, where, batching='map'))
"""


def two_process_job():
  return grid_job((3,), (1, 2, 3, 4), {'eta': (0.1, 0.3)}, final=None)


def test_two_processes_do_what_one_does(tmp_path):
  """A stop asked of the second, a resume, and the bits of a single process."""
  with socket.socket() as s:
    s.bind(('localhost', 0))
    port = str(s.getsockname()[1])
  both = [
    subprocess.Popen(
      [sys.executable, '-c', TWO, str(i), port, str(tmp_path / 'two')],
      cwd=pathlib.Path(__file__).parent.parent,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )
    for i in (0, 1)
  ]
  try:
    said = [p.communicate(timeout=300)[0] for p in both]
  finally:
    for p in both:
      p.kill()
  for text in said:
    assert "status='preempted'" in text and "status='done'" in text, text
  go(two_process_job(), tmp_path / 'one', batching='map')
  same(results.open(tmp_path / 'two'), results.open(tmp_path / 'one'))
