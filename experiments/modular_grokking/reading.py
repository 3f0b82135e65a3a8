"""Readings of results: lanes of a method, and when they generalise.

A run has *memorised* when it is right on 99 % of the training rows and
*generalised* when it is right on 95 % of all others (50 % where said so); it
has *collapsed* when more than 30 % of the training rows have. Times are read
off the records, so they are as fine as those.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.modular_grokking import Config
from experiments.modular_grokking.methods import LABELS
from framework.evidence import lanes as evidence
from framework.evidence import survival
from framework.evidence.claims import Claim, at_most
from framework.evidence.lanes import lanes

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = [
  'PAPER',
  'best',
  'groups',
  'last',
  'memorised',
  'prepared_for',
  'ran',
  'reached',
  'series',
  'survived',
  'when',
]

PAPER = 'Prieto et al. 2025'


def prepared_for(function: Callable[..., Any]) -> Callable[..., Any]:
  """Claims or figures of results in which method and decay are axes."""

  def made(config: Config, ds: 'Dataset') -> Any:
    axes = ('method', 'weight_decay')
    return function(config, evidence.prepared(config, ds, axes))

  return made


def ran(ds: 'Dataset', *methods: str) -> bool:
  """Whether all methods were run."""
  return set(methods) <= set(ds['method'].values)


def series(ds: 'Dataset', name: str, method: str, **where: Any) -> np.ndarray:
  """An observation of one method: (seeds, time, ...), or an empty array.

  Args:
    ds: A prepared dataset.
    name: The observation.
    method: The method.
    **where: More coordinates.

  Returns:
    The array; without a lane if the method was not run.
  """
  if method not in ds['method'].values:
    return np.zeros((0, ds.sizes['time']))
  return lanes(ds, name, method=method, **where)


def when(t: np.ndarray, y: np.ndarray, level: float) -> np.ndarray:
  """The first record at which each lane is at a level or above; NaN if never.

  Args:
    t: Record times.
    y: (lanes, time).
    level: The level.

  Returns:
    One time a lane.
  """
  there = y >= level
  return np.where(there.any(-1), t[np.argmax(there, -1)], np.nan)


def reached(ds: 'Dataset', name: str, level: float, **where: Any) -> np.ndarray:
  """`when` of an observation."""
  return when(ds['time'].values, lanes(ds, name, **where), level)


def best(ds: 'Dataset', name: str, **where: Any) -> np.ndarray:
  """The greatest value that each lane ever had."""
  return lanes(ds, name, **where).max(-1)


def last(ds: 'Dataset', name: str, **where: Any) -> np.ndarray:
  """The value of each lane at the last record."""
  return lanes(ds, name, **where)[:, -1]


def groups(ds: 'Dataset') -> list[tuple[str, dict[str, Any]]]:
  """What is drawn as one curve: (name, coordinates).

  Returns:
    One entry a method and, where that was swept, a weight decay.
  """
  made = []
  decays = list(ds['weight_decay'].values)
  for method in map(str, ds['method'].values):
    for decay in decays:
      name = LABELS[method]
      if ds.sizes['method'] == 1:
        name = f'λ = {decay:g}'
      elif len(decays) > 1:
        name += f', λ = {decay:g}'
      made.append((name, {'method': method, 'weight_decay': decay}))
  return made


def survived(
  ds: 'Dataset', level: float = 0.95, **where: Any
) -> survival.Survival:
  """The share of runs that have not generalised, over time."""
  t = ds['time'].values
  end = np.nan_to_num(
    ds['diverged_at'].sel(where).values.ravel(), nan=float(t[-1])
  )
  event = reached(ds, 'test_accuracy', level, **where)
  return survival.kaplan_meier(event, np.maximum(end, np.nan_to_num(event)))


def memorised(ds: 'Dataset', method: str, by: float, why: str) -> Claim:
  """All training rows are right early."""
  return at_most(
    f'{method}.train',
    f'99 % of the training rows are right by step {by:g}',
    f'{PAPER}: memorisation comes first',
    by,
    reached(ds, 'train_accuracy', 0.99, method=method),
    each=True,
    derivation=why,
  )
