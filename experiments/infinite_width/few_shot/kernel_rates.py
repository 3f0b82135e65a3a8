"""No learning rate lets a kernel learn from tasks."""

from typing import TYPE_CHECKING

from configs.infinite_width import FewShot
from experiments.infinite_width.few_shot import drawing, laws
from experiments.infinite_width.few_shot.setting import arm, times
from framework.launch import Figures, Variant

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = ['VARIANT']


def figures(config: FewShot, ds: 'Dataset') -> Figures:
  """Accuracy of kernels at the end over both learning rates."""
  from framework.evidence import figures as plotting

  if not {'inner_lr', 'meta_lr'} <= set(config.sweep):
    return drawing.accuracy(config, ds)
  fig, axes = plotting.figure(
    'double',
    height=2.9,
    ncols=len(config.axis('model')),
    sharey=True,
    squeeze=False,
  )
  inner = [float(x) for x in config.sweep['inner_lr']]
  shades = plotting.palette(inner)
  for ax, m in zip(axes[0], config.axis('model'), strict=True):
    of = ds['accuracy'].sel(model=m) if 'model' in ds.dims else ds['accuracy']
    of = of.mean('seed').transpose('inner_lr', 'meta_lr', 'time').values
    x = [float(x) for x in config.sweep['meta_lr']]
    for y, lr, shade in zip(of, inner, shades, strict=True):
      label = rf'$\eta_{{in}} = {lr:g}$'
      ax.plot(x, y[:, -1], 'o-', markersize=3, color=shade, label=label)
      ax.axhline(y[0, 0], color=shade, linestyle=':')
    ax.set(xscale='log', xlabel=r'outer rate $\eta$')
    ax.set_title(drawing.NAMES[m])
  axes[0, 0].set_ylabel(f'query accuracy ({config.judged})')
  axes[0, 0].plot([], [], ':', color='0.4', label='before training')
  plotting.legend(axes[0, 0])
  return {
    'rates': (
      fig,
      f'Accuracy of kernels after {config.steps} outer steps; dotted, of inner '
      'steps alone. Training can only spoil it.',
    )
  }


VARIANT = Variant(
  arm, times, lambda config, ds: laws.controls(config, ds, True), figures
)
