"""From a config to claims and figures, at sizes that take seconds."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from configs.mup_transfer import VARIANTS, get_config
from experiments.mup_transfer import EXPERIMENT
from framework import config as config_lib
from framework.data import store
from framework.launch.experiment import job_of
from framework.run import results
from tests.run import jobs

SMALL = {
  'quick': {
    'base_width': 4,
    'sweep': {'width': (4, 8, 16), 'rule': (0, 1), 'lr': (0.01, 0.02, 0.04)},
    'steps': 5,
  },
  'coord_check': {
    'seeds': 2,
    'sweep': {
      'width': (8, 16, 32),
      'optimizer': ('adam',),
      'rule': (0, 1, 4, 5, 6),
    },
    'base_width': 8,
  },
  'dichotomy': {
    'seeds': 2,
    'sweep': {'width': (8, 16, 32), 'case': (0, 2, 4, 5)},
  },
}


@pytest.mark.parametrize(
  'variant',
  ['quick', 'dichotomy', pytest.param('coord_check', marks=pytest.mark.slow)],
)
def test_claims_and_figures(variant, tmp_path):
  config = dataclasses.replace(
    get_config(variant), **SMALL[variant], precision='float64'
  )
  config_lib.validate(config)
  jobs.go(job_of(EXPERIMENT, config), tmp_path)
  dataset = results.open(tmp_path)
  claims = EXPERIMENT.claims(config, dataset)
  assert claims and len({c.id for c in claims}) == len(claims)
  figures = EXPERIMENT.figures(config, dataset, claims)
  assert figures and all(caption for _, caption in figures.values())
  if variant == 'dichotomy':
    wrong_exponents_are_found_out(config, dataset, claims)


def wrong_exponents_are_found_out(config, dataset, right):
  ids = {c.id for c in right}
  for case in ('muP', 'NTP'):
    assert {f'{case}.{part}' for part in POWERS.values()} <= ids
  for name, part in POWERS.items():
    worse = dataset.assign({name: dataset[name] * dataset['width']})
    found = verdicts(config, worse)
    assert found[f'muP.{part}'] == found[f'NTP.{part}'] == 'fails'
  # One width that diverged is not left out of a line through the others.
  lost = dataset.where(dataset['width'] != 16)
  found = verdicts(config, lost)
  assert {v for k, v in found.items() if k != 'unstable'} == {'fails'}
  # And what is not known to have diverged has not grown.
  assert found['unstable'] == 'fails'
  blown = lost.assign(diverged_at=dataset['diverged_at'].fillna(1.0))
  assert verdicts(config, blown)['unstable'] == 'holds'


POWERS = {
  'output': 'start',
  'change': 'change',
  'moves': 'moves',
  'kernel': 'kernel',
}


def coordinates(config):
  return {name: list(values) for name, values in config.sweep.items()}


def verdicts(config, dataset):
  return {c.id: c.verdict for c in EXPERIMENT.claims(config, dataset)}


def swept(best, rates=8, task='teacher', optimizer='adam'):
  """A transfer config, and losses whose best rates are at these places.

  The losses of SP and muP are the same; -1: every run diverged.
  """
  widths = (64, 256, 1024)
  sweep = {
    'width': widths,
    'rule': (0, 1),
    'lr': tuple(2.0**k for k in range(rates)),
  }
  config = dataclasses.replace(
    get_config('transfer_teacher'),
    **{'sweep': sweep, 'task': task, 'optimizer': optimizer, 'steps': 2},
  )
  places = np.array(best, float)
  loss = 4 + (np.arange(rates) - places[:, None]) ** 2 - np.arange(3)[:, None]
  loss = np.where(places[:, None] < 0, np.nan, loss)
  dims = ('width', 'rule', 'lr', 'seed', 'time')
  loss = np.broadcast_to(loss[:, None, :, None, None], (3, 2, rates, 2, 2))
  return config, xr.Dataset(
    {'loss': (dims, loss)},
    coordinates(config) | {'seed': [0, 1], 'time': [0, 2]},
  )


@pytest.mark.parametrize(
  'best, how, mup, sp',
  [
    ((5, 5, 4), {}, 'holds', 'fails'),
    ((5, 3, 2), {}, 'fails', 'holds'),
    ((5, -1, 4), {}, 'fails', 'fails'),
    # At an end of the grid a drift may be hidden, but none is made up.
    ((1, 0, 0), {}, 'not testable', 'not testable'),
    ((6, 7, 7), {}, 'not testable', 'not testable'),
    ((5, 2, 0), {}, 'fails', 'holds'),
    ((1, 2, 1), {'rates': 3}, 'not testable', 'not testable'),
    # SGD: two steps, or as many as d + n gains.
    ((5, 4, 4), {'optimizer': 'sgd'}, 'holds', 'fails'),
    ((5, 4, 4), {'optimizer': 'sgd', 'task': 'mnist'}, 'holds', 'holds'),
    ((4, 4, 4), {'optimizer': 'sgd', 'task': 'mnist'}, 'holds', 'fails'),
  ],
)
def test_a_drift_can_be_missed(best, how, mup, sp):
  config, dataset = swept(best, **how)
  found = verdicts(config, dataset)
  assert found[f'{config.optimizer}.mup.drift'] == mup
  assert found[f'{config.optimizer}.sp.drift'] == sp
  wider = found[f'{config.optimizer}.mup.wider']
  assert wider == ('fails' if -1 in best else 'holds')


def test_a_width_that_diverged_is_not_flat():
  config = dataclasses.replace(
    get_config('coord_check'),
    sweep={'width': (8, 16, 32), 'optimizer': ('adam',), 'rule': (0, 1)},
  )
  size = np.ones((3, 1, 2, 1, 4, 9))
  size[:, :, 0] *= np.array([8, 16, 32.0])[:, None, None, None, None]
  change = size.copy()
  change[..., :2, :3] = 0  # not moved yet
  dims = ('width', 'optimizer', 'rule', 'seed', 'time', 'module')
  lr = config.resolved().lr

  def found(size, change):
    dataset = xr.Dataset(
      {'size': (dims, size), 'change': (dims, change)},
      coordinates(config) | {'lr': lr, 'time': [0, 1, 2, 3]},
    )
    return verdicts(config, dataset)

  assert set(found(size, change).values()) == {'holds'}
  for bad in (np.nan, np.inf, 0.0):
    lost = change.copy()
    lost[1, :, 1, :, 2, 1] = bad
    assert found(size, lost)['adam.mup.flat'] == 'fails'
  lost = size.copy()
  lost[2, :, 0] = np.nan
  assert found(lost, change)['adam.sp.output'] == 'fails'


@pytest.mark.parametrize('variant', VARIANTS)
def test_every_variant_is_valid(variant):
  config = config_lib.normalise(get_config(variant))
  config_lib.validate(config)
  assert EXPERIMENT.times(config)[-1] == config.steps


@pytest.mark.parametrize(
  'variant, fields, line',
  [
    ('quick', {'width': 0}, 'config.width: got 0'),
    ('quick', {'optimizer': 'lion'}, "config.optimizer: got 'lion'"),
    ('transfer', {'rows': 70_000}, 'config.rows: got 70000, expected at most'),
    ('transfer_text', {'base_width': 30}, 'config.base_width: got 30'),
    ('quick', {'optimizer': 'sgd', 'sweep': {}, 'rule': 5}, 'config.rule'),
  ],
)
def test_bad_input_is_one_line(variant, fields, line):
  config = dataclasses.replace(get_config(variant), **fields)
  with pytest.raises(config_lib.ConfigError, match=line) as caught:
    config_lib.validate(config_lib.normalise(config))
  assert len(str(caught.value).splitlines()) == 1


def test_missing_data_is_one_line(monkeypatch, tmp_path):
  monkeypatch.setenv(store.VARIABLE, str(tmp_path))
  with pytest.raises(config_lib.ConfigError, match='no mnist') as caught:
    job_of(EXPERIMENT, get_config('transfer'))
  assert len(str(caught.value).splitlines()) == 1
