"""Panels with trajectories in them and laws laid over."""

from typing import Any

import numpy as np

__all__ = [
  'ERROR',
  'STEP',
  'SYMMETRIC_ERROR',
  'TAIL',
  'law',
  'legend',
  'lines',
  'panels',
  'sigma_r',
]

ERROR = r'squared error  $\|FG^\top - M\|_F^2$'
SYMMETRIC_ERROR = r'squared error  $\|XX^\top - M\|_F^2$'
STEP = 'gradient steps $t$'
TAIL = (1e-31, 1e2)  # down to the square of float64 rounding


def panels(ds: Any, x: str, y: str, ylim: Any = None, **options: Any):
  """One panel a setting, with its scales set before anything is drawn."""
  from framework.evidence import figures as plotting

  settings = list(ds['setting'].values)
  wide = 'double' if len(settings) > 1 else 'single'
  fig, axes = plotting.figure(wide, ncols=len(settings), **options)
  axes = np.atleast_1d(axes)
  for ax, setting in zip(axes, settings, strict=True):
    ax.set_title(_SETTING[setting])
    ax.set_xscale(x)
    ax.set_yscale(y)
    if ylim:
      ax.set_ylim(*ylim)
  return fig, dict(zip(settings, axes, strict=True))


def sigma_r(ds: Any) -> float:
  """σ_r of the truth (of the median lane, where κ is swept)."""
  return float(np.nanmedian(ds['sigma_r'].values))


def lines(ax, t, Y, label, color, style: Any = '-', band=True) -> None:
  """Median over seeds and their range."""
  from framework.evidence import figures as plotting

  span = (0.0, 1.0) if band else (0.5, 0.5)
  line = plotting.lanes(ax, t, Y, label or '', color, band=span)
  line.set_linestyle(style)


def law(panels: dict, ax, t, y, label: str) -> None:
  """The law, where there is any of it to show; named in the first panel."""
  from framework.evidence import figures as plotting

  if np.isfinite(y).any():
    first = next(iter(panels.values()))
    plotting.law(ax, np.asarray(t), np.asarray(y), label if ax is first else '')


def legend(ax) -> None:
  """A legend, if anything has a name."""
  from framework.evidence import figures as plotting

  if ax.get_legend_handles_labels()[0]:
    plotting.legend(ax)


_SETTING = {
  'population': r'population ($\mathcal{A}^*\mathcal{A} = I$)',
  'sensing': 'Gaussian measurements',
}
