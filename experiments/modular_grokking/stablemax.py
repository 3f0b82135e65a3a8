"""StableMax groks without regularisation, cross entropy does not."""

from typing import TYPE_CHECKING

import numpy as np

from configs.modular_grokking import Config
from experiments.modular_grokking.drawing import norms
from experiments.modular_grokking.reading import (
  PAPER,
  best,
  last,
  memorised,
  prepared_for,
  ran,
  reached,
  when,
)
from experiments.modular_grokking.runs import arm, times
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  within,
)
from framework.evidence.lanes import lanes
from framework.launch import Variant

if TYPE_CHECKING:
  from xarray import Dataset


def stablemax(config: Config, ds: 'Dataset') -> list[Claim]:
  """Claims on StableMax against CE with the same seeds."""
  made = []
  if ran(ds, 'stablemax'):
    here = {'method': 'stablemax'}
    norm = lanes(ds, 'norm', **here)
    fitted = lanes(ds, 'train_accuracy', **here) >= 0.99
    first = np.take_along_axis(norm, fitted.argmax(1)[:, None], 1)[:, 0]
    made += [
      memorised(ds, 'stablemax', 750, 'all were by 500'),
      at_most(
        'stablemax.half',
        'StableMax is right on half of the test rows by step 18,000',
        f'{PAPER}: Fig 1, middle',
        18_000,
        reached(ds, 'test_accuracy', 0.5, **here),
        each=True,
        derivation='7,500 ... 13,500 in five seeds',
      ),
      at_least(
        'stablemax.test',
        'and generalises: mean test accuracy at the end',
        f'{PAPER}: Fig 1, middle',
        0.80,
        last(ds, 'test_accuracy', **here),
        derivation='0.907 over five seeds, 0.853 the least, at 24,000 steps',
      ),
      at_most(
        'stablemax.collapse',
        'its own sum absorbs nothing: share of training rows',
        f'{PAPER}: s grows linearly',
        0.0,
        best(ds, 'collapse', **here),
        each=True,
        derivation='exact: absorption needs a ratio of 2^53',
      ),
      at_least(
        'stablemax.exponential',
        'trap: the collapse of float32 exponentials, which the authors’ '
        'logger reports, reaches while the run groks',
        'derived: logits grow, exponentials are not in use',
        0.9,
        best(ds, 'exp_collapse', **here),
        each=True,
        derivation='the reference prints 1.0 while the run groks',
      ),
      within(
        'stablemax.norm',
        'its weights grow while it groks: last norm over that at 99 % of the '
        'training rows',
        'measured: 5 times',
        3.0,
        8.0,
        norm[:, -1] / first,
        derivation='122 to 620 in one run, within a factor of 1.6',
      ),
    ]
  if ran(ds, 'ce32'):
    made.append(
      at_most(
        'ce32.test',
        'control: CE with the same rule must not generalise',
        f'{PAPER}: Fig 1, right',
        0.05,
        best(ds, 'test_accuracy', method='ce32'),
        each=True,
        derivation='1.5 % in three seeds of 12,000 steps',
      )
    )
  return made


def paper_stablemax(config: Config, ds: 'Dataset') -> list[Claim]:
  """Claims on StableMax at the paper's size."""
  test = lanes(ds, 'test_accuracy', method='stablemax')
  return [
    within(
      'stablemax.half',
      'half of the test rows are right at about step 35,000',
      f'{PAPER}: Fig 1, middle',
      20_000,
      55_000,
      when(ds['time'].values, test, 0.5),
      each=True,
      derivation='one seed in the figure; at mod 41 seeds differ by 1.8 times',
    )
  ]


VARIANT = Variant(arm, times, prepared_for(stablemax), prepared_for(norms))
PAPER_SIZE = Variant(
  arm, times, prepared_for(paper_stablemax), prepared_for(norms)
)
