"""Figures of few-shot learning."""

from collections.abc import Callable
from typing import Any

import numpy as np

from configs.infinite_width_maml import KERNELS, width_of
from experiments.infinite_width.maml_claims import PUBLISHED, curves, models

__all__ = ['FIGURES']

LIMIT = 'black'
KERNEL = {'linear': '#9a9a9a', 'gp': '#4c9a6a', 'ntk': '#3b76af'}
NAMES = {
  'limit': 'µP limit',
  'linear': 'linear kernel',
  'gp': 'ReLU GP',
  'ntk': 'ReLU NTK',
}


def _colors(config: Any) -> dict[str, str]:
  from framework.evidence import figures as plotting

  widths = [m for m in models(config) if width_of(m)]
  shades = plotting.palette([float(width_of(m) or 0) for m in widths])
  return {'limit': LIMIT, **KERNEL, **dict(zip(widths, shades, strict=True))}


def _label(model: str) -> str:
  return NAMES.get(model) or f'width {width_of(model)}'


def _over_time(config: Any, ds: Any, ax: Any, name: str) -> None:
  from framework.evidence import figures as plotting

  colors, t = _colors(config), ds['time'].values
  shown = sorted(models(config), key=lambda m: (m == 'limit', m in KERNELS))
  for m in shown:
    y = curves(config, ds, m, name)
    if not np.isfinite(y).any():
      continue
    line = plotting.lanes(ax, t, y, _label(m), colors[m])
    if m == 'limit':
      line.set(linestyle='--', linewidth=1.6)
    elif m in KERNELS:
      line.set_linestyle(':')


def accuracy(config: Any, ds: Any) -> dict[str, tuple]:
  """Accuracy over outer steps, and at the end over width."""
  from framework.evidence import figures as plotting

  fig, axes = plotting.figure('double', height=2.9, ncols=2, sharey=True)
  left, right = axes
  left.set(xlabel='outer steps $t$', ylabel='query accuracy')
  left.set_title('On the same tasks, step by step')
  _over_time(config, ds, left, 'accuracy')
  colors = _colors(config)
  t = int(ds['time'].values[-1])
  right.set(xlabel='width $n$', xscale='log')
  right.set_title(f'At $t = {t}$')
  widths = [m for m in models(config) if width_of(m)]
  sizes = sorted(width_of(m) or 1 for m in widths) or [1]
  for m in models(config):
    y = curves(config, ds, m, 'accuracy')[:, -1]
    if not np.isfinite(y).any():
      continue
    n = width_of(m)
    if n:
      spread = [[y.mean() - y.min()], [y.max() - y.mean()]]
      right.errorbar(
        [n], [y.mean()], spread, fmt='o', markersize=4, color=colors[m]
      )
    else:
      style = '--' if m == 'limit' else ':'
      right.axhline(y.mean(), color=colors[m], linestyle=style)
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
    flat = [m for m in models(config) if m in PUBLISHED and not width_of(m)]
    right.plot(
      [edge] * len(flat), [PUBLISHED[m] for m in flat], 'x', color='C3'
    )
    # What is published of the limits, beyond the widest.
    right.set(xlim=(sizes[0] / 2, edge * 2), xticks=[*sizes, edge])
    right.set_xticklabels([*map(str, sizes), r'$\infty$'])
    right.minorticks_off()
    plotting.legend(right)
  if len(models(config)) > 6:
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


def gaussian(config: Any, ds: Any) -> dict[str, tuple]:
  """The accuracies, and where the features point."""
  from framework.evidence import figures as plotting

  fig, ax = plotting.figure('single', height=2.9)
  ax.set(
    xlabel='outer steps $t$',
    ylabel=r'$\|W_1 B\|_F^2/\|W_1\|_F^2$',
    ylim=(0, 1.02),
  )
  ax.set_title('Features turn to the shared subspace')
  _over_time(config, ds, ax, 'signal_share')
  plotting.legend(ax)
  return {
    **accuracy(config, ds),
    'features': (
      fig,
      'Share of the squared first layer in the subspace in which classes '
      f'differ; {config.rank}/{config.d} where nothing is learnt, as in every '
      'kernel.',
    ),
  }


def rates(config: Any, ds: Any) -> dict[str, tuple]:
  """Accuracy of kernels at the end over both learning rates."""
  from framework.evidence import figures as plotting

  if not {'inner_lr', 'meta_lr'} <= set(config.sweep):
    return accuracy(config, ds)
  fig, axes = plotting.figure(
    'double',
    height=2.9,
    ncols=len(models(config)),
    sharey=True,
    squeeze=False,
  )
  inner = [float(x) for x in config.sweep['inner_lr']]
  shades = plotting.palette(inner)
  for ax, m in zip(axes[0], models(config), strict=True):
    of = ds['accuracy'].sel(model=m) if 'model' in ds.dims else ds['accuracy']
    of = of.mean('seed').transpose('inner_lr', 'meta_lr', 'time').values
    x = [float(x) for x in config.sweep['meta_lr']]
    for y, lr, shade in zip(of, inner, shades, strict=True):
      label = rf'$\eta_{{in}} = {lr:g}$'
      ax.plot(x, y[:, -1], 'o-', markersize=3, color=shade, label=label)
      ax.axhline(y[0, 0], color=shade, linestyle=':')
    ax.set(xscale='log', xlabel=r'outer rate $\eta$')
    ax.set_title(NAMES[m])
  axes[0, 0].set_ylabel(f'query accuracy ({config.judged})')
  plotting.legend(axes[0, 0])
  return {
    'rates': (
      fig,
      f'Accuracy of kernels after {config.steps} outer steps; dotted, of inner '
      'steps alone. Training can only spoil it.',
    )
  }


def order(config: Any, ds: Any) -> dict[str, tuple]:
  """The loss that is trained, every seed of it, by order."""
  from framework.evidence import figures as plotting

  orders = config.sweep.get('order', (config.order,))
  fig, axes = plotting.figure(
    'double', height=2.9, ncols=len(orders), sharey=True, squeeze=False
  )
  colors, t = _colors(config), ds['time'].values
  for ax, which in zip(axes[0], orders, strict=True):
    of = ds.sel(order=which) if 'order' in ds.dims else ds
    for m in models(config):
      y = curves(config, of, m, 'loss_one')
      lines = ax.plot(t, y.T, color=colors[m], linewidth=0.8)
      lines[0].set_label(_label(m))
    ax.set(xlabel='outer steps $t$', yscale='log')
    ax.set_title(f'order {which}')
  axes[0, 0].set_ylabel('test loss after one inner step')
  handles = axes[0, 0].get_legend_handles_labels()
  fig.legend(*handles, loc='outside right center')
  return {
    'order': (
      fig,
      f'{config.ways}-way {config.shots}-shot MAML, {ds.sizes["seed"]} seeds. '
      'First order is not the gradient of this loss, and where the inner step '
      'overshoots it climbs; second order is, and descends from the same start '
      'on the same tasks.',
    )
  }


FIGURES: dict[str, Callable[[Any, Any], dict]] = {
  'quick': gaussian,
  'feature_learning': gaussian,
  'omniglot_quick': accuracy,
  'omniglot_maml': accuracy,
  'omniglot_kernels': rates,
  'omniglot_order': order,
}
