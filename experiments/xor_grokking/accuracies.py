"""Figure 1 of the paper: accuracies over t + 1 on a log axis."""

from xarray import Dataset

from configs.xor_grokking import Config
from framework.evidence.lanes import lanes, select

__all__ = ['accuracies']

STEP = 'gradient steps $t + 1$'
TRAIN, TEST, LINEAR, CONTROL = 'C0', 'C1', 'C2', 'grey'


def accuracies(config: Config, ds: Dataset, title: str) -> tuple:
  """Figure 1: accuracies over t + 1 on a log axis."""
  from framework.evidence import figures as plotting

  relu = select(ds, leak=0.0)
  t = ds['time'].values + 1
  fig, ax = plotting.figure('single', height=2.9)
  ax.set(xscale='log', xlabel=STEP, ylabel='accuracy', ylim=(0.3, 1.05))
  ax.set_title(title)
  band = (0.1, 0.9)
  plotting.lanes(
    ax,
    t,
    lanes(relu, 'train_accuracy'),
    'train, noisy labels',
    TRAIN,
    band=band,
  )
  plotting.lanes(
    ax, t, lanes(relu, 'test_accuracy'), 'test, clean labels', TEST, band=band
  )
  line = plotting.lanes(
    ax,
    t,
    lanes(relu, 'linear_agreement'),
    'agrees with linear classifier',
    LINEAR,
    band=(0.5, 0.5),
  )
  line.set_linestyle('--')
  if 1.0 in config.sweep.get('leak', ()):
    other = lanes(select(ds, leak=1.0), 'test_accuracy')
    line = plotting.lanes(
      ax, t, other, 'test, linear network', CONTROL, band=(0.5, 0.5)
    )
    line.set_linestyle(':')
  plotting.legend(ax)
  seeds = ds.sizes['seed']
  return fig, (
    f'Accuracies of {seeds} seeds, median and the middle 80 %; t + 1 as in the '
    'paper, so that t = 0 is shown.'
  )
