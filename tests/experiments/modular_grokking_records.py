"""Results that some claims are about, written down instead of computed."""

import numpy as np
import xarray as xr

from experiments.modular_grokking import EXPERIMENT
from framework.evidence.claims import Claim

__all__ = ['claims', 'results']


def results(config, lanes: dict, seeds: int = 2) -> xr.Dataset:
  """Results of a config in which every lane of a method does the same.

  Args:
    config: Names methods, decays and record times.
    lanes: {method: or (method, decay): what a lane does}. `fit`: when training
      rows are right; `grok`: when test rows are, up to `top`; `gone`: when rows
      collapse, `apart` times as far as at temperature 1; `late`: {observation:
      (step, its value from then on)}; the rest are values of observations, or
      (before `fit`, after).
    seeds: How many of each.

  Returns:
    What `framework.run.results.open` would give.
  """
  t = EXPERIMENT.variant(config).times(config).astype(float)
  axes = {
    name: list(config.axis(name))
    for name in ('method', 'weight_decay')
    if name in config.sweep
  }
  shape = tuple(map(len, axes.values()))
  found: dict[str, np.ndarray] = {}
  for place in np.ndindex(*shape):
    named = dict(zip(axes, place, strict=True))
    own = {name: axes[name][i] for name, i in named.items()}
    method = own.get('method', config.method)
    decay = own.get('weight_decay', config.weight_decay)
    lane = lanes.get((method, decay), lanes.get(method, {}))
    for name, values in _history(t, **lane).items():
      whole = (*shape, seeds, *values.shape)
      array = found.setdefault(name, np.zeros(whole))
      array[place] = values
  dims = (*axes, 'seed')
  data = {
    name: (
      (*dims, *(('time',) if x.ndim > len(dims) else ()), *_own(name, x, dims)),
      x,
    )
    for name, x in found.items()
  }
  coords = {name: (name, np.asarray(v)) for name, v in axes.items()}
  return xr.Dataset(data, {**coords, 'seed': np.arange(seeds), 'time': t})


def _own(name, x, dims):
  return [f'{name}_{i}' for i in range(x.ndim - len(dims) - 1)]


def _history(
  t, fit=np.inf, grok=np.inf, top=1.0, gone=np.inf, apart=1.0, late=(), **given
):
  fitted = t >= fit
  made = {
    'train_accuracy': np.where(fitted, 1.0, 0.02),
    'test_accuracy': np.where(t >= grok, top, 0.003),
    'collapse': np.where(t >= gone, 0.6, 0.0),
    'exp_collapse': np.zeros_like(t),
    'norm': np.ones_like(t),
    'gradient_norm': np.ones_like(t),
    'logit_rms': np.ones_like(t),
    # Such that 60 % have collapsed in any precision, or none.
    'gaps': np.where((t >= gone)[:, None], [2, 60, 70], [1, 4, 6]) * apart,
    'euler': np.ones((len(t), 3)),
    'nlm_tensor': np.full((len(t), 3), 0.9),
    'nlm_update_tensor': np.full((len(t), 3), 0.9),
  }
  for name, value in given.items():
    before, after = value if isinstance(value, tuple) else (value, value)
    own = (slice(None),) + (None,) * (made[name].ndim - 1)
    made[name] = np.where(fitted[own], after, before) + 0 * made[name]
  for name, (step, value) in dict(late).items():
    own = (slice(None),) + (None,) * (made[name].ndim - 1)
    made[name] = np.where((t >= step)[own], value, made[name])
  return made | {'diverged_at': np.full((), np.nan)}


def claims(config, lanes: dict, seeds: int = 2) -> dict[str, Claim]:
  """The claims of a config on such results, by their ids."""
  made = EXPERIMENT.variant(config).claims(
    config, results(config, lanes, seeds)
  )
  return {claim.id: claim for claim in made}
