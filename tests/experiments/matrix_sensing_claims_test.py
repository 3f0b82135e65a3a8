"""Claims of matrix sensing on results that are written down.

As the laws have it all of them hold; a number beyond its tolerance fails its
own claims.
"""

import dataclasses

import numpy as np
import pytest

from configs.matrix_sensing import VARIANTS, get_config
from tests.experiments import matrix_sensing_records as records
from tests.experiments.matrix_sensing_records import claims, results


def verdicts(variant, config=None, **wrong):
  config = config or get_config(variant)
  return claims(config, results(config, getattr(records, variant), **wrong))


def failing(found):
  return {i: c.reason for i, c in found.items() if c.verdict == 'fails'}


@pytest.mark.parametrize('variant', VARIANTS)
def test_records_of_the_laws_hold(variant):
  found = verdicts(variant)
  assert not failing(found)
  holding = [c for c in found.values() if c.verdict == 'holds']
  assert any(c.headline for c in holding)
  assert all(c.kind in ('theorem', 'paper') for c in found.values())


BOTH = ('population', 'sensing')
# What is wrong, and the claims that fail of it.
WRONG = [
  ('symmetric', {'rate': 0.95}, [f'{s}.k=3.rate' for s in BOTH]),
  ('symmetric', {'rate': 1.15}, [f'{s}.k=3.rate' for s in BOTH]),
  ('symmetric', {'floor': 1e-28}, [f'{s}.k=3.floor' for s in BOTH]),
  ('symmetric', {'constant': 1.05}, ['population.k=5.constant']),
  ('symmetric', {'exponent': -1.9}, ['population.k=5.exponent']),
  (
    'symmetric',
    {'exponent': -2.1},
    ['population.k=4.exponent', 'sensing.k=4.exponent', 'sensing.k=8.bound'],
  ),
  (
    'symmetric',
    {'exponent': -1.75},
    ['sensing.k=5.exponent', 'sensing.k=5.loss'],
  ),
  ('asymmetric', {'power': 2.3}, [f'{s}.exponent' for s in BOTH]),
  ('asymmetric', {'power': 1.7}, [f'{s}.exponent' for s in BOTH]),
  ('asymmetric', {'rate': 0.95}, ['population.ntk', 'population.slowest']),
  ('asymmetric', {'rate': 1.3}, [f'{s}.ntk' for s in BOTH]),
  ('asymmetric', {'noise': 1.05}, ['population.noise']),
  ('asymmetric', {'tied': -2.3}, ['population.tied']),
  ('asymmetric', {'tied': -1.7}, ['population.tied']),
  (
    'asymmetric',
    {'stuck': True},
    [f'{s}.{what}' for s in BOTH for what in ('arrives', 'ntk', 'exponent')],
  ),
  ('balanced', {'rate': 0.9}, ['population.rate', 'population.ntk']),
  ('balanced', {'rate': 1.12}, ['population.rate']),
  ('balanced', {'rate': 0.8}, ['sensing.share', 'sensing.ntk']),
  ('balanced', {'spread': 0.08}, [f'{s}.spread' for s in BOTH]),
  ('balanced', {'rate': -0.1}, [f'{s}.spread' for s in BOTH]),
  ('balanced', {'rate': 0.1}, [f'{s}.arrives' for s in BOTH]),
  ('balanced', {'plain': 15.0}, [f'{s}.gd' for s in BOTH]),
  ('sym_vs_asym', {'constant': 0.95}, ['population.constant']),
  ('sym_vs_asym', {'exponent': -2.1}, [f'{s}.exponent' for s in BOTH]),
  ('phase', {'slower': 1.4}, ['population.time']),
  ('phase', {'slower': 0.7}, ['population.time']),
  ('phase', {'slower': 0.5}, ['sensing.time']),
  ('phase', {'slower': 5.0}, ['population.arrives']),
  ('phase', {'full': True}, [f'{s}.full' for s in BOTH]),
  ('preconditioned', {'over_kappa': 0.12}, [f'{s}.kappa' for s in BOTH]),
  ('preconditioned', {'late': True}, [f'{s}.precgd' for s in BOTH]),
  ('preconditioned', {'gd': 1.1}, ['population.gd']),
  ('preconditioned', {'gd': 0.8}, [f'{s}.gd' for s in BOTH]),
  ('preconditioned', {'scaled': 1.1}, ['population.scaled_gd']),
  ('preconditioned', {'scaled': 0.8}, [f'{s}.scaled_gd' for s in BOTH]),
  (
    'preconditioned',
    {'scaled': 1e7},
    [f'{s}.scaled_gd_ahead' for s in BOTH],
  ),
]


