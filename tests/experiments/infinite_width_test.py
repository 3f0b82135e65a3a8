"""From a config to claims and figures, at sizes that take seconds."""

import dataclasses

import numpy as np
import pytest

from configs.infinite_width import get_config
from experiments.experiment import job_of
from experiments.infinite_width import EXPERIMENT
from framework import config as config_lib
from framework import results
from framework.data import omniglot, store
from tests import jobs

TINY = dict(seeds=2, steps=4, records=2, eval_tasks=8, d=10, rank=2, tasks=2)


@pytest.mark.parametrize(
  'variant',
  ['quick', pytest.param('feature_learning', marks=pytest.mark.slow)],
)
def test_claims_and_figures(variant, tmp_path):
  config = dataclasses.replace(get_config(variant), **TINY)
  models = ('limit', 'w512', 'gp', 'ntk')
  config = dataclasses.replace(config, sweep={'model': models})
  config_lib.validate(config)
  jobs.go(job_of(EXPERIMENT, config), tmp_path)
  dataset = results.open(tmp_path)
  claims = EXPERIMENT.claims(config, dataset)
  assert claims and len({c.id for c in claims}) == len(claims)
  figures = EXPERIMENT.figures(config, dataset, claims)
  assert figures and all(caption for _, caption in figures.values())


@pytest.mark.parametrize(
  'variant, models',
  [
    ('omniglot_maml', ('limit', 'w8', 'w900', 'linear', 'gp', 'ntk')),
    ('omniglot_order', ('limit', 'w8')),
    ('omniglot_kernels', ('gp', 'linear')),
  ],
)
def test_claims_and_figures_of_drawings(variant, models, monkeypatch, tmp_path):
  draw = np.random.default_rng(0).integers
  tables = [draw(0, 256, (n, 20, 784)).astype(np.uint8) for n in (7, 5, 6)]
  made = omniglot.Omniglot(*tables)
  monkeypatch.setattr(omniglot, 'load', lambda *_: made)
  config = get_config(variant)
  sweep = {**config.sweep, 'model': models}
  config = dataclasses.replace(config, **TINY, sweep=sweep)
  config_lib.validate(config)
  jobs.go(job_of(EXPERIMENT, config), tmp_path)
  dataset = results.open(tmp_path)
  claims = EXPERIMENT.claims(config, dataset)
  assert claims and len({c.id for c in claims}) == len(claims)
  assert all(c.verdict != 'fails' or np.isfinite(c.measured) for c in claims)
  figures = EXPERIMENT.figures(config, dataset, claims)
  assert figures and all(caption for _, caption in figures.values())


@pytest.mark.parametrize(
  'fields, line',
  [
    ({'model': 'wide'}, "config.model: got '?wide'?, expected"),
    ({'rank': 100}, 'config.rank: got 100, expected at most d = 64'),
    ({'model': 'gp', 'order': 2, 'sweep': {}}, 'config.order: got 2'),
    ({'model': 'gp', 'capacity': 3, 'sweep': {}}, 'config.capacity: got 3'),
    ({'clip': 0.0}, 'config.clip: got 0.0'),
    ({'judged': 'validation'}, "config.judged: got '?validation'?"),
    ({'task': 'omniglot', 'model': 'gp', 'capacity': 9}, 'config.capacity'),
  ],
)
def test_bad_input_is_one_line(fields, line):
  config = dataclasses.replace(get_config('quick'), **fields)
  with pytest.raises(config_lib.ConfigError, match=line) as caught:
    config_lib.validate(config_lib.normalise(config))
  assert len(str(caught.value).splitlines()) == 1


def test_missing_data_is_one_line(monkeypatch, tmp_path):
  monkeypatch.setenv(store.VARIABLE, str(tmp_path))
  with pytest.raises(config_lib.ConfigError, match='omniglot') as caught:
    job_of(EXPERIMENT, get_config('omniglot_quick'))
  assert len(str(caught.value).splitlines()) == 1
