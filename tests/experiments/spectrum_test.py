"""Claims of exact risks: at other settings, and what they refuse."""

import dataclasses

import numpy as np
import pytest

from configs.spectrum import get_config
from experiments.spectrum import EXPERIMENT
from framework.config import ConfigError
from framework.launch import Study
from tests.experiments import adversary

SETTINGS = [
  ('eigenframework', dict(modes=60, steps=8, seeds=3), dict(n=(8,), k=(8, 0))),
  (
    'eigenframework',
    dict(alpha=2.0, beta=1.8, modes=60, steps=8),
    dict(k=(4,)),
  ),
  ('tuning', dict(modes=120, ridge=0.1), dict(n=(8, 16), k=(4, 8, 16, 0))),
  ('tuning', dict(modes=120, steps=20), dict(k=(8, 0), beta=(1.2, 2.0))),
  ('ratio', dict(n=100, modes=300), dict(alpha=(1.5, 2.0))),
  ('ratio', dict(n=250, modes=800, tail=True), dict(beta=(1.2, 2.5))),
  ('one_pass', dict(modes=8, steps=20, seeds=200), dict(data=('fresh',))),
  (
    'epochs',
    dict(modes=30, steps=400, seeds=4),
    dict(data=('repeated',), rows=(10,)),
  ),
  ('slopes', dict(modes=500, steps=200, tail=True), dict(alpha=(1.4, 3.0))),
  (
    'width',
    dict(modes=32, steps=512, tail=True),
    dict(width=(2, 4, 8, 16, 32)),
  ),
  (
    'decay',
    dict(modes=50, steps=300),
    dict(noise=(0.1, 9.0), decay=(0.0, 0.02)),
  ),
  ('masking', dict(d=5, n=20), dict(mask=(0.1, 0.5, 0.9))),
  ('contrastive', dict(d=3, k=4, steps=10), dict(mask=(0.2,))),
  (
    'bandwidth',
    dict(points=30, steps=4, ridge=1e-3),
    dict(bandwidth=(1.0, 4.0)),
  ),
  ('inductive_bias', dict(n=8, tests=6, seeds=5), dict(d=(2, 3))),
  ('pretraining', dict(d=20, n=12, r=2, seeds=30, steps=20), dict()),
  ('mixture', dict(d=20, seeds=40, steps=40), dict(m=(200, 400, 800))),
  (
    'inductive_bias_networks',
    dict(width=8, tests=6, hypotheses=4, steps=20, seeds=2),
    dict(d=(1, 2), n=(4, 6)),
  ),
  (
    'lazy',
    dict(d=8, width=16, batch=8, steps=16, seeds=2),
    dict(laziness=(1.0, 20.0)),
  ),
]


def setting(variant, fields, sweep):
  config = get_config(variant)
  return dataclasses.replace(config, **fields, sweep=sweep)


@pytest.mark.slow
@pytest.mark.parametrize('variant, fields, sweep', SETTINGS)
def test_no_false_alarm_at_other_settings(variant, fields, sweep, tmp_path):
  """What these settings can show holds; the rest is not testable."""
  study = Study(EXPERIMENT, setting(variant, fields, sweep), str(tmp_path))
  study.run(progress='none')
  failed = [c for c in study.claims() if c.verdict == 'fails']
  assert not failed, [(c.id, c.measured, c.predicted, c.reason) for c in failed]


@pytest.mark.parametrize('variant', ['tuning', 'decay', 'inductive_bias'])
def test_what_can_be_tested_is_decided_before(variant):
  """By the setting alone: zeros and random numbers leave the same open."""
  study = Study(EXPERIMENT, get_config(variant), 'nowhere')
  opened = [
    {
      c.id
      for c in adversary.claims_of(study, adversary.made_up(study, fill))
      if c.verdict == 'not testable'
    }
    for fill in ('zeros', 'random')
  ]
  assert opened[0] == opened[1]


@pytest.mark.parametrize(
  'variant, fields, message',
  [
    (
      'eigenframework',
      dict(precision='float32', ridge=1e-6, sweep={}),
      'ridge: got 1e-06, expected at least 1e-4 in float32',
    ),
    ('ratio', dict(modes=100), r'modes: got 100, expected at least 3 min'),
    (
      'contrastive',
      dict(k=7, sweep={}),
      'k is 7, which cuts a degenerate level',
    ),
    ('pretraining', dict(n=3), r'n is 3, expected r \+ 1 = 4 < n'),
    (
      'curves',
      dict(points=500),
      'n: got 256, expected at most a quarter of 500',
    ),
  ],
)
def test_what_makes_no_sense_is_said_in_one_line(variant, fields, message):
  config = dataclasses.replace(get_config(variant), **fields)
  with pytest.raises(ConfigError, match=message):
    Study(EXPERIMENT, config, 'nowhere').job  # noqa: B018


def test_theory_is_that_of_the_cells(tmp_path):
  """A tiny run of the default: every cell of it is compared."""
  config = dataclasses.replace(
    get_config('eigenframework'),
    modes=40,
    steps=6,
    seeds=4,
    sweep={'n': (6, 12), 'k': (6, 0), 'ridge': (0.1,)},
  )
  study = Study(EXPERIMENT, config, str(tmp_path))
  study.run(progress='none')
  inside = next(c for c in study.claims() if c.id == 'test.inside')
  assert 'three for one of 4 means, of 24 draws' in inside.derivation
  assert np.isfinite(inside.measured)
