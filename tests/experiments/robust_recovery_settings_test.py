"""Claims at settings they were not made at: no false alarm, in real short runs.

What a setting can show is decided from its config, so at any setting a claim
either holds or is not testable.
"""

import dataclasses

import pytest

from configs.robust_recovery import get_config
from experiments.robust_recovery import EXPERIMENT
from framework.config import normalise
from framework.launch import job_of
from framework.run import results
from tests.run import jobs

SMALL = dict(n=10, r=2, k=2, m=700, seeds=2, records=20)
BOTH = ('absolute', 'least_squares')
# (variant, swept, fixed, whether something is to be seen there)
SETTINGS = [
  (
    'robust',
    {'objective': BOTH, 'outliers': (0.1, 0.3), 'k': (2, 5, 10)},
    SMALL | dict(steps=500),
    True,
  ),
  (
    'robust',
    {'outliers': (0.05, 0.4), 'kappa': (1.0, 4.0)},
    SMALL | dict(steps=900, ensemble='rademacher', schedule='median'),
    True,
  ),
  (
    'robust',
    {'outliers': (0.1, 0.2), 'k': (2, 6)},
    SMALL | dict(steps=500, ensemble='pairs', m=2500),
    False,
  ),
  (
    'robust',
    {'noise': ('heavy_tailed', 'sign_aligned'), 'size': (1.0, 10.0)},
    SMALL | dict(steps=300, outliers=0.2),
    False,
  ),
  (
    'robust',
    {'eta': (0.05, 0.5), 'delta': (0.01, 0.1)},
    SMALL | dict(steps=300, objective='huber', outliers=0.2),
    False,
  ),
  (
    'noise',
    {'size': (0.2, 1.0), 'k': (1, 4, 10)},
    SMALL | dict(r=1, steps=500, records=200),
    True,
  ),
  (
    'noise',
    {'size': (0.5, 3.0), 'k': (2, 10)},
    SMALL | dict(steps=400, records=80, schedule='median', m=2000),
    True,
  ),
  (
    'schedules',
    {
      'schedule': ('geometric', 'normalised', 'loss', 'median', 'polyak'),
      'decay': (0.97, 0.995),
      'outliers': (0.1, 0.35),
    },
    SMALL | dict(steps=800, alpha=1e-4),
    True,
  ),
  (
    'schedules',
    {'schedule': ('quantile', 'tracker'), 'level': (0.2, 0.5)},
    SMALL | dict(steps=400, k=5, alpha=1e-3, outliers=0.25),
    True,
  ),
  (
    'sign_rip',
    {'m': (600, 4800), 'outliers': (0.0, 0.2), 'size': (0.5, 10.0)},
    dict(n=12, r=2, rank=4, seeds=4),
    True,
  ),
  (
    'sign_rip',
    {'norm': (0.1, 10.0)},
    dict(n=6, r=1, rank=6, m=500, outliers=0.4, seeds=4),
    False,
  ),
  (
    'alpha_floor',
    {'m': (700, 2800), 'alpha': (1e-2, 1e-3, 1e-4), 'outliers': (0.1, 0.4)},
    SMALL | dict(k=6, steps=700),
    True,
  ),
  (
    'phase_outliers',
    {'m': (15, 30, 60, 120, 240), 'outliers': (0.0, 0.2, 0.4), 'k': (1, 10)},
    SMALL | dict(r=1, m=240, seeds=6, steps=400, records=4),
    True,
  ),
  (
    'completion',
    {'method': ('least_squares', 'subgradient', 'nuclear')},
    dict(pixels=40, observed=0.5, k=3, steps=200, records=5),
    True,
  ),
  (
    'own_data',
    {'method': ('subgradient', 'least_squares')},
    dict(pixels=40, observed=0.9, outliers=0.1, k=5, steps=200, records=5),
    True,
  ),
  (
    'deep',
    {'depth': (2, 3), 'alpha': (0.5, 0.3, 0.2)},
    dict(n=6, r=2, kappa=3.0, steps=6000, records=15),
    True,
  ),
  (
    'incremental',
    {'setting': ('population', 'sensing'), 'kappa': (4.0, 12.0)},
    dict(n=10, m=1500, r=3, k=10, steps=700, seeds=2),
    True,
  ),
  (
    'sgd',
    {'batch': (15, 40), 'noise': (0.0, 0.8)},
    dict(n=6, k=3, steps=2000, seeds=6),
    True,
  ),
]


@pytest.mark.slow
@pytest.mark.parametrize('variant, grid, fields, shows', SETTINGS)
def test_no_false_alarm(variant, grid, fields, shows, tmp_path):
  config = normalise(
    dataclasses.replace(
      get_config(variant), precision='float64', sweep=grid, **fields
    )
  )
  jobs.go(job_of(EXPERIMENT, config), tmp_path)
  made = EXPERIMENT.variant(config).claims(config, results.open(tmp_path))
  assert not [f'{c.id}: {c.reason}' for c in made if c.verdict == 'fails']
  assert not shows or 'holds' in {c.verdict for c in made}
