"""Networks against every limit: the rms error over seeds falls as n^-1/2.

What a setting can show is decided before anything is measured, by `missing`.
"""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from configs.infinite_width import Convergence
from framework import system as system_lib
from framework.evidence import fits, lanes
from framework.evidence.claims import Claim, at_most, untestable, within
from framework.launch import Arm, Figures, Variant, hp_of, structure_of
from framework.systems.infinite_width import few_shot, limits
from framework.systems.infinite_width.limits import ways

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = ['VARIANT', 'Curve', 'curve', 'missing', 'way']

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


_FLOOR = 's.e. of the limit'  # one that is computed by particles
_NAMES = {
  'linear_sgd': 'linear, SGD',
  'linear_fomaml': 'linear, FOMAML',
  'linear_maml2': 'linear, MAML',
  'tanh': 'tanh',
  'erf': 'erf',
  'gelu': 'GELU',
  'linear_L2': 'linear, $L = 2$',
  'linear_L3': 'linear, $L = 3$',
  'tanh_L2': 'tanh, $L = 2$',
  'relu_L2': 'ReLU, $L = 2$',
}


def _maml(order: int):
  """The loss of the second half of the points after a step on the first."""

  def loss(params, x, y, hp):
    half = x.shape[0] // 2
    task = few_shot.maml.Tasks(
      x[None, :half], y[None, :half], x[None, half:], y[None, half:]
    )
    return few_shot.maml.outer_loss(params, task, hp.inner_lr, order=order)

  return loss


def _gelu(u: jax.Array) -> jax.Array:
  """The exact one, u Φ(u)."""
  return nn.gelu(u, approximate=False)


def way(config: Convergence) -> limits.Way:
  """The way to the limit of a config."""
  c = config
  sizes = {'count': c.particles, 'batches': c.batches}
  return {
    'linear_sgd': lambda: ways.linear(),
    'linear_fomaml': lambda: ways.linear(_maml(1)),
    'linear_maml2': lambda: ways.linear(_maml(2)),
    'tanh': lambda: ways.quadrature(jnp.tanh, c.nodes),
    'erf': lambda: ways.quadrature(jax.scipy.special.erf, c.nodes),
    'gelu': lambda: ways.quadrature(_gelu, c.nodes),
    'linear_L2': lambda: ways.deep_linear(2),
    'linear_L3': lambda: ways.deep_linear(3),
    'tanh_L2': lambda: ways.particles(jnp.tanh, 2, **sizes),
    'relu_L2': lambda: ways.particles(nn.relu, 2, **sizes),
  }[c.limit]()


def arm(config: Convergence) -> Arm:
  """The system of one structural setting and its hp."""
  structure = structure_of(
    limits.Structure,
    config,
    way=way(config),
    dtype=np.dtype(config.precision),
  )
  return Arm(
    limits.system(structure),
    hp_of(limits.Hp, config),
    attributes=limits.ATTRIBUTES,
  )


def times(config: Convergence) -> np.ndarray:
  """Record times of a config: every step."""
  return system_lib.linspaced(config.steps, 1)


class Curve(NamedTuple):
  """Of one limit at one time, over widths."""

  error: np.ndarray  # rms over seeds, freed of what the limit's error adds
  spread: np.ndarray  # its standard error
  stderr: float  # of the limit
  slope: float
  slope_stderr: float


def curve(
  config: Convergence, ds: 'Dataset', limit: str, time: int, name: str = 'error'
) -> Curve:
  """Root mean squares over seeds at every width, and their slope.

      rms² = mean over seeds of error² − stderr²

  A particle limit's own error adds its square to every mean square.

  Args:
    config: The config.
    ds: Its results.
    limit: One that was run.
    time: Place of the record.
    name: error or output.

  Returns:
    A `Curve`; the slope is NaN below three widths.
  """
  here = ds.isel(time=time)

  def values(which: str) -> np.ndarray:
    """(width, lanes)."""
    array = lanes.over(here, which, ('width',), limit=limit)
    return array.reshape(len(array), -1)

  square = values(name) ** 2
  stderr = values('stderr')
  free = square - (stderr**2 if name == 'error' else 0)
  mean = free.mean(1)
  rms = np.sqrt(np.where(mean > 0, mean, np.nan))
  count = square.shape[1]
  # Of the mean square, by the delta method.
  spread = square.std(1, ddof=1 if count > 1 else 0) / count**0.5 / (2 * rms)
  n = np.asarray(config.axis('width'), np.float64)
  slope, uncertain = np.nan, np.nan
  if len(n) > 2:
    fit = fits.power_law(n, rms)
    slope = float(fit.slope) if fit.n == len(n) else np.nan
    u = np.log(n) - np.log(n).mean()
    uncertain = float(np.sqrt(np.sum((u * spread / rms) ** 2)) / np.sum(u**2))
  return Curve(rms, spread, float(stderr.mean()), slope, uncertain)


def _band(limit: str) -> tuple[float, float]:
  if limit in _PARTICLES:
    return _BANDS['particles']
  if limit in ('linear_L2', 'linear_L3'):
    return _BANDS['deep']
  return _BANDS['linear' if limit.startswith('linear') else 'quadrature']


