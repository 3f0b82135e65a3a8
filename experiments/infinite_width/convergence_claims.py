"""Claims on convergence: the rms error over seeds falls as n^-1/2."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from framework.evidence import fits
from framework.evidence.claims import Claim, at_most, untestable, within

__all__ = ['CLAIMS', 'Curve', 'curve', 'limits', 'widths']

LIMIT = 'the limit of µP, Yang & Hu 2021; its rate is derived'
# What the slope may be: −1/2, less or more by what a few seeds and the next
# order in 1/n change at these widths.
_BANDS = {
  'linear': (-0.56, -0.44),
  'quadrature': (-0.58, -0.44),
  'deep': (-0.62, -0.42),
  'particles': (-0.60, -0.40),
}
_PARTICLES = ('tanh_L2', 'relu_L2')


class Curve(NamedTuple):
  """Of one limit at one time, over widths."""

  error: np.ndarray  # rms over seeds, freed of what the limit's error adds
  spread: np.ndarray  # its standard error
  stderr: float  # of the limit
  slope: float
  slope_stderr: float


def limits(config: Any) -> tuple[str, ...]:
  """The limits that were run, in order."""
  return tuple(config.sweep.get('limit', (config.limit,)))


def widths(config: Any) -> tuple[int, ...]:
  """The widths that were run, in order."""
  return tuple(config.sweep.get('width', (config.width,)))


def curve(
  config: Any, dataset: Any, limit: str, time: int, name: str = 'error'
) -> Curve:
  """Root mean squares over seeds at every width, and their slope.

      rms² = mean over seeds of error² − stderr²

  A particle limit's own error adds its square to every mean square.

  Args:
    config: The config.
    dataset: Its results.
    limit: One that was run.
    time: Place of the record.
    name: error or output.

  Returns:
    A `Curve`; the slope is NaN below three widths.
  """
  here = dataset.isel(time=time)
  if 'limit' in here.dims:
    here = here.sel(limit=limit)

  def values(which: str) -> np.ndarray:
    """(width, lanes)."""
    array = here[which]
    if 'width' not in array.dims:
      array = array.expand_dims('width')
    array = array.transpose('width', ...).values
    return array.reshape(len(array), -1)

  square = values(name) ** 2
  stderr = values('stderr')
  free = square - (stderr**2 if name == 'error' else 0)
  mean = free.mean(1)
  rms = np.sqrt(np.where(mean > 0, mean, np.nan))
  lanes = square.shape[1]
  # Of the mean square, by the delta method.
  spread = square.std(1, ddof=1 if lanes > 1 else 0) / lanes**0.5 / (2 * rms)
  n = np.asarray(widths(config), np.float64)
  slope, uncertain = np.nan, np.nan
  if len(n) > 2:
    slope = float(fits.power_law(n, rms).slope)
    u = np.log(n) - np.log(n).mean()
    uncertain = float(np.sqrt(np.sum((u * spread / rms) ** 2)) / np.sum(u**2))
  return Curve(rms, spread, float(stderr.mean()), slope, uncertain)


def _band(limit: str) -> tuple[float, float]:
  if limit in _PARTICLES:
    return _BANDS['particles']
  if limit in ('linear_L2', 'linear_L3'):
    return _BANDS['deep']
  return _BANDS['linear' if limit.startswith('linear') else 'quadrature']


def _slopes(config: Any, dataset: Any, limit: str) -> list[Claim]:
  made = []
  last = dataset.sizes['time'] - 1
  for id, name, time, what in (
    ('f0', 'output', 0, 'f(0) vanishes'),
    ('first', 'error', 1, 'the error after one step falls'),
    ('last', 'error', last, f'the error after {last} steps falls'),
  ):
    found = curve(config, dataset, limit, time, name)
    made.append(
      within(
        f'{limit}.{id}',
        f'{limit}: {what} as n^-1/2: slope of the rms over seeds',
        LIMIT,
        *_band(limit),
        found.slope,
        derivation='a mean over n neurons fluctuates as n^-1/2; seeds leave '
        f'{found.slope_stderr:.3f} of the slope open, and the next order is '
        '1/n relative to the square',
      )
    )
  if limit in _PARTICLES:
    found = curve(config, dataset, limit, last)
    made.append(
      at_most(
        f'{limit}.stderr',
        f'{limit}: the limit is known better than networks come to it: its '
        'standard error over the least error',
        'derived: error N^-1/2 of N particles',
        0.3,
        found.stderr / float(np.min(found.error)),
        derivation='its square, a tenth at most, is taken off',
      )
    )
  return made


def convergence(config: Any, dataset: Any) -> list[Claim]:
  """Slopes for every limit, at the start, after one step and at the end.

  Args:
    config: The config.
    dataset: Its results.

  Returns:
    Claims.
  """
  if len(widths(config)) < 3:
    reason = f'needs three widths, there are {len(widths(config))}'
    return [untestable('slope', 'errors fall as n^-1/2', LIMIT, reason)]
  return [
    claim
    for limit in limits(config)
    for claim in _slopes(config, dataset, limit)
  ]


CLAIMS: dict[str, Callable[[Any, Any], list]] = {'convergence': convergence}
