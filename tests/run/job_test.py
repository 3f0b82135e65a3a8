"""Jobs: what is observed, and how blocks cover the lanes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.run import job as job_lib
from framework.run.job import Arm, Job, Layout
from framework.run.plan import Plan
from tests import toy
from tests.run import jobs


@pytest.mark.parametrize('size', [(1, 1), (2, 4), (3, 6), (4, 5), (8, 8)])
def test_blocks_cover_every_lane_once(size):
  job = jobs.grid_job()  # 2 settings, 3 seeds, 6 points
  plans = [Plan(*size, 1, 1, 1, 'seed'), Plan(3, 6, 1, 1, 1, 'seed')]
  seen = np.zeros((2, 3, 6), int)
  lanes = 0
  for unit in job_lib.units(job.layout, plans):
    seen[unit.structure, unit.seeds, unit.points] += 1
    lanes += unit.lanes
    block = np.arange(size[0] * size[1]).reshape(size)
    if unit.structure == 0:
      assert unit.real(block).size == unit.lanes
  assert (seen == 1).all() and lanes == seen.size


def test_variables_are_the_observations_of_all_settings():
  found = job_lib.variables(jobs.grid_job())
  assert found['diverged_at'].timed is False and found['last'].timed is False
  assert found['x'].timed and found['x'].shape == (2,)
  assert found['scaled'].shape == (2,)


def test_settings_with_different_observations_are_refused():
  job = jobs.grid_job()
  arms = [
    a._replace(system=toy.linear(d))
    for a, d in zip(job.arms, jobs.DIMS, strict=True)
  ]
  with pytest.raises(ValueError, match=r'x is of shape \(2,\) over time'):
    job_lib.variables(job._replace(arms=arms))


def test_every_setting_needs_an_arm():
  job = jobs.grid_job()
  with pytest.raises(ValueError, match='1 arms for 2 structures'):
    job_lib.check(job._replace(arms=job.arms[:1]))


def observing(names, final=()):
  """A job that observes arrays under these names."""

  def numbers(given):
    return {n: jnp.zeros(shape) for n, shape in dict(given).items()}

  system = toy.cubic()._replace(observe=lambda x, problem, hp: numbers(names))
  last = (lambda x, problem, hp: numbers(final)) if final else None
  arm = Arm(system, toy.CubicHp(), final=last)
  return Job([arm], Layout({}, {'eta': (0.1, 0.2)}, (0,), np.arange(3)))


@pytest.mark.parametrize(
  'names, message',
  [
    ({'train/loss': ()}, r"'train/loss' is the name of .*, expected text"),
    ({'a\\b': ()}, 'is the name of an observation or an axis'),
    ({'': ()}, "'' is the name of"),
    ({' x': ()}, "' x' is the name of"),
    ({'.x': ()}, "'.x' is the name of"),
    ({'__x': ()}, "'__x' is the name of"),
    ({3: ()}, '3 is the name of'),
    (
      {'w': (3,), 'w_0': ()},
      r'axis 0 of observation w, of shape \(3,\)',
    ),
    ({'w': (2, 3), 'w_1': (2,)}, 'be called w_1 like an observation'),
    ({'eta': ()}, 'observation eta has the name of an axis'),
    ({'seed': ()}, 'observation seed has the name of an axis'),
    ({'time': ()}, 'observation time has the name of an axis'),
    ({'diverged_at': ()}, 'observation diverged_at is recorded by the runner'),
  ],
)
def test_names_that_would_lose_something_are_refused(names, message):
  with pytest.raises(ValueError, match=message):
    job_lib.check(observing(names))
  # What is observed in the end is stored beside it.
  with pytest.raises(ValueError, match=message):
    job_lib.check(observing({'x': ()}, final=names))


def test_names_that_hide_nothing_are_fine():
  names = {'w': (3,), 'w_1': (), 'w.0': (), 'train loss': (), 'λ₁': (), 'c': ()}
  found = job_lib.check(observing(names, final={'w_2': (1,)}))
  assert set(found) == {*names, 'w_2', 'diverged_at'}


def test_the_same_name_in_the_end_is_refused():
  with pytest.raises(ValueError, match='observation x is recorded in the end'):
    job_lib.check(observing({'x': ()}, final={'x': ()}))


@pytest.mark.parametrize(
  'observed, message',
  [
    (
      {'z': jnp.zeros(2, complex)},
      'observation z is complex128, expected',
    ),
    ({'k': jax.random.key(0)}, r'observation k is key<fry>, expected real'),
    (
      {'train': {'loss': 1.0}},
      'observation train is a dict, expected',
    ),
    (jnp.zeros(2), r'observed, expected \{name: array\}'),
    ((jnp.zeros(2),), 'a tuple is observed'),
  ],
)
def test_what_no_record_can_hold_is_refused(observed, message):
  job = observing({'x': ()})
  system = job.arms[0].system
  arm = Arm(system._replace(observe=lambda *args: observed), job.arms[0].hp)
  with pytest.raises(ValueError, match=message):
    job_lib.check(job._replace(arms=[arm]))
  arm = Arm(system, job.arms[0].hp, final=lambda *args: observed)
  with pytest.raises(ValueError, match=message):
    job_lib.check(job._replace(arms=[arm]))


@pytest.mark.parametrize(
  'layout, message',
  [
    ({'hp': {'time': (1.0,)}}, 'two axes of the results are called time'),
    ({'hp': {'seed': (1.0,)}}, 'two axes of the results are called seed'),
    ({'structure': {'eta': (1,)}, 'hp': {'eta': (1.0,)}}, 'are called eta'),
    ({'structure': {'a/b': (1,)}}, "'a/b' is the name of"),
    ({'structure': {'x_0': (1,)}}, 'axis 0 of observation x.* like an axis'),
    ({'seeds': ()}, 'no seeds'),
    ({'times': np.array([0.0, 1.5])}, 'expected increasing steps'),
    ({'times': np.array([0.0, 1.0])}, 'expected increasing steps'),
    ({'times': np.array([0, 2**31])}, 'expected increasing steps'),
    ({'times': np.array([1, 1])}, 'expected increasing steps'),
    ({'times': np.array([3, 1], np.uint32)}, 'expected increasing steps'),
    ({'hp': {'lr': (1.0,)}}, 'sweep axis lr is not .* did you mean'),
  ],
)
def test_a_layout_that_makes_no_sense_is_refused(layout, message):
  job = observing({'x': (2,)})
  hp = {'eta': 0.1, 'time': 0.1, 'seed': 0.1}
  job = job._replace(
    layout=job.layout._replace(**layout), arms=[job.arms[0]._replace(hp=hp)]
  )
  with pytest.raises(ValueError, match=message):
    job_lib.check(job)


def test_single_precision_is_stored_as_such():
  kinds = {
    'single': jnp.float32,
    'half': jnp.bfloat16,
    'double': jnp.float64,
    'flag': bool,
    'count': jnp.int32,
  }

  def observe(x, problem, hp):
    return {n: jnp.zeros((), kind) for n, kind in kinds.items()}

  job = observing({})
  system = job.arms[0].system._replace(observe=observe)
  found = job_lib.check(
    job._replace(arms=[job.arms[0]._replace(system=system)])
  )
  assert {n: found[n].dtype for n in kinds} == {
    'single': 'float32',
    'half': 'float32',
    'double': 'float64',
    'flag': 'float32',
    'count': 'float64',
  }


def test_attributes_of_all_arms_and_of_the_runner():
  job = jobs.grid_job()
  nat, share = {'units': 'nat'}, {'units': 'share', 'long_name': 'accuracy'}
  arms = [
    a._replace(attributes=words)
    for a, words in zip(
      job.arms, ({'loss': nat}, {'loss': nat, 'x': share}), strict=True
    )
  ]
  found = job_lib.attributes(job._replace(arms=arms))
  assert found['loss'] == nat and found['x'] == share
  assert found['diverged_at'] == {
    'long_name': 'first non-finite record',
    'units': 'step',
  }
  assert found['time']['units'] == 'step'


def test_two_units_of_one_observation_are_refused():
  job = jobs.grid_job()
  arms = [
    a._replace(attributes={'loss': {'units': unit}})
    for a, unit in zip(job.arms, ('nat', 'bit'), strict=True)
  ]
  with pytest.raises(ValueError, match=r'loss has units bit in setting .* nat'):
    job_lib.check(job._replace(arms=arms))


def test_checking_traces_each_function_once():
  """The launcher asks, and the runner asks again."""
  count = 0

  def observe(x, problem, hp):
    nonlocal count
    count += 1
    return {'x': x}

  job = observing({})
  system = job.arms[0].system._replace(observe=observe)
  job = job._replace(arms=[job.arms[0]._replace(system=system)])
  for _ in range(3):
    job_lib.check(job)
  assert count == 1
