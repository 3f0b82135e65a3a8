"""Collapse by hand, temperature and label smoothing (Figs 5, 15, 16)."""

import numpy as np
from xarray import Dataset

from configs.modular_grokking import Config, get_config
from experiments.modular_grokking.drawing import STEP, draw, legend, pair
from experiments.modular_grokking.gates import every, gated, missing, unlike
from experiments.modular_grokking.laws import euler, gap_law
from experiments.modular_grokking.reading import (
  PAPER,
  best,
  collapsed,
  learnt,
  memorised,
  prepared,
  quotient,
  until,
)
from experiments.modular_grokking.runs import arm, times
from framework.evidence.claims import Claim, at_least, at_most
from framework.evidence.lanes import coordinate, lanes
from framework.launch import Figures, Variant

__all__ = ['VARIANT']

_BY_HAND = {
  'stopped': 'no gradient of the correct class',
  'zeroed': 'correct logits times 0',
}


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on collapse by hand, on temperature and on smoothing."""
  why = unlike(config)
  laws = [_before(config, ds), gap_law(config, ds), euler(config, ds)]
  ds = until(ds, get_config(config.variant).steps)
  hot, smoothed = (
    missing(config, *methods) or why
    for methods in (('hot', 'ce32'), ('smoothed',))
  )
  return [
    *(_gain(config, ds, why, method) for method in _BY_HAND),
    gated(
      hot,
      at_least,
      'hot.onset',
      'a temperature of 10 postpones collapse: its onset (or the end, where '
      'there is none yet) over that at 1',
      f'{PAPER}: temperature scaling only postpones it',
      1.0,
      samples=lambda: _later(ds, 'hot', 'ce32'),
      each=True,
      strict=True,
      derivation='the order is the claim; how much is not predicted',
      kind='paper',
    ),
    gated(
      smoothed,
      at_most,
      'smoothed.collapse',
      'label smoothing prevents collapse',
      f'{PAPER}: appendix',
      0.0,
      samples=lambda: best(ds, 'collapse', method='smoothed'),
      each=True,
      derivation='the best gap is ln((1 − ε)C/ε + 1) = 5.9, collapse in '
      'float32 needs 16.6',
      kind='paper',
    ),
    gated(
      smoothed,
      at_most,
      'smoothed.test',
      'but generalises partially at most',
      f'{PAPER}: appendix',
      0.95,
      samples=lambda: best(ds, 'test_accuracy', method='smoothed'),
      each=True,
      strict=True,
      derivation='the level that counts as generalising here',
      kind='paper',
    ),
    *laws,
  ]


def _gain(config: Config, ds: Dataset, why: str, method: str) -> Claim:
  """An intervention against the run that is left alone."""

  def gained(name: str) -> np.ndarray:
    test = lanes(ds, 'test_accuracy', method=name)
    at = np.searchsorted(ds['time'].values, config.intervene_at, 'right') - 1
    return learnt(test[:, at:].max(1) - test[:, at], memorised(ds, name))

  def share() -> np.ndarray:
    alone = gained('ce64')
    return quotient(gained(method), np.where(alone > 0, alone, np.nan))

  return gated(
    missing(config, 'ce64', method) or why,
    at_most,
    f'{method}.gain',
    f'{_BY_HAND[method]} from step {config.intervene_at} on: test accuracy '
    'gained after it, over what the untouched run gains',
    f'{PAPER}: generalisation stops',
    0.5,
    samples=share,
    derivation='"stops" is 0; one row of test is 0.004 of about 0.15',
    kind='paper',
    headline=True,
  )


def _before(config: Config, ds: Dataset) -> Claim:
  """Before the intervention nothing differs, at any setting."""
  why = missing(config, 'stopped', 'ce64')
  if min(config.axis('intervene_at')) < every(config):
    why = why or 'needs a record before the intervention'

  def difference() -> np.ndarray:
    t = ds['time'].values
    if 'intervene_at' in ds.dims:
      first = coordinate(ds, 'intervene_at', method='stopped')[:, None]
    else:
      first = config.intervene_at
    one, two = (
      lanes(ds, 'test_accuracy', method=m) for m in ('stopped', 'ce64')
    )
    return np.where(t <= first, np.abs(one - two), 0).max(1)

  return gated(
    why,
    at_most,
    'stopped.before',
    'control: before the intervention the runs are the same',
    'derived: so are their programs',
    0.0,
    samples=difference,
    each=True,
    derivation='exact',
    kind='theorem',
  )


def _later(ds: Dataset, one: str, two: str) -> np.ndarray:
  end = float(ds['time'].values[-1])
  return quotient(np.minimum(collapsed(ds, one), end), collapsed(ds, two))


def _figures(config: Config, ds: Dataset) -> Figures:
  fig, (left, right) = pair(2.9)
  test = lanes(ds, 'test_accuracy')
  left.set(
    title='collapse by hand stops generalisation',
    xlabel=STEP,
    ylabel='test accuracy',
    ylim=(0, 1.15 * float(np.nanmax(test, initial=0.01))),
  )
  draw(left, ds, 'test_accuracy')
  left.axvline(
    config.intervene_at, color='grey', lw=0.8, ls=':', label='interventions'
  )
  right.set(
    title='temperature postpones, smoothing prevents',
    xlabel=STEP,
    ylabel='collapsed training rows',
    ylim=(-0.03, 1.05),
  )
  draw(right, ds, 'collapse', label=False, only=lambda m: m not in _BY_HAND)
  legend(left)
  return {
    'modular_interventions': (
      fig,
      f'Left: test accuracy; at step {config.intervene_at} (dotted) the '
      'gradient of the correct class is stopped, or its logit multiplied by 0, '
      'in runs that are otherwise those of CE in float64. Right: collapsed '
      'training rows with temperature 10 and with label smoothing 0.1. Lines: '
      'median over seeds, bands: their range.',
    )
  }


VARIANT = Variant(arm, times, prepared(claims), prepared(_figures))
