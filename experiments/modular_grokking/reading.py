"""Readings of results: when lanes memorise, collapse and generalise.

A run has *memorised* at the first record with 99 % of the training rows right;
it has *collapsed* at the first with 30 % of them collapsed; it has
*generalised* at the first from which on 95 % of all other rows stay right (50 %
where said so). Such a time is infinite for a lane that never does, and unknown,
NaN, for one that diverged or was there from the start, having learnt nothing.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from xarray import Dataset

from configs.modular_grokking import Config
from framework.evidence import lanes as evidence
from framework.evidence.lanes import lanes

__all__ = [
  'PAPER',
  'best',
  'collapsed',
  'confined',
  'generalised',
  'last',
  'learnt',
  'memorised',
  'prepared',
  'quotient',
  'until',
]

PAPER = 'Prieto et al. 2025'

_Times = Float[np.ndarray, ' lanes']


def prepared(function: Callable[..., Any]) -> Callable[..., Any]:
  """Claims or figures of results in which method and decay are axes."""

  def made(config: Config, ds: Dataset) -> Any:
    axes = ('method', 'weight_decay')
    return function(config, evidence.prepared(config, ds, axes))

  return made


def until(ds: Dataset, step: int) -> Dataset:
  """The records up to a step: what is claimed of a horizon is asked of it."""
  return ds.sel(time=ds['time'] <= step)


def _first(ds: Dataset, name: str, level: float, stays: bool, where: dict):
  """The first record at a level, for good or at all; see the module."""
  t, y = ds['time'].values.astype(float), lanes(ds, name, **where)
  there = y >= level
  if stays:
    # True where it is there at this record and at all that follow.
    there = np.flip(np.logical_and.accumulate(np.flip(there, 1), 1), 1)
  found = np.where(there.any(1), t[np.argmax(there, 1)], np.inf)
  unknown = np.isnan(y).any(1) | there[:, 0]
  return np.where(unknown, np.nan, found)


def memorised(ds: Dataset, method: str, **where: Any) -> _Times:
  """When each lane of a method has memorised."""
  where = {'method': method, **where}
  return _first(ds, 'train_accuracy', 0.99, False, where)


def collapsed(ds: Dataset, method: str, **where: Any) -> _Times:
  """When each lane of a method has collapsed."""
  return _first(ds, 'collapse', 0.3, False, {'method': method, **where})


def generalised(
  ds: Dataset, method: str, level: float = 0.95, **where: Any
) -> _Times:
  """When each lane of a method has generalised."""
  where = {'method': method, **where}
  return _first(ds, 'test_accuracy', level, True, where)


def confined(ds: Dataset, method: str, **where: Any) -> _Times:
  """The best test accuracy of each lane since it memorised.

  Returns:
    One number a lane; NaN for a lane that never memorised.
  """
  since = ds['time'].values >= memorised(ds, method, **where)[:, None]
  test = lanes(ds, 'test_accuracy', method=method, **where)
  found = np.where(since, test, -np.inf).max(1)
  return np.where(np.isfinite(found), found, np.nan)


def learnt(values: Any, *times: _Times) -> np.ndarray:
  """Values of lanes that have got somewhere: NaN where a time is not finite."""
  return np.where(np.all(np.isfinite(times), axis=0), values, np.nan)


def quotient(one: Any, two: Any) -> np.ndarray:
  """A time over another: 0 where the other never comes, NaN where both do."""
  with np.errstate(invalid='ignore', divide='ignore'):
    return np.asarray(one, float) / np.asarray(two, float)


def best(ds: Dataset, name: str, **where: Any) -> np.ndarray:
  """The greatest value that each lane ever had."""
  return lanes(ds, name, **where).max(1)


def last(ds: Dataset, name: str, **where: Any) -> np.ndarray:
  """The value of each lane at the last record."""
  return lanes(ds, name, **where)[:, -1]
