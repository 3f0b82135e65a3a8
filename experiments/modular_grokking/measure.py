"""Reading results: lanes of a method, and when they generalise.

A run has *memorised* when it is right on 99 % of the training rows and
*generalised* when it is right on 95 % of all others (50 % where said so); it
has *collapsed* when more than 30 % of the training rows have. Times are read
off the records, so they are as fine as those.
"""

from typing import Any

import numpy as np

from framework.evidence import survival

__all__ = [
  'PAPER',
  'best',
  'groups',
  'lanes',
  'last',
  'prepared',
  'reached',
  'series',
  'survived',
  'when',
]

PAPER = 'Prieto et al. 2025'


def prepared(config: Any, dataset: Any) -> Any:
  """Method and weight decay are dimensions, whether swept or not.

  Args:
    config: Supplies the value of an axis that was not swept.
    dataset: Results.

  Returns:
    The dataset, with every swept axis a dimension.
  """
  for axis in ('method', 'weight_decay'):
    if axis not in dataset.dims:
      dataset = dataset.expand_dims({axis: [getattr(config, axis)]})
  return dataset


def lanes(ds: Any, name: str, **where: Any) -> np.ndarray:
  """An observation as an array (lanes, time, ...), at some coordinates.

  Args:
    ds: A prepared dataset.
    name: The observation.
    **where: Coordinates to select.

  Returns:
    The array; axes that are not selected are lanes, in C order.
  """
  array = ds[name].sel(where)
  own = [d for d in array.dims if str(d).startswith(f'{name}_')]
  array = array.transpose(..., 'time', *own)
  shape = array.shape[array.dims.index('time') :]
  return array.values.reshape(-1, *shape)


def series(ds: Any, name: str, method: str, **where: Any) -> np.ndarray:
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


def reached(ds: Any, name: str, level: float, **where: Any) -> np.ndarray:
  """`when` of an observation."""
  return when(ds['time'].values, lanes(ds, name, **where), level)


def best(ds: Any, name: str, **where: Any) -> np.ndarray:
  """The greatest value that each lane ever had."""
  return lanes(ds, name, **where).max(-1)


def last(ds: Any, name: str, **where: Any) -> np.ndarray:
  """The value of each lane at the last record."""
  return lanes(ds, name, **where)[:, -1]


def groups(ds: Any) -> list[tuple[str, dict[str, Any]]]:
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


def survived(ds: Any, level: float = 0.95, **where: Any) -> survival.Survival:
  """The share of runs that have not generalised, over time."""
  t = ds['time'].values
  end = np.nan_to_num(
    ds['diverged_at'].sel(where).values.ravel(), nan=float(t[-1])
  )
  event = reached(ds, 'test_accuracy', level, **where)
  return survival.kaplan_meier(event, np.maximum(end, np.nan_to_num(event)))


LABELS = {
  'custom': 'custom',
  'ce16': 'CE, float16',
  'ce32': 'CE, float32',
  'ce64': 'CE, float64',
  'stablemax': 'StableMax',
  'perp': '⊥Grad',
  'perp_unscaled': '⊥Grad, not rescaled',
  'perp_matched': '⊥Grad, matched',
  'perp_stablemax': '⊥Grad, StableMax',
  'perp_sgd': '⊥SGD, StableMax',
  'grokfast_ema': 'Grokfast-EMA',
  'grokfast_ema_matched': 'Grokfast-EMA, matched',
  'grokfast_ma': 'Grokfast-MA',
  'grokfast_ma_matched': 'Grokfast-MA, matched',
  'hot': 'CE, T = 10',
  'smoothed': 'CE, smoothed',
  'stopped': 'CE, float64, stopped',
  'zeroed': 'CE, float64, zeroed',
  'decayed': 'weight decay 1',
}
