"""Claims at settings they were not made at: no false alarm, nothing for free.

What a setting can show is decided from its config, so at any setting a claim
either holds or is not testable; and it holds by the numbers of its own setting.
"""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from configs.xor_grokking import Config, get_config
from experiments.xor_grokking import EXPERIMENT
from framework.config import normalise
from framework.launch import job_of
from framework.run import results
from tests.run import jobs

SMALL = dict(n=60, m=60, n_test=100, seeds=12, neurons=False)
SMALL |= dict(precision='float64', form='bartlett')
ONSET = dict(
  steps=20,
  sweep={
    'alpha': (1e-12, 1e-13, 1e-15),
    'eta': (0.0, 0.1),
    'signal': (1.0, 2.5),
    'leak': (0.0, 1.0),
  },
)
SLOW = dict(
  steps=200,
  sweep={'alpha': (3e-16, 1e-16, 1e-17), 'signal': (0.5, 1.5), 'eta': (0.1,)},
)


def run(variant: str, where, **fields) -> tuple[Config, xr.Dataset]:
  config = normalise(dataclasses.replace(get_config(variant), **fields))
  jobs.go(job_of(EXPERIMENT, config), where)
  return config, results.open(where)


def claims(config: Config, ds: xr.Dataset) -> dict:
  return {c.id: c for c in EXPERIMENT.variant(config).claims(config, ds)}


def alarms(made: dict) -> list[str]:
  return [f'{c.id}: {c.reason}' for c in made.values() if c.verdict == 'fails']


def holding(made: dict) -> set[str]:
  return {c.id for c in made.values() if c.verdict == 'holds'}


@pytest.fixture(scope='module')
def onset(tmp_path_factory):
  return run('quick', tmp_path_factory.mktemp('onset'), **SMALL | ONSET)


@pytest.fixture(scope='module')
def slow(tmp_path_factory):
  return run('slow', tmp_path_factory.mktemp('slow'), **SMALL | SLOW)


def test_no_false_alarm_at_the_onset(onset):
  made = claims(*onset)
  assert not alarms(made)
  held = holding(made)
  for eta in (0, 0.1):
    for signal in (1, 2.5):
      for alpha in ('1e-12', '1e-13'):
        here = f'alpha{alpha}.eta{eta}.signal{signal}.'
        assert {
          f'{here}{name}' for name in ('fit', 'half', 'growth', 'J1', 'J2', 'r')
        } <= held
        assert (f'{here}generalises' in held) == (signal == 2.5)
        # The slope varies with ‖μ‖⁴/p: twelve seeds are too few there.
        assert (f'{here}slope' in held) == (signal == 1)
      # Steps too small to fit at once: nothing is said of what comes of that.
      here = f'alpha1e-15.eta{eta}.signal{signal}.'
      assert {x.removeprefix(here) for x in held if x.startswith(here)} == {
        'r',
        'control.linear',
      }


def test_each_setting_of_the_onset_is_judged_by_its_own_numbers(onset):
  """With the results of other settings its laws fail."""
  config, ds = onset
  for axis, names in (
    ('alpha', ('signal2.5.growth', 'signal2.5.J1')),
    ('leak', ('signal1.slope', 'signal2.5.growth', 'signal2.5.generalises')),
  ):
    made = claims(config, ds.roll({axis: 1}, roll_coords=False))
    for eta in (0, 0.1):
      for name in names:
        assert made[f'alpha1e-12.eta{eta}.{name}'].verdict == 'fails', axis


def test_no_false_alarm_where_fitting_is_slow(slow):
  made = claims(*slow)
  assert not alarms(made)
  laws = {x for x in holding(made) if x.endswith('law')}
  assert laws == {
    f'alpha{alpha}.signal{signal}.law'
    for alpha in ('3e-16', '1e-16')
    for signal in (0.5, 1.5)
  }
  late = made['alpha1e-17.signal0.5.law']
  assert late.verdict == 'not testable' and '200' in late.reason


def test_each_slow_setting_is_judged_by_its_own_numbers(slow):
  config, ds = slow
  made = claims(config, ds.roll(alpha=1, roll_coords=False))
  for alpha in ('3e-16', '1e-16'):
    for signal in (0.5, 1.5):
      assert made[f'alpha{alpha}.signal{signal}.law'].verdict == 'fails'


def test_a_run_that_never_fits_fails(slow):
  """A lane that never arrives is no lane that is left out."""
  config, ds = slow
  name = 'alpha3e-16.signal0.5.law'
  assert claims(config, ds)[name].verdict == 'holds'
  stopped = ds.copy(deep=True)
  stopped['train_accuracy'][{'alpha': 0, 'seed': 3}] = 0.9
  assert claims(config, stopped)[name].verdict == 'fails'