def missing(config: Convergence, limit: str) -> str:
  """The condition that a slope lacks in a setting, or nothing.

  A root mean square over S seeds is off by 1/√(2 S) of itself, so that seeds
  leave 1/√(2 S Σ (ln n − mean)²) of a slope open: two of these must be in the
  band.
  """
  widths = np.asarray(config.axis('width'), float)
  if len(widths) < 3:
    return f'needs three widths, there are {len(widths)}'
  if widths.min() < 16:
    return f'needs widths of 16 and more: the next order, {widths.min():g}'
  low, high = _band(limit)
  u = np.log(widths) - np.log(widths).mean()
  seeds = math.ceil(2 / np.sum(u**2) / ((high - low) / 2) ** 2)
  if config.seeds < seeds:
    return f'needs {seeds} seeds at these widths, there are {config.seeds}'
  if config.steps * config.lr > 2 or config.lr <= 0 or config.inner_lr > 1:
    return 'needs 0 < T η <= 2 and η_in <= 1: errors grow with time'
  deviations = config.sigma1, config.sigma_w, config.sigma_v
  if not all(0.5 <= s <= 1.5 for s in deviations):
    return 'needs deviations in [0.5, 1.5]: far from 1 the next order is large'
  return ''


def _slopes(config: Convergence, ds: 'Dataset', limit: str) -> list[Claim]:
  made = []
  reason, last = missing(config, limit), config.steps
  for id, name, time, what in (
    ('f0', 'output', 0, 'f(0) vanishes'),
    ('first', 'error', 1, 'the error after one step falls'),
    ('last', 'error', last, f'the error after {last} steps falls'),
  ):
    texts = (
      f'{limit}.{id}',
      f'{limit}: {what} as n^-1/2: slope of the rms over seeds',
      LIMIT,
    )
    how: dict[str, Any] = {'kind': 'theorem', 'headline': id == 'last'}
    if reason:
      made.append(untestable(*texts, reason, **how))
      continue
    found = curve(config, ds, limit, time, name)
    made.append(
      within(
        *texts,
        *_band(limit),
        found.slope,
        derivation='a mean over n neurons fluctuates as n^-1/2; seeds leave '
        f'{found.slope_stderr:.3f} of the slope open, and the next order is '
        '1/n relative to the square',
        **how,
      )
    )
  if limit in _PARTICLES and not reason:
    found = curve(config, ds, limit, last)
    made.append(
      at_most(
        f'{limit}.stderr',
        f'{limit}: the limit is known better than networks come to it: its '
        'standard error over the least error',
        'derived: error N^-1/2 of N particles',
        0.3,
        found.stderr / float(np.min(found.error)),
        derivation='its square, a tenth at most, is taken off',
        kind='theorem',
      )
    )
  return made


def claims(config: Convergence, ds: 'Dataset') -> list[Claim]:
  """Slopes for every limit, at the start, after one step and at the end."""
  return [
    claim._replace(id=claim.id + text)
    for text, own, part in lanes.apart(config, ds, ('limit', 'width'))
    for limit in own.axis('limit')
    for claim in _slopes(own, part, limit)
  ]


def figures(config: Convergence, ds: 'Dataset') -> Figures:
  """Errors at the start, after one step and at the end, and the law."""
  from framework.evidence import figures as plotting

  _, config, ds = next(lanes.apart(config, ds, ('limit', 'width')))
  shown = config.axis('limit')
  columns = min(5, len(shown))
  rows = math.ceil(len(shown) / columns)
  fig, axes = plotting.figure(
    'double', height=0.5 + 1.9 * rows, nrows=rows, ncols=columns,
    sharex=True, sharey=True, squeeze=False,
  )  # fmt: skip
  n = np.asarray(config.axis('width'), np.float64)
  last = ds.sizes['time'] - 1
  times = sorted({0, 1, last})
  colors = plotting.palette(list(range(len(times))))
  for made, (ax, limit) in enumerate(zip(axes.ravel(), shown, strict=False)):
    found = [curve(config, ds, limit, t) for t in times]
    for c, t, color in zip(found, times, colors, strict=True):
      ax.errorbar(
        n, c.error, c.spread, fmt='o-', ms=3, lw=1, color=color,
        label=f'$t = {t}$',
      )  # fmt: skip
    ax.set(xscale='log', yscale='log', xlim=(n[0] / 1.3, n[-1] * 1.3))
    # Above the data, not through them: a slope to compare with.
    above = 1.6 * max(np.nanmax(c.error * n**0.5) for c in found)
    plotting.law(ax, n, above * n**-0.5, '' if made else '$n^{-1/2}$')
    stderr = found[-1].stderr
    if stderr > 0:
      ax.axhline(stderr, color='C7', lw=1, ls=':', label=_FLOOR)
    slope = f'$n^{{{found[-1].slope:.2f}}}$'
    ax.set_title(f'{_NAMES[limit]}\n{slope}', fontsize=8)
  for ax in axes.ravel()[len(shown) :]:
    ax.set_visible(False)
  for ax in axes[-1]:
    ax.set_xlabel('width $n$')
  for row in axes:
    row[0].set_ylabel('rms of $f_n - f_\\infty$')
  named = {}
  for ax in axes.ravel():
    handles, names = ax.get_legend_handles_labels()
    named |= dict(zip(names, handles, strict=True))
  fig.legend(
    list(named.values()),
    list(named),
    loc='outside lower center',
    ncols=len(named),
  )
  return {
    'convergence': (
      fig,
      f'Predictions of {ds.sizes["seed"]} networks of each width against the '
      'infinitely wide one: rms over seeds, with its standard error; dashed: '
      f'$n^{{-1/2}}$; in titles: the slope at $t = {last}$. Dotted: the '
      'standard error of a limit that is itself computed by particles.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
