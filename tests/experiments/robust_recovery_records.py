"""Results of robust recovery that are written down from its laws."""

import itertools
from types import SimpleNamespace

import numpy as np
import xarray as xr

from experiments.robust_recovery import EXPERIMENT
from experiments.robust_recovery.recovery import runs
from framework.launch import Study


def claims(config, ds):
  """{id: claim} of a config and results."""
  made = EXPERIMENT.variant(config).claims(config, ds)
  assert len({c.id for c in made}) == len(made)
  return {c.id: c for c in made}


def results(config, law, **wrong):
  """A dataset as a run would leave it, each lane as a law has it."""
  t = runs.times(config).astype(float)
  axes = {**config.sweep, 'seed': tuple(range(config.seeds))}
  shape = tuple(map(len, axes.values()))
  error = np.full((*shape, len(t)), np.nan)
  for place in itertools.product(*map(range, shape)):
    own = {name: v[i] for (name, v), i in zip(axes.items(), place, strict=True)}
    lane = SimpleNamespace(**{**vars(config), **own})
    error[place] = law(lane, t, **wrong)
  norm = 1 + 0.75**2 + 0.5**2 if config.r == 3 else 1 + 0.5**2
  data = {
    'squared_error': ((*axes, 'time'), norm * error**2),
    'diverged_at': (tuple(axes), np.full(shape, np.nan)),
  }
  coords = {name: list(values) for name, values in axes.items()}
  return xr.Dataset(data, {**coords, 'time': t})


def descend(t, begin, rate, floor):
  """One until `begin`, then exponential down to a floor."""
  return np.maximum(np.exp(-rate * np.maximum(t - begin, 0)), floor)


def robust(lane, t, *, floor=1e-6, exact=1e-15, spread=0.0, squares=1.0):
  """Exact at k = r, at the floor of α beyond; least squares at its share."""
  if lane.objective == 'least_squares':
    numbers = lane.r * (2 * lane.n - lane.r + 1) / 2
    law = lane.size * np.sqrt(lane.outliers * numbers / lane.m) / 1.35
    return descend(t, 100, 0.1, squares * law)
  low = exact if lane.k == lane.r else floor * (1 + spread * lane.k)
  return descend(t, 100, 0.09, low)


def noise(lane, t, *, k=0.0, least=1.0, later=0.5):
  """The oracle's share of the noise; later, beyond r, a half more."""
  numbers = lane.r * (2 * lane.n - lane.r + 1) / 2
  law = lane.size * np.sqrt(np.pi / 2 * numbers / lane.m) / 1.35
  grown = later * (lane.k > lane.r) * np.clip((t - 200) / 200, 0, 1)
  return descend(t, 80, 0.1, least * law * (1 + k * lane.k)) * (1 + grown)


def alpha_floor(lane, t, *, power=None):
  """A power of α nearer to 2 with more measurements."""
  power = power or (1.3 if lane.m == 1500 else 1.7)
  return descend(t, 60, 0.2, lane.alpha**power)


def phase(lane, t, *, at=3.5, share=2.0, wider=1.0):
  """Recovered above a value of m(1 − p)^share, more for a larger k."""
  numbers = lane.r * (2 * lane.n - lane.r + 1) / 2
  x = lane.m * (1 - lane.outliers) ** share / numbers
  needed = at * (wider if lane.k > lane.r else 1.0)
  return descend(t, 60, 0.1, 1e-6 if x > needed else 0.5)


def adversarial(variant, fill, seed=0):
  """A study of a variant on made-up records."""
  from tests.experiments import adversary

  study = Study(EXPERIMENT, variant, 'nowhere')
  made = adversary.made_up(study, fill, seed)
  return adversary.claims_of(study, made)
