"""The figures of XOR clusters."""

from collections.abc import Mapping
from typing import Any

from experiments.xor_grokking import maps, neurons
from experiments.xor_grokking.measure import lanes, only

__all__ = ['figures']

STEP = 'gradient steps $t + 1$'
TRAIN, TEST, LINEAR, CONTROL = 'C0', 'C1', 'C2', 'grey'


def figures(config: Any, dataset: Any, claims: list) -> Mapping[str, tuple]:
  """The figures of a config's variant.

  Args:
    config: The config.
    dataset: Its results.
    claims: Its claims (figures show the data, not the verdicts).

  Returns:
    {name: (figure, caption)}.
  """
  del claims
  return _FIGURES[config.variant](config, dataset)


def _accuracies(config: Any, ds: Any, title: str) -> tuple:
  """Figure 1: accuracies over t + 1 on a log axis."""
  from framework.evidence import figures as plotting

  relu = only(ds, leak=0.0)
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
    other = lanes(only(ds, leak=1.0), 'test_accuracy')
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


def _onset(config: Any, ds: Any) -> dict[str, tuple]:
  title = 'Fits at once, generalises later'
  relu = only(ds, leak=0.0)
  made = {'accuracy': _accuracies(config, ds, title)}
  shown = [t for t in (0, 1, 15) if t in ds['time'].values]
  if config.neurons:
    made['regions'] = neurons.regions(config, relu, shown)
    made['histograms'] = neurons.histograms(config, relu, shown)
  made['projections'] = neurons.growth(config, relu)
  return made


def _slow(config: Any, ds: Any) -> dict[str, tuple]:
  title = 'A smaller step delays both'
  made = {'accuracy': _accuracies(config, ds, title)}
  t = ds['time'].values
  shown = [x for x in (0, 100, 4000) if x in t]
  if config.neurons:
    made['histograms'] = neurons.histograms(config, ds, shown)
  return made


_FIGURES = {
  'quick': _onset,
  'paper': _onset,
  'slow': _slow,
  'theory': maps.theory,
  'phase': maps.phase,
  'lost_cluster': maps.lost_cluster,
  'controls': maps.controls,
}
