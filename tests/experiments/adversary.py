"""Records that no run has made, to see what claims say of them.

A claim that holds whatever was recorded is no claim. Results of any variant are
made up here from shapes alone: nothing is computed, so every variant of every
experiment can be tried.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from framework.evidence.claims import Claim
from framework.launch import Study
from framework.run import job as job_lib

__all__ = ['FILLS', 'claims_of', 'made_up']


def _nan(shape, timed, draw):
  return np.full(shape, np.nan)


def _first(shape, timed, draw):
  """A run stopped after its first record; what comes at the end is missing."""
  values = np.full(shape, np.nan)
  if timed is not None:
    index = [slice(None)] * len(shape)
    index[timed] = 0
    values[tuple(index)] = draw.uniform(0, 1, values[tuple(index)].shape)
  return values


def _stuck(shape, timed, draw):
  """Nothing ever changes."""
  if timed is None:
    return draw.uniform(0, 1, shape)
  once = list(shape)
  once[timed] = 1
  return np.broadcast_to(draw.uniform(0, 1, once), shape).copy()


def _rising(shape, timed, draw):
  """From 0 to 1, each at its own pace: it passes every level in between."""
  steps = draw.uniform(0, 1, shape)
  if timed is None:
    return steps
  risen = np.cumsum(steps, timed) - np.take(steps, [0], timed)
  return risen / np.maximum(np.take(risen, [-1], timed), 1e-9)


# {name: (shape, axis of time or None, generator) -> values}
FILLS: dict[str, Callable[..., np.ndarray]] = {
  'nan': _nan,
  'first': _first,
  'zeros': lambda shape, timed, draw: np.zeros(shape),
  'ones': lambda shape, timed, draw: np.ones(shape),
  'stuck': _stuck,
  'random': lambda shape, timed, draw: draw.uniform(0, 1, shape),
  'rising': _rising,
  'falling': lambda shape, timed, draw: 1.001 - _rising(shape, timed, draw),
}


def made_up(study: Study, fill: str, seed: int = 0) -> xr.Dataset:
  """Results of a study as `results.open` would give them, but made up.

  Args:
    study: Whose results they would be.
    fill: One of `FILLS`.
    seed: Of the made-up numbers.

  Returns:
    A dataset with the variables, axes and coordinates of the study.
  """
  layout, draw = study.job.layout, np.random.default_rng(seed)
  axes = {**layout.structure, **layout.hp, 'seed': list(layout.seeds)}
  lanes = tuple(map(len, axes.values()))
  found = {}
  for name, variable in job_lib.variables(study.job).items():
    dims, shape, timed = tuple(axes), lanes, None
    if variable.timed:
      timed, dims, shape = (
        len(dims),
        (*dims, 'time'),
        (*shape, len(layout.times)),
      )
    own = tuple(f'{name}_{i}' for i in range(len(variable.shape)))
    values = FILLS[fill]((*shape, *variable.shape), timed, draw)
    found[name] = ((*dims, *own), values)
  if fill not in ('nan', 'first'):  # a lane that lives has no such step
    dims, values = found['diverged_at']
    found['diverged_at'] = (dims, np.full(values.shape, np.nan))
  coords = {name: (name, _coordinate(v)) for name, v in axes.items()}
  return xr.Dataset(found, {**coords, 'time': ('time', layout.times)})


def _coordinate(values: Any) -> np.ndarray:
  numbers = all(isinstance(v, (int, float, np.generic)) for v in values)
  return np.asarray(values if numbers else [str(v) for v in values])


def claims_of(study: Study, dataset: xr.Dataset) -> list[Claim]:
  """What the study's variant claims of a dataset."""
  return study.experiment.variant(study.config).claims(study.config, dataset)
