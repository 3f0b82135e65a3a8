"""Collapse by hand, temperature and label smoothing."""

from typing import TYPE_CHECKING

import numpy as np

from configs.modular_grokking import Config
from experiments.modular_grokking.drawing import STEP, draw, legend, pair
from experiments.modular_grokking.reading import (
  PAPER,
  best,
  prepared_for,
  ran,
  reached,
  series,
)
from experiments.modular_grokking.runs import arm, times
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
)
from framework.evidence.lanes import lanes
from framework.launch import Figures, Variant

if TYPE_CHECKING:
  from xarray import Dataset


def interventions(config: Config, ds: 'Dataset') -> list[Claim]:
  """Claims on collapse by hand, on temperature and on smoothing."""
  made = []
  t = ds['time'].values
  at = int(np.searchsorted(t, config.intervene_at))
  if ran(ds, 'ce64', 'stopped', 'zeroed'):
    test = {m: series(ds, 'test_accuracy', m) for m in ds['method'].values}
    gain = test['ce64'].max(1) - test['ce64'][:, at]
    for method, what in (
      ('stopped', 'no gradient of the correct class'),
      ('zeroed', 'correct logits times 0'),
    ):
      after = test[method][:, at:].max(1) - test[method][:, at]
      made.append(
        at_most(
          f'{method}.gain',
          f'{what} from step {config.intervene_at} on: test accuracy gained '
          'after it, over what the untouched run gains',
          f'{PAPER}: generalisation stops',
          0.5,
          after / np.where(gain > 0, gain, np.nan),
          derivation='"stops" is 0; one row of test is 0.004 of about 0.15',
        )
      )
    same = np.abs(test['stopped'][:, : at + 1] - test['ce64'][:, : at + 1])
    made.append(
      at_most(
        'stopped.before',
        'control: before it the runs are the same',
        'derived',
        0.0,
        same.max(1),
        each=True,
        derivation='exact',
      )
    )
  if ran(ds, 'hot', 'ce32'):
    plain = reached(ds, 'collapse', 0.3, method='ce32')
    hot = reached(ds, 'collapse', 0.3, method='hot')
    made.append(
      at_least(
        'hot.onset',
        'a temperature of 10 postpones collapse: its onset (or the end, '
        'where there is none yet) over that at 1',
        f'{PAPER}: temperature scaling only postpones it',
        1.0,
        np.where(np.isnan(hot), t[-1], hot) / plain,
        each=True,
        derivation='the sign is the claim; how much is not predicted',
      )
    )
  if ran(ds, 'smoothed'):
    made.append(
      at_most(
        'smoothed.collapse',
        'label smoothing prevents collapse',
        f'{PAPER}: appendix',
        0.0,
        best(ds, 'collapse', method='smoothed'),
        each=True,
        derivation='the best gap is ln((1 − ε)C/ε + 1) = 5.9, collapse in '
        'float32 needs 16.6',
      )
    )
  if ran(ds, 'smoothed', 'ce32'):
    made += [
      at_most(
        'smoothed.test',
        'but generalises partially at most',
        f'{PAPER}: appendix',
        0.95,
        best(ds, 'test_accuracy', method='smoothed'),
        each=True,
        derivation='below what counts as generalising here',
      ),
    ]
  return made


def _interventions(config: Config, ds: 'Dataset') -> Figures:
  fig, (left, right) = pair(2.9)
  test = lanes(ds, 'test_accuracy')
  by_hand = ('ce32', 'ce64', 'stopped', 'zeroed')
  left.set(
    title='collapse by hand stops generalisation',
    xlabel=STEP,
    ylabel='test accuracy',
    ylim=(0, 1.15 * float(test.max())),
  )
  draw(left, ds, 'test_accuracy')
  left.axvline(config.intervene_at, color='grey', lw=0.8, ls=':')
  right.set(
    title='temperature postpones, smoothing prevents',
    xlabel=STEP,
    ylabel='collapsed training rows',
    ylim=(-0.03, 1.05),
  )
  draw(right, ds, 'collapse', label=False, only=lambda m: m not in by_hand[2:])
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


VARIANT = Variant(
  arm, times, prepared_for(interventions), prepared_for(_interventions)
)
