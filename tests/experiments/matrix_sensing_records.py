"""Results of matrix sensing that are written down from its laws."""

import itertools
from types import SimpleNamespace

import numpy as np
import xarray as xr

from experiments.matrix_sensing import EXPERIMENT, runs
from framework.systems import matrix_sensing as ms

FLOOR = 1e-31
R = 3


def claims(config, ds):
  """{id: claim} of a config and results."""
  made = EXPERIMENT.variant(config).claims(config, ds)
  assert len({c.id for c in made}) == len(made)
  return {c.id: c for c in made}


def results(config, law, **wrong):
  """A dataset as a run would leave it, each lane as a law has it.

  Args:
    config: The config.
    law: (lane, t, **wrong) -> {observation: over t, or a number}.
    **wrong: How it differs from the law.

  Returns:
    The dataset.
  """
  t = runs.times(config).astype(float)
  axes = {**config.sweep, 'seed': tuple(range(config.seeds))}
  shape = tuple(map(len, axes.values()))
  found = {'diverged_at': np.full(shape, np.nan)}
  for place in itertools.product(*map(range, shape)):
    own = {name: v[i] for (name, v), i in zip(axes.items(), place, strict=True)}
    given = {n: getattr(config, n) for n in (*ms.Hp._fields, *_STRUCTURE)}
    seen = law(SimpleNamespace(**{**given, **own}), t, **wrong)
    for name, x in seen.items():
      empty = np.full((*shape, *np.shape(x)), np.nan)
      found.setdefault(name, empty)[place] = x
  data = {
    name: ((*axes, *['time'] * (x.ndim - len(shape))), x)
    for name, x in found.items()
  }
  coords = {name: list(values) for name, values in axes.items()}
  return xr.Dataset(data, {**coords, 'time': t})


_STRUCTURE = ('setting', 'parametrisation', 'optimizer')


def _rate(eta, eigenvalue):
  return 2 * np.log1p(-eta * eigenvalue)


def _decay(rate, t, start=1.0):
  return start * np.exp(np.maximum(rate * t, -300)) + FLOOR


def symmetric(lane, t, *, rate=1.0, exponent=-2.0, constant=1.0, floor=FLOOR):
  """XXᵀ: linear at k = r, (k − r)/(4η²t²) beyond."""
  share = 1.0 if lane.setting == 'population' else 0.5
  lowest = share / lane.kappa
  seen = {'ntk_min': lowest, 'ntk_max': 2.0}
  if lane.k == R:
    speed = rate * _rate(lane.eta, lowest)
    error = np.exp(np.maximum(speed * t, -300)) + floor
  else:
    last = (lane.k - R) / (2 * lane.eta * t[-1]) ** 2
    error = constant * last * (np.maximum(t, 1) / t[-1]) ** exponent
  return {**seen, 'squared_error': error, 'loss': error / 4}


def _imbalance(lane, power=2.0):
  """λ of the noise: the median of Gaussian starts, whatever the seed."""
  median = {4: 0.78, 5: 0.6}.get(int(lane.k), 0.3)
  return median * 0.35**2 * (lane.alpha / 0.35) ** power


def asymmetric(
  lane, t, *, rate=1.0, power=2.0, stuck=False, tied=-2.0, noise=1.0
):
  """FGᵀ: linear at a rate that grows as α², or T⁻² without imbalance."""
  share = 1.0 if lane.setting == 'population' else 0.4
  eigenvalue = _imbalance(lane, power)
  speed = rate * _rate(lane.eta, share * eigenvalue)
  error = _decay(speed, t, 0.02 * lane.alpha**4) + _decay(-0.19, t)
  if lane.tied:
    error = np.maximum(t, 1) ** tied
  if stuck:
    error = np.ones_like(t)
  return {
    'squared_error': error,
    'ntk_min': share * eigenvalue,
    'ntk_max': 2.0,
    'noise_eigenvalue': eigenvalue * noise,
  }


def balanced(lane, t, *, rate=1.0, spread=0.0, plain=1.0):
  """FGᵀ with one modified step at t = 100, or without."""
  sigma_r = 1 / lane.kappa
  share = 1.0
  if lane.setting == 'sensing':
    share = (np.sqrt(600 - 63) - np.sqrt(162)) ** 2 / 600
  seen = {'ntk_max': 2.0, 'balanced_at': np.where(t > 100, 100.0, -1)}
  if lane.optimizer == 'gd':
    slow = _rate(lane.eta, plain * _imbalance(lane))
    error = _decay(slow, t, lane.alpha**4 / 9)
    return {**seen, 'squared_error': error, 'ntk_min': 1.0}
  # Small starts are short of σ_r by all of the error at the modified step.
  short = 0.0426 * (lane.alpha < 0.3)
  delta = sigma_r - (sigma_r - short) ** 2 / sigma_r
  slowest = (np.sqrt(delta**2 + 4 * sigma_r**2) - delta) / 2
  faster = rate * (1 + spread * np.log(lane.alpha))
  speed = faster * _rate(lane.eta, share * slowest)
  error = np.where(t <= 100, 1.0, np.exp(np.maximum(speed * (t - 100), -300)))
  return {
    **seen,
    'squared_error': 1e-3 * error + FLOOR,
    'ntk_min': share * slowest,
  }


def sym_vs_asym(lane, t, **wrong):
  """Either of the two."""
  if lane.parametrisation == 'symmetric':
    return symmetric(lane, t, **wrong) | {'noise_eigenvalue': np.nan}
  return asymmetric(SimpleNamespace(**{**vars(lane), 'tied': 0}), t)


def phase(lane, t, *, slower=1.0, full=False):
  """The law of the time to 1e-6, with the signal at its own pace."""
  share = 1.0 if lane.setting == 'population' else 0.6
  eigenvalue = _imbalance(lane) if lane.k < 12 else 1e-6
  eigenvalue = 1.0 if full and lane.k == 20 else eigenvalue
  start = max(lane.k - R, 1) * lane.alpha**4 / 9
  speed = _rate(lane.eta, share * eigenvalue) / slower
  error = _decay(speed, t, start) + _decay(-0.2, t)
  residual = np.full(t.shape, np.sqrt(start * lane.k / max(lane.k - R, 1)))
  return {
    'squared_error': error,
    'residual': residual,
    'noise_eigenvalue': eigenvalue,
  }


def preconditioned(lane, t, *, over_kappa=0.0, gd=1.0, scaled=1.0, late=False):
  """GD and ScaledGD(λ) as the scalar noise is, PrecGD linear."""
  x0, k = lane.alpha * 0.9, lane.k
  late_t = np.maximum(t, 1)
  if lane.optimizer == 'precgd':
    speed = 0.14 * (1 - over_kappa * np.log(lane.kappa))
    error = _decay(-speed / (100 if late else 1), t)
  elif lane.optimizer == 'gd':
    error = gd * (k - R) / (1 / x0**2 + 2 * lane.eta * late_t) ** 2
  else:
    # λ/u + ln(1/u) = 2ηt + λ/u_0 + ln(1/u_0), solved by iteration.
    late, u = 2 * lane.eta * late_t + lane.damping / x0**2, x0**2
    for _ in range(100):
      gone = np.log(np.maximum(u, 1e-300) / x0**2)
      u = lane.damping / np.maximum(late + gone, 1)
    error = scaled * (k - R) * u**2
  return {'squared_error': error}
