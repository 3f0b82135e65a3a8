"""⊥Grad generalises at once, where plain AdamW memorises."""

from typing import TYPE_CHECKING

import numpy as np

from configs.modular_grokking import Config
from experiments.modular_grokking.drawing import (
  STEP,
  accuracy,
  draw,
  legend,
  pair,
  plain,
)
from experiments.modular_grokking.reading import (
  PAPER,
  best,
  last,
  memorised,
  prepared_for,
  ran,
  reached,
)
from experiments.modular_grokking.runs import arm, times
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  untestable,
  within,
)
from framework.evidence.lanes import lanes
from framework.launch import Figures, Variant

if TYPE_CHECKING:
  from xarray import Dataset


def quick(config: Config, ds: 'Dataset') -> list[Claim]:
  """⊥Grad against plain AdamW."""
  made = []
  if ran(ds, 'perp'):
    made += _perp_groks(ds, 'perp', 150)
  if ran(ds, 'ce32'):
    made += [
      memorised(ds, 'ce32', 100, 'all were by 50'),
      at_most(
        'ce32.test',
        'control: plain AdamW must not generalise',
        f'{PAPER}: Fig 6',
        0.05,
        best(ds, 'test_accuracy', method='ce32')
        if config.steps < 8000
        else last(ds, 'test_accuracy', method='ce32'),
        each=True,
        derivation='chance is 0.024; 0.0024 at most once it had memorised',
      ),
      at_least(
        'ce32.nlm',
        'its last layer follows its own weights: greatest cosine of −∇L with '
        'them',
        f'{PAPER}: up to 0.9',
        0.80,
        lanes(ds, 'nlm_tensor', method='ce32')[..., -1].max(1),
        each=True,
        derivation='0.82 ... 0.92 in eleven seeds',
      ),
    ]
  made += _euler(ds)
  return made


def _perp_groks(ds: 'Dataset', method: str, by: float) -> list[Claim]:
  return [
    at_most(
      f'{method}.time',
      f'95 % of the test rows are right by step {by:g}',
      f'{PAPER}: Figs 1, 6',
      by,
      reached(ds, 'test_accuracy', 0.95, method=method),
      each=True,
      derivation='75 ... 100 in five seeds',
    ),
    at_most(
      f'{method}.collapse',
      'and no row has collapsed',
      f'{PAPER}: logits stay small',
      0.0,
      best(ds, 'collapse', method=method),
      each=True,
      derivation='exact; 0 in five of five seeds',
    ),
  ]


def _euler(ds: 'Dataset') -> list[Claim]:
  """Homogeneity: the same inner product in each layer."""
  euler = lanes(ds, 'euler')
  size = lanes(ds, 'norm') * lanes(ds, 'gradient_norm')
  spread = np.ptp(euler, axis=-1) / size
  worst = spread.max(-1)
  return [
    at_most(
      'euler',
      '<w_l, ∂L/∂w_l> is the same number in every layer: spread over ‖w‖ ‖∇L‖',
      'derived: Euler, for a ReLU network without biases',
      1e-5,
      worst,
      each=True,
      derivation='float32 sums of about 10^5 products: 100 machine epsilons',
    )
  ]


def perp_grad(config: Config, ds: 'Dataset') -> list[Claim]:
  """Claims on ⊥Grad in all its forms."""
  made = quick(config, ds)
  if ran(ds, 'perp'):
    nlm = lanes(ds, 'nlm_tensor', method='perp')[..., -1]
    made += [
      at_least(
        'perp.test',
        'and stays there: test accuracy at the end',
        f'{PAPER}: Fig 6',
        0.95,
        last(ds, 'test_accuracy', method='perp'),
        each=True,
        derivation='0.986 ... 1.0 in five seeds',
      ),
      at_least(
        'perp.nlm',
        'its raw gradient is along the weights all the more: greatest cosine '
        'of the last layer (the projection removes that part, no more)',
        'measured',
        0.95,
        nlm.max(1),
        each=True,
        derivation='0.99 in five seeds',
      ),
      within(
        'perp.norm',
        'weights grow under Adam, in second order: last norm over first',
        'measured: 16.5 to 30',
        1.3,
        2.6,
        lanes(ds, 'norm', method='perp')[:, -1]
        / lanes(ds, 'norm', method='perp')[:, 0],
        derivation='1.8 in one run, within a factor of about √2',
      ),
    ]
  if ran(ds, 'perp', 'perp_unscaled'):
    ratio = reached(
      ds, 'test_accuracy', 0.95, method='perp_unscaled'
    ) / reached(ds, 'test_accuracy', 0.95, method='perp')
    made.append(
      within(
        'perp_unscaled.time',
        'the paper’s formula, without rescaling, before Adam: time to 95 % '
        'over that of the code’s',
        'derived: Adam divides the scale of a gradient out',
        0.5,
        2.0,
        ratio,
        derivation='a factor of two; the scale changes within Adam’s memory',
      )
    )
  if ran(ds, 'perp_stablemax'):
    made.append(
      at_least(
        'perp_stablemax.test',
        '⊥Grad with StableMax generalises as well: test accuracy at the end',
        f'{PAPER}: Fig 1a as its caption has it',
        0.5,
        last(ds, 'test_accuracy', method='perp_stablemax'),
        derivation='slower than with CE, as the authors’ users found',
      )
    )
  return made


def paper_perp(config: Config, ds: 'Dataset') -> list[Claim]:
  """Claims at the paper's size."""
  made = []
  if ran(ds, 'perp'):
    made += [
      at_most(
        'perp.time',
        'train and test reach 99 % by step 180',
        f'{PAPER}: Fig 1, left: both 100 % by about 120',
        180,
        reached(ds, 'test_accuracy', 0.99, method='perp'),
        each=True,
        derivation='120 ... 140 in two seeds',
      )
    ]
  if ran(ds, 'ce32'):
    made += [
      at_most(
        'ce32.test',
        'control: plain AdamW must not generalise',
        f'{PAPER}: Fig 1',
        0.05,
        best(ds, 'test_accuracy', method='ce32'),
        each=True,
        derivation='0.04 % was measured',
      )
    ]
  if not made:
    made = [
      untestable('perp.time', 'it groks', PAPER, 'the method perp was not run')
    ]
  return made


def _grok(config: Config, ds: 'Dataset') -> Figures:
  """Accuracy, and how far the last layer follows its own weights."""
  fig, (left, right) = pair()
  accuracy(left, ds, '⊥Grad generalises at once, AdamW never')
  right.set(
    title='AdamW steps along its own weights',
    xlabel=STEP,
    ylabel='cos(update, w), last layer',
    ylim=(-0.25, 1.0),
  )
  draw(right, ds, 'nlm_update_tensor', index=-1)
  right.axhline(0, color='grey', lw=0.6)
  legend(left)
  made = {
    f'modular_{config.variant}': (
      fig,
      'Left: accuracy on the training rows (dotted) and on all others (solid). '
      'Right: cosine of the update of the last layer with its weights; a step '
      'along them scales the logits and predicts nothing new. Lines: median '
      'over seeds, bands: their range.',
    )
  }
  return made


QUICK = Variant(arm, times, prepared_for(quick), prepared_for(_grok))
PERP_GRAD = Variant(arm, times, prepared_for(perp_grad), prepared_for(_grok))
PAPER_SIZE = Variant(arm, times, prepared_for(paper_perp), prepared_for(plain))
