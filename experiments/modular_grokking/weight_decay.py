"""Weight decay groks, the more the sooner."""

from typing import TYPE_CHECKING

import numpy as np

from configs.modular_grokking import Config
from experiments.modular_grokking.drawing import accuracy, legend, pair
from experiments.modular_grokking.reading import (
  PAPER,
  best,
  prepared_for,
  reached,
)
from experiments.modular_grokking.runs import arm, times
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
)
from framework.launch import Figures, Variant

if TYPE_CHECKING:
  from xarray import Dataset


def weight_decay(config: Config, ds: 'Dataset') -> list[Claim]:
  """Claims on weight decay, the contrast."""
  made = []
  decays = [float(d) for d in ds['weight_decay'].values]
  if 0.0 in decays:
    here = {'weight_decay': 0.0}
    made += [
      at_most(
        'none.train',
        'without decay: 99 % of the training rows are right by step 200',
        f'{PAPER}: memorisation comes first',
        200,
        reached(ds, 'train_accuracy', 0.99, **here),
        each=True,
        derivation='5 of 5 seeds by 200',
      ),
      at_most(
        'none.test',
        'and test accuracy stays below 5 %',
        f'{PAPER}: Fig 1, right',
        0.05,
        best(ds, 'test_accuracy', **here),
        each=True,
        derivation='0.2 ... 1.7 % over the run in five seeds',
      ),
    ]
  strong = sorted(d for d in decays if d >= 0.3)
  for decay in strong:
    made.append(
      at_least(
        f'decay={decay:g}.test',
        'with decay it generalises: best test accuracy',
        f'{PAPER}: Fig 6 has weight decay as a contrast',
        0.95,
        best(ds, 'test_accuracy', weight_decay=decay),
        derivation='the level that counts as generalising',
      )
    )
  if len(strong) > 1:
    times = [
      np.median(reached(ds, 'test_accuracy', 0.5, weight_decay=d))
      for d in strong
    ]
    made.append(
      at_most(
        'decay.order',
        'more decay, sooner: median time to 50 % over that of the next '
        'smaller decay',
        'derived: the norm falls by exp(−lr λ t)',
        1.0,
        np.array(times[1:]) / times[:-1],
        each=True,
        derivation='the order is the claim',
      )
    )
  return made


def _decay(config: Config, ds: 'Dataset') -> Figures:
  from framework.evidence import figures as plotting

  fig, (left, right) = pair()
  accuracy(left, ds, 'weight decay groks, the more the sooner', train=False)
  left.set_ylabel('test accuracy')
  decays = np.array([d for d in ds['weight_decay'].values if d > 0])
  right.set(
    title='its time over the decay',
    xlabel='weight decay λ',
    ylabel='steps to 50 % test accuracy',
    xscale='log',
    yscale='log',
  )
  shown = []
  for decay in decays:
    times = reached(ds, 'test_accuracy', 0.5, weight_decay=decay)
    shown.append(np.median(times))
    right.plot(np.full(len(times), decay), times, 'o', color='C0', ms=3.5)
  shown = np.array(shown)
  there = np.isfinite(shown)
  if there.any():
    anchor = np.flatnonzero(there)[0]
    law = shown[anchor] * decays[anchor] / decays
    plotting.law(right, decays[anchor:], law[anchor:], r'$\propto 1/\lambda$')
  if len(decays):
    right.set_xlim(decays.min() / 1.5, decays.max() * 1.5)
    right.set_xticks(decays, [f'{d:g}' for d in decays])
    right.minorticks_off()
    low, high = right.get_ylim()
    steps = [x for x in (100, 200, 500, 1000, 2000, 5000) if low < x < high]
    right.set_yticks(steps, [f'{x:,}' for x in steps])
  legend(left, title='decay')
  return {
    'modular_weight_decay': (
      fig,
      'Left: test accuracy under AdamW with decoupled weight decay λ; lines: '
      'median over seeds, bands: their range. Right: steps to 50 %, a dot a '
      'seed; black: ∝ 1/λ, through the smallest λ that groks.',
    )
  }


VARIANT = Variant(arm, times, prepared_for(weight_decay), prepared_for(_decay))
