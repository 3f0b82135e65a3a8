"""From a config to claims and figures, at sizes that take seconds."""

import dataclasses

import pytest

from configs.mup_transfer import VARIANTS, get_config
from experiments.experiment import job_of
from experiments.mup_transfer import EXPERIMENT
from framework import config as config_lib
from framework import results
from framework.data import store
from tests import jobs

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
    # A kernel that is called feature learning is found out.
    worse = dataset.assign(moves=dataset['moves'] * dataset['width'])
    verdicts = [c.verdict for c in EXPERIMENT.claims(config, worse)]
    assert 'fails' in verdicts


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
