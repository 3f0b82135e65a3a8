import functools
import itertools

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from hypothesis import given, settings

from framework.run import layouts, plan, results, runner, sweep
from framework.run.runner import next_chunk
from framework.system import rollout
from tests import compiling, toy
from tests.run import jobs


@pytest.fixture(scope='module', autouse=True)
def compile_once(tmp_path_factory):
  """Most tests run the same programs again."""
  with compiling.cached(tmp_path_factory.mktemp('compiled')):
    yield


@functools.cache
def plain():
  """{observation: (dim, eta, scale, seed, time, ...)} lane by lane."""
  job, lanes = jobs.grid_job(), []
  for arm in job.arms:

    def one(key, hp, system=arm.system):
      state, records = rollout(system, key, hp, jobs.TIMES)
      problem = system.sample(jax.random.split(key, 3)[0], hp)
      return records, jobs.final(state, problem, hp)

    one = jax.jit(one)
    for eta in jobs.AXES['eta']:
      for scale in jobs.AXES['scale']:
        for seed in jobs.SEEDS:
          hp = toy.typed(toy.LinearHp(eta, scale), float)
          records, last = jax.device_get(one(jax.random.key(seed), hp))
          lanes.append({**records, **last})
  return {
    n: np.reshape([x[n] for x in lanes], (2, 2, 3, 3) + lanes[0][n].shape)
    for n in lanes[0]
  }


@pytest.mark.parametrize(
  'options, exact',
  [
    ({'batching': 'map', 'lanes_per_call': 4, 'chunk_stops': 5}, True),
    ({'batching': 'vmap'}, False),
    ({'batching': 'auto', 'lanes_per_call': 8, 'chunk_stops': 3}, False),
  ],
)
def test_records_are_plain_rollouts(tmp_path, options, exact):
  outcome = jobs.go(jobs.grid_job(), tmp_path, **options)
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
    'dim': list(jobs.DIMS),
    'eta': [0.1, 0.3],
    'scale': [0.5, 1.0, 2.0],
    'seed': list(jobs.SEEDS),
    'time': jobs.TIMES.tolist(),
  }


def test_padding_is_dropped(tmp_path):
  """Nine lanes in calls of four: three blocks, the last mostly padding."""
  job = jobs.grid_job((3,), (4,), {'eta': np.linspace(0.1, 0.3, 9)})
  shapes = []

  def listener(structure, times, values):
    shapes.append(values['loss'].shape[:2])

  outcome = jobs.go(
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

  jobs.go(
    jobs.grid_job(),
    tmp_path,
    batching='map',
    lanes_per_call=4,
    listener=listener,
    chunk_stops=5,
  )
  assert set(told) == {(d, t) for d in jobs.DIMS for t in jobs.TIMES}
  for (dim, t), seen in told.items():
    want = plain()['loss'][jobs.DIMS.index(dim)][..., list(jobs.TIMES).index(t)]
    assert sorted(seen) == sorted(want.ravel().tolist())


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
  fitted = runner.sweep.Program.fitted

  def slowed(self, name, *args):
    compiled = fitted(self, name, *args)
    if name != 'advance':
      return compiled

    def advance(keys, problem, hp, lanes, t, stops, recorded):
      asked.append(int(stops[-1] - t))
      clock[0] += 0.1 * asked[-1]
      return compiled(keys, problem, hp, lanes, t, stops, recorded)

    return advance

  def slow_writing(*args):
    """Five seconds must not make chunks ever smaller."""
    clock[0] += 5.0

  monkeypatch.setattr(runner.sweep.Program, 'fitted', slowed)
  monkeypatch.setattr(runner.time, 'monotonic', lambda: clock[0])
  job = jobs.grid_job((3,), (0,), {}, np.array([0, *range(5, 800, 5)]))
  jobs.go(job, tmp_path, listener=slow_writing, chunk_secs=1.0)
  assert asked[0] <= 16
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

  jobs.go(
    jobs.small_job(),
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
  jobs.go(jobs.small_job(), tmp_path, profile=(200, 10**6))
  assert marks == [1, 2]


def exhausted_beyond(most):
  """A `Program` that finds no memory for more lanes than `most`."""

  class Small(sweep.Program):
    def fitted(self, name, *args):
      if name == 'advance' and self.plan.lanes > most:
        raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory')
      return super().fitted(name, *args)

  return Small


def test_what_does_not_fit_is_split(tmp_path, monkeypatch, caplog):
  """8 devices: never fewer than a lane each."""
  job = jobs.grid_job(seeds=tuple(range(8)))  # 2 settings of 8 x 6 lanes
  jobs.go(job, tmp_path / 'whole', batching='map')
  monkeypatch.setattr(sweep, 'Program', exhausted_beyond(12))
  outcome = jobs.go(job, tmp_path / 'split', batching='map')
  assert outcome.status == 'done'
  assert [plan.lanes for plan in outcome.plans] == [12, 12]
  assert '48 lanes a call do not fit in memory: 24 instead' in caplog.text
  jobs.same(results.open(tmp_path / 'whole'), results.open(tmp_path / 'split'))


def test_what_can_never_fit_is_said(tmp_path, monkeypatch):
  monkeypatch.setattr(sweep, 'Program', exhausted_beyond(0))
  with pytest.raises(layouts.DoesNotFit, match='a call of 1 lanes'):
    jobs.go(jobs.small_job(), tmp_path)


def test_it_is_said_before_it_is_run_what_a_program_needs(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(plan, 'memory', lambda devices: 100.0)
  with pytest.raises(layouts.DoesNotFit, match='of temporaries each, there'):
    jobs.go(jobs.small_job(), tmp_path, lanes_per_call=1)


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
  job = jobs.small_job()
  job = job._replace(layout=job.layout._replace(**change))
  with pytest.raises(ValueError, match=message):
    jobs.go(job, tmp_path, **options)
