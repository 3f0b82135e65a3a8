"""What is claimed of the π-limit: by whom it holds, and when it is testable."""

import dataclasses

import numpy as np
import pytest

from configs.pi_limit import VARIANTS, get_config
from experiments.pi_limit import EXPERIMENT, convergence, cost, features
from framework.config import ConfigError, validate
from framework.launch import Study
from framework.run import layouts
from tests.experiments import adversary


def study(name, **changes):
  config = dataclasses.replace(get_config(name), **changes)
  return Study(EXPERIMENT, config, 'nowhere')


def made(name, values, **changes):
  """Claims of records that are zeros but for some observations.

  `values` are (dataset) -> None, which writes into it.
  """
  own = study(name, **changes)
  data = adversary.made_up(own, 'zeros')
  values(data)
  return {c.id: c for c in adversary.claims_of(own, data)}


def separated(data):
  """The limit learns, kernels stay, the net is where the limit is."""
  accuracy, aligned = data['test_accuracy'], data['alignment']
  accuracy.loc[{'model': 'ntk'}] = 0.7
  data['work'].loc[{'model': 'limit'}] = np.arange(data.sizes['time'])
  for model in ('limit', 'pinet'):
    accuracy.loc[{'model': model}] = np.linspace(0.5, 0.97, data.sizes['time'])
    aligned.loc[{'model': model}] = np.linspace(0.0, 0.7, data.sizes['time'])


def test_the_limit_above_the_kernel_holds():
  found = made('quick', separated)
  assert {c.verdict for c in found.values()} == {'holds'}
  assert {i for i, c in found.items() if c.headline} == {'above', 'gain'}


def test_a_kernel_as_good_fails():
  def equal(data):
    separated(data)
    data['test_accuracy'].loc[{'model': 'ntk'}] = 0.96

  assert made('quick', equal)['above'].verdict == 'fails'


def test_kernels_far_from_enough_points_are_at_chance():
  def chance(accuracy):
    def write(data):
      work = np.arange(data.sizes['time'])
      data['work'].loc[{'model': 'limit'}] = work
      data['test_accuracy'].loc[{'model': 'limit'}] = np.linspace(0.5, 0.9, 9)
      data['alignment'].loc[{'model': 'limit'}] = np.linspace(0.0, 0.7, 9)
      data['test_accuracy'].loc[{'model': 'ntk'}] = accuracy

    return write

  good, bad = (made('far', chance(accuracy)) for accuracy in (0.55, 0.7))
  assert {c.verdict for c in good.values()} == {'holds'}
  assert bad['chance'].verdict == 'fails'
  assert 'chance' not in made('quick', separated)


def test_a_kernel_that_moves_is_no_kernel():
  def moving(data):
    separated(data)
    data['test_accuracy'].loc[{'model': 'ntk'}] = np.linspace(
      0.5, 0.6, data.sizes['time']
    )

  assert made('quick', moving)['above'].verdict == 'fails'


SETTINGS = [
  ({'mu': 2.0}, False),
  ({'mu': 8.0}, False),
  ({'points': 2000}, False),
  ({'points': 20}, False),
  ({'d': 1000}, False),
  ({'lr': 0.01}, False),
  ({'lr': 5.0}, False),
  ({'steps': 10}, False),
  ({'momentum': 0.9}, False),
  ({'clip': 0.1}, False),
  ({'activation': 'erf'}, False),
  ({'sweep': {'model': ('limit',)}}, False),
  ({'sweep': {'model': ('pinet', 'ntk')}}, False),
  ({'seeds': 1}, True),
  ({'rank': 30}, True),
  ({'steps': 400}, True),
]


@pytest.mark.parametrize('changes, testable', SETTINGS)
def test_a_setting_says_by_itself_what_it_can_show(changes, testable):
  config = dataclasses.replace(get_config('quick'), **changes)
  assert (features.untrained(config) == '') == testable


def test_slopes_are_judged_where_seeds_and_widths_allow():
  config = get_config('convergence')
  assert convergence.missing(config) == ''
  for changes in (
    {'seeds': 4},
    {'lr': 1.0},
    {'rank': 20},
    {'sweep': {'width': (100, 1000)}},
    {'sweep': {'width': (100, 110, 120)}},
  ):
    assert convergence.missing(dataclasses.replace(config, **changes))

  def law(data):
    n = np.array([32, 100, 320, 1000])
    shape = [1] * data['error'].ndim
    shape[data['error'].dims.index('width')] = 4
    data['error'][...] = (n**-0.5).reshape(shape)

  found = made('convergence', law)
  assert {c.verdict for c in found.values()} == {'holds'}
  found = made('convergence', lambda data: None)
  assert {c.verdict for c in found.values()} == {'fails'}


def test_a_quadratic_cost_holds_and_a_linear_one_fails():
  def power(p):
    def write(data):
      t = data['time'].values.astype(float)
      r = np.array(get_config('rank').axis('rank'), float)
      work = data['work'].transpose('rank', 'seed', 'time')
      data['work'] = work.copy(
        data=(r[:, None] * t[None] ** p)[:, None] * np.ones((4, 1, 1))
      )

    return write

  assert cost.small(get_config('rank')) == ''
  good, bad = (made('rank', power(p)) for p in (2, 1))
  assert {c.verdict for c in good.values()} == {'holds'}
  assert {c.verdict for i, c in bad.items() if i.startswith('time')} == {
    'fails'
  }


@pytest.mark.parametrize(
  'changes, line',
  [
    ({'rule': 'adam'}, 'Adam does not close in the limit'),
    ({'normalised': True, 'activation': 'erf'}, 'which are homogeneous'),
    ({'start': 'identities', 'rank': 7}, 'start=identities is square'),
    ({'model': 'pinet', 'width': 10}, 'at least rank'),
    ({'batch': 10_000}, 'at most the'),
    ({'activation': 'tanh'}, 'relu'),
  ],
)
def test_one_line_for_a_config_that_makes_no_sense(changes, line):
  config = dataclasses.replace(VARIANTS['quick'][1], sweep={}, **changes)
  with pytest.raises(ConfigError) as raised:
    validate(config)
  assert line in str(raised.value)


def test_a_store_beyond_memory_is_refused_with_its_bytes():
  job = study('quick', steps=10**7, sweep={}).job
  with pytest.raises(layouts.DoesNotFit, match='a lane needs'):
    layouts.check_memory(job)
