"""From a config to claims and figures, at sizes that take seconds."""

import dataclasses

import numpy as np
import pytest

from configs.xor_grokking import VARIANTS, Config, get_config
from experiments.xor_grokking import EXPERIMENT
from experiments.xor_grokking.setting import (
  arm,
  assumptions,
  first_time,
  resolved,
  times,
)
from framework import config as config_lib
from framework.launch.experiment import job_of
from framework.run import results
from tests.run import jobs

TINY = dict(n=8, n_test=12, m=6, p=60.0, seeds=3, steps=6, dense=2)
SWEEPS = {
  'theory': {'n': (8, 10, 12)},
  'phase': {'omega': (1e-15, 1e-10), 'signal': (1.0, 2.0, 3.5), 'eta': (0.0,)},
  'lost_cluster': {'m': (4, 6), 'stratified': (0.0, 1.0)},
}


FAST = ('quick', 'slow', 'lost_cluster')  # a program or two each


@pytest.mark.parametrize(
  'variant',
  [
    v if v in FAST else pytest.param(v, marks=pytest.mark.slow)
    for v in VARIANTS
  ],
)
def test_every_variant_makes_claims_and_figures(variant, tmp_path):
  config = get_config(variant)
  config = dataclasses.replace(
    config,
    **TINY | {'sweep': SWEEPS.get(variant, config.sweep)},
    # Points in R^p compile in half the time.
    form='auto' if variant == 'theory' else 'gram',
    precision='float64',  # what tests run in
  )
  config_lib.validate(config)
  jobs.go(job_of(EXPERIMENT, config), tmp_path)
  dataset = results.open(tmp_path)
  made = EXPERIMENT.variant(config)
  claims = made.claims(config, dataset)
  assert claims and len({c.id for c in claims}) == len(claims)
  figures = made.figures(config, dataset)
  assert figures and all(caption for _, caption in figures.values())


@pytest.mark.parametrize(
  'fields, line',
  [
    ({'p': 1.0}, 'config.p: got 1.0, expected a finite float >= 2'),
    ({'eta': 0.5}, 'config.eta: got 0.5, expected a finite float >= 0 and <'),
    ({'eta': -0.1}, 'config.eta: got -0.1'),
    ({'n': 3}, 'config.n: got 3, expected an integer >= 4'),
    ({'m': 1}, 'config.m: got 1, expected an integer >= 2'),
    ({'signal': -1.0}, 'config.signal: got -1.0'),
    ({'alpha': 0.0}, 'config.alpha: got 0.0, expected a finite float > 0'),
    ({'form': 'bartlett', 'p': 50.0}, 'config.p: got 50.0, expected at least'),
    ({'form': 'gram', 'p': 1e7}, 'for form=gram .*bartlett takes any p'),
    (
      {'form': 'explicit', 'p': 99.5},
      'config.p: got 99.5, expected an integer',
    ),
    ({'p': 1e8}, 'config.precision: got float32, expected float64 for p > 1e7'),
    ({'regime': 'theorem'}, 'config.precision: got float32'),
    ({'sweep': {'steps': (3,)}}, 'config.sweep.steps'),
    ({'sweep': {'eta': (0.1, 0.6)}}, 'sweep'),
  ],
)
def test_bad_input_is_one_line(fields, line):
  config = dataclasses.replace(Config(), **fields)
  with pytest.raises(config_lib.ConfigError, match=line) as caught:
    config_lib.validate(config_lib.normalise(config))
  assert len(str(caught.value).splitlines()) == 1


def test_form_is_chosen_by_shape_with_a_reason():
  why = arm(Config()).notes['form']
  assert why.startswith('bartlett: 3.2e+10 flops a step in R^p, 8e+07')
  assert arm(Config(p=50.0)).notes['form'].startswith('explicit: ')
  given = arm(Config(form='gram', p=300.0))
  assert given.notes['form'] == 'gram: as asked for'
  with pytest.raises(config_lib.ConfigError, match='an integer for form=exp'):
    job_of(EXPERIMENT, Config(variant='quick', p=50.5))


@pytest.mark.parametrize('n', [50, 100, 400])
@pytest.mark.parametrize('C', [1.0, 3.0])
def test_the_regime_of_the_theorem_meets_its_assumptions(n, C):
  config = Config(regime='theorem', constant=C, n=n)
  s = resolved(config)
  assert all(a.holds for a in assumptions(s))
  dtype_config = dataclasses.replace(config, precision='float64')
  assert arm(dtype_config).hp.p == s.p > 1e8


def test_record_times():
  found = times(Config(steps=200, dense=30))
  assert found[:31].tolist() == list(range(31))
  assert found[-1] == 200 and {50, 100, 150} <= set(found.tolist())
  assert (np.diff(found) > 0).all()
  assert times(Config(steps=3, dense=30)).tolist() == [0, 1, 2, 3]


def test_first_time():
  t = np.array([0, 1, 4, 9])
  nan = np.nan
  y = [
    [0.0, 0.5, 1.0, 0.2],
    [0.0, 0.1, 0.2, 0.3],  # never
    [0.0, nan, 1.0, 1.0],  # who knows
    [0.0, 1.0, nan, nan],
    [nan, nan, nan, nan],
  ]
  found = first_time(t, np.array(y), 1.0)
  np.testing.assert_array_equal(found, [4, np.inf, nan, 1, nan])
