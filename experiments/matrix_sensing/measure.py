"""Reading results: lanes, windows, and the laws along them.

Windows: a linear rate is fitted on the last third of the way to 1e-26 (or to
the last step): as late as can be, for the slowest mode rules only in the end,
and a thousand times above the square of rounding. A power law is fitted on the
last factor of ten of time, if that lies beyond fifty times the
crossover 1/(2ηα²).
Tolerances are those of float64 runs at n = 30 ... 50 with five seeds.
"""

from typing import Any

import numpy as np

from framework.evidence import fits
from framework.systems.matrix_sensing import theory

__all__ = [
  'PAPER',
  'axis',
  'beyond_crossover',
  'lanes',
  'linear_rates',
  'phase_times',
  'prepared',
  'truth_energy',
]

PAPER = 'Xiong, Ding, Du 2023'
FLOOR = 1e-26
LEVEL = 1e-12  # of the squared error: 1e-6 of the norm


def prepared(config: Any, dataset: Any) -> Any:
  """Every axis that a claim may ask for is a dimension.

  Args:
    config: Supplies the value of an axis that was not swept.
    dataset: Results.

  Returns:
    The dataset with dimensions setting, parametrisation, optimizer, alpha,
    tied, k, kappa, seed, time, and whatever else was swept.
  """
  for axis in (
    'setting',
    'parametrisation',
    'optimizer',
    'alpha',
    'tied',
    'k',
    'kappa',
    'eta',
  ):
    if axis not in dataset.dims:
      dataset = dataset.expand_dims({axis: [getattr(config, axis)]})
  if 'ntk_min' not in dataset:  # too many parameters to diagonalise JᵀJ
    dataset['ntk_min'] = dataset['diverged_at'] * np.nan
  return dataset


def lanes(dataset: Any, name: str, **where: Any) -> np.ndarray:
  """An observation as an array (lanes, time) or (lanes,), at some coordinates.

  Args:
    dataset: A prepared dataset.
    name: The observation.
    **where: Coordinates to select.

  Returns:
    The array; other axes and seeds are lanes, in C order.
  """
  array = dataset[name].sel(where)
  if 'time' in array.dims:
    values = array.transpose(..., 'time').values
    return values.reshape(-1, values.shape[-1])
  return array.values.ravel()


def linear_rates(t: np.ndarray, error: np.ndarray) -> fits.Fit:
  """Slope of ln(squared error) on the last third of the way to the floor."""
  reached = fits.first_passage(t, error, FLOOR)
  end = np.where(np.isnan(reached), t[-1], reached)
  where = fits.after(t, 2 * end / 3) & (t <= end[..., None])
  return fits.exponential(t, error, where=where)


def phase_times(config: Any, ds: Any, setting: str):
  """Steps to ‖E‖_F = 1e-6, the law for them, and where it is meant to hold.

  Args:
    config: The config.
    ds: A prepared dataset.
    setting: 'population' or 'sensing'.

  Returns:
    Three arrays (k, alpha, seed): measured (NaN: not by T), law, and whether
    the noise block is slower than the signal (law > 2 x the time at k = r).
  """
  order = ('k', 'alpha', 'seed')
  here = ds.sel(setting=setting)
  for axis in ('parametrisation', 'optimizer', 'tied', 'kappa', 'eta'):
    here = here.isel({axis: 0})
  error = here['squared_error'].transpose(*order, 'time').values
  t = ds['time'].values
  measured = fits.first_passage(t, error, LEVEL)
  start = here['residual'].transpose(*order, 'time').values[..., 0] ** 2
  k = ds['k'].values[:, None, None]
  # Of the k columns of the start only k - r directions are noise in the end.
  share = np.maximum(k - config.r, 1) / k
  eigenvalue = here['noise_eigenvalue'].transpose(*order).values
  rate = np.asarray(theory.linear_rate(config.eta, eigenvalue))
  with np.errstate(divide='ignore', invalid='ignore'):
    law = np.asarray(theory.time_to_error(LEVEL, start * share, rate))
  sigma_r = here['sigma_r'].transpose(*order).values
  signal = -np.log(LEVEL) / np.abs(theory.linear_rate(config.eta, sigma_r))
  return measured, law, (k > config.r) & (law > 2 * signal)


def axis(ds: Any, name: str, where: dict) -> np.ndarray:
  """The value of a swept axis in each lane of `lanes(ds, ..., **where)`."""
  array = ds['diverged_at'].sel(where)
  _, value = np.broadcast_arrays(
    array.values,
    array[name].broadcast_like(array).values if name in array.coords else 0,
  )
  return value.ravel()


def beyond_crossover(config: Any, ds: Any, where: dict) -> np.ndarray:
  """T/10 over the crossover 1/(2ηα²), in each lane."""
  start = theory.crossover(axis(ds, 'eta', where), axis(ds, 'alpha', where))
  return config.steps / 10 / np.asarray(start)


def truth_energy(ds: Any, where: dict) -> np.ndarray:
  """‖M‖_F² in each lane that has fitted M, from what it has fitted."""
  last = ds['singular_values'].sel(where).isel(time=-1)
  return (last**2).sum('singular_values_0').values.ravel()