def test_growing_projections_of_the_other_sign_fail(onset):
  """Whichever way they grow: J2 is a bound on a size."""
  config, ds = onset
  name = 'alpha1e-12.eta0.signal2.5.J2'
  for sign in (1, -1):
    other = ds.copy(deep=True)
    values = other['aligned'].values
    axis = list(other['aligned'].dims).index('aligned_1')
    J1, J2 = np.moveaxis(values, axis, 0)
    J2[...] = sign * J1
    assert claims(config, other)[name].verdict == 'fails'


MORE = [
  (
    'quick',
    dict(sweep={'n': (40, 100, 300), 'm': (30, 200), 'leak': (0.0, 0.5, 1.0)}),
    dict(seeds=20),
  ),
  (
    'quick',
    dict(
      sweep={
        'p': (1e3, 1e4, 1e6),
        'kappa': (0.05, 0.2),
        'stratified': (0.0, 1.0),
        'leak': (0.0,),
      }
    ),
    dict(n=100, m=100, seeds=20, form='bartlett'),
  ),
  (
    'theory',
    dict(sweep={'n': (24, 48, 96), 'eta': (0.0, 0.05, 0.15)}),
    dict(m=100, seeds=20),
  ),
  ('theory', dict(sweep={'n': (30, 120)}), dict(m=50, seeds=20, constant=2.0)),
  (
    'lost_cluster',
    dict(
      sweep={'m': (32, 256), 'stratified': (0.0, 1.0), 'eta': (0.0, 0.1, 0.2)}
    ),
    dict(n=60, seeds=200),
  ),
  ('lost_cluster', dict(sweep={'m': (16, 128)}), dict(n=200, seeds=100)),
  (
    'slow',
    dict(
      sweep={
        'alpha': (1e-15, 3e-16, 1e-16),
        'eta': (0.0, 0.2),
        'signal': (1.0, 2.0),
      }
    ),
    dict(n=100, m=100, seeds=10, steps=200),
  ),
  (
    'controls',
    dict(
      sweep={
        'eta': (0.05, 0.1, 0.3, 0.45),
        'signal': (0.0, 2.5, 3.0),
        'leak': (0.0, 1.0),
      }
    ),
    dict(n=100, m=100),
  ),
  (
    'phase',
    dict(
      sweep={
        'omega': (1e-15, 1e-13, 1e-12, 1e-11),
        'signal': (1.0, 2.0, 3.0),
        'eta': (0.0, 0.05, 0.2),
      }
    ),
    dict(n=100, m=64, steps=60, seeds=10),
  ),
  (
    'phase',
    dict(
      sweep={
        'omega': (1e-15, 1e-12, 1e-11, 1e-10),
        'signal': (1.0, 1.5, 2.5),
        'eta': (0.0, 0.2),
        'p': (1e4, 1e6),
      }
    ),
    dict(n=40, m=64, steps=60, seeds=10, form='bartlett'),
  ),
]


@pytest.mark.slow
@pytest.mark.parametrize('variant, grid, fields', MORE)
def test_no_false_alarm_anywhere(variant, grid, fields, tmp_path):
  config, ds = run(
    variant, tmp_path, precision='float64', **{'neurons': False} | grid | fields
  )
  made = claims(config, ds)
  assert not alarms(made)
  assert holding(made)


def test_conditions_of_the_sign_are_strict():
  """Ties are no evidence: equal errors, equal shares."""
  for variant, names in (
    ('theory', ('iii.vanishes',)),
    ('phase', ('signal', 'noise')),
    ('lost_cluster', ('width', 'm32.dealt', 'm32.pull')),
  ):
    config = get_config(variant)
    made = claims(config, flat(config))
    for name in names:
      assert made[name].verdict == 'fails', name


def flat(config: Config) -> xr.Dataset:
  """The results that a config's claims read, the same at every setting."""
  axes = {k: list(v) for k, v in config.sweep.items()}
  axes['seed'] = list(range(config.seeds))
  t = np.array([0, 1, 2, 7, 10, 14, 15, 20, 30, 50, 100, 200])
  t = t[t <= config.steps]
  shapes = {
    'train_accuracy': (),
    'test_accuracy': (),
    'weight_ratio': (),
    'cluster_accuracy': (4,),
    'projection': (2, 2),
    'aligned': (2, 2),
  }
  once = {'counts': (4, 2), 'support': (4,), 'aligned_fraction': (2, 2)}
  lanes = tuple(map(len, axes.values()))
  made = {}
  for names, timed in ((shapes, ('time',)), (once, ())):
    for name, shape in names.items():
      own = tuple(f'{name}_{i}' for i in range(len(shape)))
      size = (*lanes, *(len(t),) * len(timed), *shape)
      made[name] = ((*axes, *timed, *own), np.full(size, 0.5))
  return xr.Dataset(made, {**axes, 'time': t})
