"""Panels with trajectories in them and laws laid over."""

from typing import Any

import numpy as np
from xarray import Dataset

from configs.matrix_sensing import Config
from experiments.matrix_sensing.reading import Lanes, settings
from framework.systems.matrix_sensing import theory

__all__ = [
  'ERROR',
  'STEP',
  'SYMMETRIC_ERROR',
  'TAIL',
  'law',
  'lines',
  'named',
  'panels',
  'sublinear',
]

ERROR = r'squared error  $\|FG^\top - M\|_F^2$'
SYMMETRIC_ERROR = r'squared error  $\|XX^\top - M\|_F^2$'
STEP = 'gradient steps $t$'
TAIL = (1e-31, 1e2)  # down to the square of float64 rounding

_SETTING = {
  'population': r'population ($\mathcal{A}^*\mathcal{A} = I$)',
  'sensing': 'Gaussian measurements',
}


def panels(
  config: Config, ds: Dataset, x: str, y: str, ylim: Any = None, **options: Any
) -> tuple[Any, list[tuple[Any, Lanes]]]:
  """One panel a setting, with its scales set before anything is drawn.

  Args:
    config: What was run.
    ds: Results.
    x: Scale of the abscissa, 'linear' or 'log'.
    y: Scale of the ordinate.
    ylim: Ends of the ordinate; those of the data when None.
    **options: More for `evidence.figures.figure`.

  Returns:
    (figure, [(axes, lanes of the setting), ...]).
  """
  from framework.evidence import figures as plotting

  parts = settings(config, ds)
  wide = 'double' if len(parts) > 1 else 'single'
  fig, axes = plotting.figure(wide, ncols=len(parts), sharey=True, **options)
  axes = np.atleast_1d(axes)
  for ax, (setting, _) in zip(axes, parts, strict=True):
    ax.set_title(_SETTING[setting])
    ax.set_xscale(x)
    ax.set_yscale(y)
    if ylim:
      ax.set_ylim(*ylim)
  return fig, [(ax, lanes) for ax, (_, lanes) in zip(axes, parts, strict=True)]


def lines(ax, t, Y, label, color, style: Any = '-', band=True) -> None:
  """Median over lanes and their range; t = 0 has no place on a log axis."""
  from framework.evidence import figures as plotting

  span = (0.0, 1.0) if band else (0.5, 0.5)
  shown = t > 0 if ax.get_xscale() == 'log' else t >= 0
  line = plotting.lanes(
    ax, t[shown], Y[:, shown], label or '', color, band=span
  )
  line.set_linestyle(style)


def law(ax, t, y, label: str) -> None:
  """The law, where there is any of it to show; named in the first panel."""
  from framework.evidence import figures as plotting

  if np.isfinite(y).any():
    first = ax.get_subplotspec().is_first_col()
    plotting.law(ax, np.asarray(t), np.asarray(y), label if first else '')


def sublinear(ax, lanes: Lanes, k: int, label: str) -> None:
  """(k − r)/(4η²t²) from three crossovers on, if the lanes have one η and α."""
  eta, alpha = lanes.only('eta'), lanes.only('alpha')
  t = lanes.t.astype(float)
  if k > lanes.config.r and np.isfinite(eta + alpha):
    late = t > 3 * float(theory.crossover(eta, alpha))
    y = theory.sublinear(t[late], k, lanes.config.r, eta)
    law(ax, t[late], np.asarray(y), label)


def named(panels: list[tuple[Any, Lanes]], y: str, x: str, legend: int = 0):
  """Names the axes, and puts a legend into one panel."""
  from framework.evidence import figures as plotting

  for ax, _ in panels:
    ax.set_xlabel(x)
  panels[0][0].set_ylabel(y)
  ax = panels[legend][0]
  if ax.get_legend_handles_labels()[0]:
    plotting.legend(ax)
