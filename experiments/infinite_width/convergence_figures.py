"""Figure of convergence: rms error against width, a panel a limit."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.infinite_width.convergence_claims import curve, limits, widths

__all__ = ['FIGURES']

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


def convergence(config: Any, ds: Any) -> dict[str, tuple]:
  """Errors at the start, after one step and at the end, and the law."""
  from framework.evidence import figures as plotting

  shown = limits(config)
  columns = min(5, len(shown))
  rows = math.ceil(len(shown) / columns)
  fig, axes = plotting.figure(
    'double', height=0.5 + 1.9 * rows, nrows=rows, ncols=columns,
    sharex=True, sharey=True, squeeze=False,
  )  # fmt: skip
  n = np.asarray(widths(config), np.float64)
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
      ax.axhline(stderr, color='C7', lw=1, ls=':')
    slope = f'$n^{{{found[-1].slope:.2f}}}$'
    ax.set_title(f'{_NAMES[limit]}\n{slope}', fontsize=8)
  for ax in axes.ravel()[len(shown) :]:
    ax.set_visible(False)
  for ax in axes[-1]:
    ax.set_xlabel('width $n$')
  for row in axes:
    row[0].set_ylabel('rms of $f_n - f_\\infty$')
  fig.legend(
    *axes[0, 0].get_legend_handles_labels(),
    loc='outside lower center',
    ncols=len(times),
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


FIGURES: dict[str, Callable[[Any, Any], dict]] = {'convergence': convergence}
