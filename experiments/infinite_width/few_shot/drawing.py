"""Lines and colours of few-shot learning, and its figure of accuracies."""

from typing import TYPE_CHECKING, Any

import numpy as np

from configs.infinite_width import KERNELS, FewShot, width_of
from framework.evidence import lanes
from framework.launch import Figures

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = ['NAMES', 'PUBLISHED', 'accuracy', 'colors', 'label', 'over_time']

# Read off the published figure, ± 0.001; widths above 128 lie under the limit.
PUBLISHED = {
  'w2': 0.5542,
  'w8': 0.6446,
  'w32': 0.6621,
  'w128': 0.6631,
  'w8192': 0.6641,
  'limit': 0.6641,
  'linear': 0.4171,
  'gp': 0.4761,
  'ntk': 0.4781,
}
LIMIT = 'black'
KERNEL = {'linear': '#9a9a9a', 'gp': '#4c9a6a', 'ntk': '#3b76af'}
NAMES = {
  'limit': 'µP limit',
  'linear': 'linear kernel',
  'gp': 'ReLU GP',
  'ntk': 'ReLU NTK',
}


def colors(config: FewShot) -> dict[str, str]:
  """A colour a model."""
  from framework.evidence import figures as plotting

  widths = [m for m in config.axis('model') if width_of(m)]
  shades = plotting.palette([float(width_of(m) or 0) for m in widths])
  return {'limit': LIMIT, **KERNEL, **dict(zip(widths, shades, strict=True))}


def label(model: str) -> str:
  """The name of a model."""
  return NAMES.get(model) or f'width {width_of(model)}'


def over_time(config: FewShot, ds: 'Dataset', ax: Any, name: str) -> None:
  """A line a model."""
  from framework.evidence import figures as plotting

  shades, t = colors(config), ds['time'].values
  shown = sorted(
    config.axis('model'), key=lambda m: (m == 'limit', m in KERNELS)
  )
  for m in shown:
    y = lanes.lanes(ds, name, model=m)
    if not np.isfinite(y).any():
      continue
    line = plotting.lanes(ax, t, y, label(m), shades[m])
    if m == 'limit':
      line.set(linestyle='--', linewidth=1.6)
    elif m in KERNELS:
      line.set_linestyle(':')


def accuracy(config: FewShot, ds: 'Dataset') -> Figures:
  """Accuracy over outer steps, and at the end over width."""
  from framework.evidence import figures as plotting

  fig, axes = plotting.figure('double', height=2.9, ncols=2, sharey=True)
  left, right = axes
  left.set(xlabel='outer steps $t$', ylabel='query accuracy')
  left.set_title('On the same tasks, step by step')
  over_time(config, ds, left, 'accuracy')
  shades = colors(config)
  t = int(ds['time'].values[-1])
  right.set(xlabel='width $n$', xscale='log')
  right.set_title(f'At $t = {t}$')
  widths = [m for m in config.axis('model') if width_of(m)]
  sizes = sorted(width_of(m) or 1 for m in widths) or [1]
  for m in config.axis('model'):
    y = lanes.lanes(ds, 'accuracy', model=m)[:, -1]
    if not np.isfinite(y).any():
      continue
    n = width_of(m)
    if n:
      spread = [[y.mean() - y.min()], [y.max() - y.mean()]]
      right.errorbar(
        [n], [y.mean()], spread, fmt='o', markersize=4, color=shades[m]
      )
    else:
      style = '--' if m == 'limit' else ':'
      right.axhline(y.mean(), color=shades[m], linestyle=style)
  if config.task == 'omniglot':
    seen = [m for m in widths if m in PUBLISHED]
    right.plot(
      [width_of(m) for m in seen],
      [PUBLISHED[m] for m in seen],
      'x',
      color='C3',
      label='published, $t = 10^4$',
    )
    edge = sizes[-1] * 4
    flat = [
      m for m in config.axis('model') if m in PUBLISHED and not width_of(m)
    ]
    right.plot(
      [edge] * len(flat), [PUBLISHED[m] for m in flat], 'x', color='C3'
    )
    # What is published of the limits, beyond the widest.
    right.set(xlim=(sizes[0] / 2, edge * 2), xticks=[*sizes, edge])
    right.set_xticklabels([*map(str, sizes), r'$\infty$'])
    right.minorticks_off()
    plotting.legend(right)
  if len(config.axis('model')) > 6:
    fig.legend(
      *left.get_legend_handles_labels(),
      loc='outside right center',
    )
  else:
    plotting.legend(left)
  seeds = ds.sizes['seed']
  return {
    'accuracy': (
      fig,
      f'{config.ways}-way {config.shots}-shot accuracy after '
      f'{config.eval_steps} inner steps on {config.eval_tasks} test tasks, '
      f'{seeds} seeds (median, least to greatest). Networks learn features and '
      'converge to the limit; kernels have those they start with.',
    )
  }