@pytest.mark.parametrize('variant, wrong, ids', WRONG)
def test_a_wrong_number_fails_its_claims(variant, wrong, ids):
  found = verdicts(variant, **wrong)
  assert set(ids) <= failing(found).keys(), failing(found)


def test_a_lane_that_is_not_known_fails_the_spread():
  config = get_config('balanced')
  ds = results(config, records.balanced)
  ds['squared_error'][dict(setting=0, optimizer=1, alpha=2, seed=1)] = np.nan
  assert 'population.spread' in failing(claims(config, ds))


def alone(variant, **fields):
  """A config without a sweep but over its settings."""
  sweep = fields.pop('sweep', {})
  return dataclasses.replace(get_config(variant), sweep=sweep, **fields)


UNTESTABLE = [
  ('asymmetric', dict(k=3, sweep={'alpha': (0.5, 0.35, 0.25)}), 'exponent'),
  ('asymmetric', dict(steps=200), 'arrives'),
  ('asymmetric', dict(ratio=0.0), 'ntk'),
  ('asymmetric', dict(eta=1.0), 'ntk'),
  ('asymmetric', dict(alpha=2.5), 'arrives'),
  ('asymmetric', dict(optimizer='precgd'), 'ntk'),
  ('asymmetric', dict(n=70, k=9), 'ntk'),
  ('asymmetric', dict(tied=1.0, steps=30_000, alpha=0.7), 'tied'),
  ('symmetric', dict(k=3, steps=300, kappa=500.0), 'k=3.rate'),
  ('symmetric', dict(k=3, eta=1.1), 'k=3.floor'),
  ('symmetric', dict(k=4, kappa=500.0), 'k=4.exponent'),
  ('symmetric', dict(k=4, alpha=0.01), 'k=4.constant'),
  ('symmetric', dict(k=29), 'k=29.exponent'),
  ('symmetric', dict(k=3, records=5), 'k=3.rate'),
  ('symmetric', dict(setting='sensing', k=4, outliers=0.1), 'k=4.bound'),
  ('symmetric', dict(setting='sensing', k=3, outliers=0.1), 'k=3.rate'),
  ('symmetric', dict(setting='sensing', k=4, m=400), 'k=4.exponent'),
  ('balanced', dict(optimizer='balanced', k=3), 'arrives'),
  ('balanced', dict(optimizer='balanced', steps=150), 'rate'),
  ('balanced', dict(optimizer='gd', alpha=0.7), 'gd'),
  ('balanced', dict(optimizer='balanced', trigger=1e-28), 'arrives'),
  ('sym_vs_asym', dict(k=3), 'exponent'),
  ('phase', dict(k=3), 'time'),
  ('phase', dict(k=5, alpha=0.12, steps=500), 'arrives'),
  ('phase', dict(k=20, alpha=1.4), 'full'),
  ('preconditioned', dict(optimizer='gd', k=3), 'gd'),
  ('preconditioned', dict(optimizer='scaled_gd', damping=0.0), 'scaled_gd'),
  ('preconditioned', dict(optimizer='precgd', steps=100), 'precgd'),
]


@pytest.mark.parametrize('variant, fields, id', UNTESTABLE)
def test_a_setting_that_cannot_show_it_says_so(variant, fields, id):
  config = alone(variant, **fields)
  setting = fields.get('setting', 'population')
  claim = verdicts(variant, config)[f'{setting}.{id}']
  assert claim.verdict == 'not testable', claim
  assert claim.reason


def test_claims_are_strict_where_the_statement_is():
  found = verdicts('preconditioned')
  ahead = [c for i, c in found.items() if i.endswith('_ahead')]
  assert len(ahead) == 4
  config = get_config('preconditioned')
  ds = results(config, records.preconditioned)
  # A tie is no lead.
  ds['squared_error'][:] = 1.0
  for claim in claims(config, ds).values():
    if claim.id.endswith('_ahead'):
      assert claim.verdict == 'fails'
