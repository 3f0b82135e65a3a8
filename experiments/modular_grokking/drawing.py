"""Drawing: a curve for each method, panels and figures that variants share."""

from collections.abc import Callable
from typing import Any

import numpy as np
from xarray import Dataset

from configs.modular_grokking import Config
from framework.evidence.lanes import lanes
from framework.launch import Figures

__all__ = [
  'LABELS',
  'STEP',
  'accuracy',
  'draw',
  'groups',
  'legend',
  'pair',
  'plain',
  'stablemax',
]

STEP = 'steps of full-batch descent'

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


def groups(ds: Dataset) -> list[tuple[str, dict[str, Any]]]:
  """The curves of a figure: (name, coordinates).

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


def draw(
  ax: Any,
  ds: Dataset,
  name: str,
  *,
  index: Any = None,
  style: Any = '-',
  label: bool = True,
  only: Callable[[str], bool] = lambda method: True,
) -> None:
  """Median over seeds and their range, of every group."""
  from framework.evidence import figures as plotting

  t = ds['time'].values
  for (text, where), color in zip(groups(ds), _colors(ds), strict=True):
    if not only(where['method']):
      continue
    y = lanes(ds, name, **where)
    y = y if index is None else y[..., index]
    line = plotting.lanes(ax, t, y, text if label else '', color)
    line.set_linestyle(style)


def _colors(ds: Dataset) -> list[str]:
  """One colour a group; ordered where the groups are."""
  from framework.evidence import figures as plotting

  if ds.sizes['method'] == 1 and ds.sizes['weight_decay'] > 1:
    return plotting.palette(range(ds.sizes['weight_decay']))
  return [f'C{i}' for i in range(len(groups(ds)))]


def accuracy(ax: Any, ds: Dataset, title: str, train: bool = True) -> None:
  """Test accuracy, with training accuracy dotted."""
  ax.set(title=title, xlabel=STEP, ylabel='accuracy', ylim=(-0.03, 1.05))
  draw(ax, ds, 'test_accuracy')
  if train:
    dotted = (0, (1, 1))
    draw(ax, ds, 'train_accuracy', style=dotted, label=False)
    ax.plot([], [], color='grey', ls=dotted, label='training rows')


def legend(ax: Any, **options: Any) -> None:
  """A legend where there is something to name."""
  from framework.evidence import figures as plotting

  if ax.get_legend_handles_labels()[0]:
    plotting.legend(ax, **options)


def pair(height: float = 2.7, ncols: int = 2) -> tuple[Any, Any]:
  """A figure with panels side by side."""
  from framework.evidence import figures as plotting

  return plotting.figure('double', height, ncols=ncols)


def stablemax(config: Config, ds: Dataset) -> Figures:
  """Accuracy, norm of the weights and collapse of whatever was run."""
  fig, (left, middle, right) = pair(2.5, 3)
  accuracy(left, ds, 'StableMax groks, CE does not')
  middle.set(title='the weights grow', xlabel=STEP, ylabel='‖w‖')
  draw(middle, ds, 'norm', label=False)
  right.set(
    title='exponentials would collapse',
    xlabel=STEP,
    ylabel='collapsed training rows',
    ylim=(-0.03, 1.05),
  )
  draw(right, ds, 'collapse', label=False)
  draw(right, ds, 'exp_collapse', style=(0, (1, 1)), label=False)
  end = int(ds['time'].values[-1])
  for ax in (left, middle, right):
    ax.set_xlim(0, end)
    ax.set_xticks([0, end // 2, end], ['0', f'{end // 2:,}', f'{end:,}'])
  legend(left)
  return {
    f'modular_{config.variant}': (
      fig,
      'Left: accuracy on the training rows (dotted) and on all others (solid). '
      'Middle: norm of all weights. Right: share of training rows whose sum '
      'absorbs all but its largest term, with the transform of the loss '
      '(solid) and with float32 exponentials whatever the loss (dotted): for '
      'StableMax the second says nothing. Lines: median over seeds, bands: '
      'their range.',
    )
  }


def plain(title: str) -> Callable[[Config, Dataset], Figures]:
  """Accuracy of whatever was run, and the gap between logits."""

  def figures(config: Config, ds: Dataset) -> Figures:
    fig, (left, right) = pair()
    accuracy(left, ds, title)
    right.set(
      title='how far the right answer is ahead',
      xlabel=STEP,
      ylabel='median logit gap',
    )
    draw(right, ds, 'gaps', index=1, label=False)
    if np.nanmax(lanes(ds, 'gaps')[..., 1], initial=0) > 50:
      right.set_yscale('symlog')
    legend(left)
    names = ', '.join(LABELS[str(m)] for m in ds['method'].values)
    return {
      f'modular_{config.variant}': (
        fig,
        f'{names}. Left: accuracy on the training rows (dotted) and on all '
        'others (solid). Right: median gap between the correct logit and the '
        'best other one. Lines: median over seeds, bands: their range.',
      )
    }

  return figures
