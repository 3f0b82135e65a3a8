"""π-nets against their limit: the rms error over seeds falls as n^-1/2.

All nets are drawn from one limit and differ in Ω alone. What a setting can show
is decided before anything is measured, by `missing`.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.pi_limit import Convergence
from framework import system as system_lib
from framework.evidence import fits, lanes
from framework.evidence.claims import Claim, untestable, within
from framework.launch import Arm, Figures, Variant
from framework.maths.gaussian import transform
from framework.systems.infinite_width import limits, pi

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = ['VARIANT', 'missing', 'rms']

# −1/2, less or more by what seeds and the next order in 1/n change.
_BAND = (-0.55, -0.38)
_SOURCE = 'Yang, Santacroce, Hu 2022: the limit of π-nets; its rate is derived'


def arm(config: Convergence) -> Arm:
  """The system of one width and its hp."""
  c, number = config, np.dtype(config.precision).type
  way = pi.way(transform(c.activation), c.depth, c.rank)
  structure = limits.Structure(
    way, c.width, c.steps, dtype=np.dtype(c.precision)
  )
  one = number(1)
  hp = limits.Hp(number(c.lr), one, one, one, one)
  return Arm(limits.system(structure), hp, attributes=limits.ATTRIBUTES)


def times(config: Convergence) -> np.ndarray:
  """Record times of a config: every step."""
  return system_lib.linspaced(config.steps, 1)


def missing(config: Convergence) -> str:
  """The condition that a slope lacks in a setting, or nothing.

  A root mean square over S seeds is off by 1/√(2 S) of itself, so that seeds
  leave 1/√(2 S Σ (ln n − mean)²) of a slope open: two of these must be in the
  band.
  """
  widths = np.asarray(config.axis('width'), float)
  if len(widths) < 3:
    return f'needs three widths, there are {len(widths)}'
  least = 8 * max(config.axis('rank'))
  if widths.min() < least:
    return f'needs widths of 8 r = {least} and more: below, the next order'
  u = np.log(widths) - np.log(widths).mean()
  half = (_BAND[1] - _BAND[0]) / 2
  seeds = max(24, math.ceil(2 / np.sum(u**2) / half**2))
  if config.seeds < seeds:
    return f'needs {seeds} seeds at these widths, there are {config.seeds}'
  if not 0 < config.lr * config.steps <= 2:
    return 'needs 0 < T η <= 2: errors grow with time'
  return ''


def rms(ds: 'Dataset', time: int) -> tuple[np.ndarray, np.ndarray]:
  """Root mean square error over seeds at every width, and its stderr."""
  array = lanes.over(ds.isel(time=time), 'error', ('width',))
  square = array.reshape(len(array), -1) ** 2
  mean, count = square.mean(1), square.shape[1]
  root = np.sqrt(np.where(mean > 0, mean, np.nan))
  return root, square.std(1, ddof=min(1, count - 1)) / count**0.5 / (2 * root)


def _slope(config: Convergence, ds: 'Dataset', time: int) -> float:
  widths = np.asarray(config.axis('width'), float)
  error, _ = rms(ds, time)
  fit = fits.power_law(widths, error)
  return float(fit.slope) if fit.n == len(widths) else math.nan


def claims(config: Convergence, ds: 'Dataset') -> list[Claim]:
  """The slope at the start and after every step."""
  made = []
  for text, own, part in lanes.apart(config, ds, ('width',)):
    reason = missing(own)
    for t in range(own.steps + 1):
      texts = (
        f'slope.t={t}{text}',
        f'after {t} steps the error falls as n^-1/2: slope of the rms over '
        'seeds',
        _SOURCE,
      )
      how: dict[str, Any] = {'kind': 'theorem', 'headline': t == own.steps}
      if reason:
        made.append(untestable(*texts, reason, **how))
        continue
      made.append(
        within(
          *texts,
          *_BAND,
          _slope(own, part, t),
          derivation='a mean over n neurons fluctuates as n^-1/2; Ω is near '
          'orthogonal up to √(r/n), the next order',
          **how,
        )
      )
  return made


def figures(config: Convergence, ds: 'Dataset') -> Figures:
  """Errors over widths, and the law."""
  from framework.evidence import figures as plotting

  _, config, ds = next(lanes.apart(config, ds, ('width',)))
  fig, ax = plotting.figure()
  n = np.asarray(config.axis('width'), float)
  steps = list(range(config.steps + 1))
  for t, color in zip(steps, plotting.palette(steps), strict=True):
    error, spread = rms(ds, t)
    ax.errorbar(
      n, error, spread, fmt='o-', ms=3, lw=1, color=color, label=f'$t = {t}$'
    )
  ax.set(
    xscale='log', yscale='log', xlabel='width $n$',
    ylabel='rms of $f_n - f_\\infty$',
  )  # fmt: skip
  error, _ = rms(ds, config.steps)
  above = 1.5 * np.nanmax(error * n**0.5)
  plotting.law(ax, n, above * n**-0.5, '$n^{-1/2}$')
  plotting.legend(ax)
  return {
    'convergence': (
      fig,
      f'Predictions of {ds.sizes["seed"]} π-nets of each width against the '
      'π-limit that they are drawn from, trained side by side: rms over seeds '
      'with its standard error.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
