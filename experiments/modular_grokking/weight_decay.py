"""Weight decay groks, the more the sooner, a contrast to ⊥Grad (Fig 6)."""

import numpy as np
from xarray import Dataset

from configs.modular_grokking import Config, get_config
from experiments.modular_grokking.drawing import accuracy, legend, pair
from experiments.modular_grokking.gates import gated, missing, unlike
from experiments.modular_grokking.laws import euler
from experiments.modular_grokking.reading import (
  PAPER,
  best,
  confined,
  generalised,
  learnt,
  memorised,
  prepared,
  quotient,
  until,
)
from experiments.modular_grokking.runs import arm, times
from framework.evidence.claims import Claim, at_least, at_most
from framework.launch import Figures, Variant

__all__ = ['VARIANT']

_STRONG = 0.3, 1.0  # decays that were seen to generalise in 8000 steps


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on weight decay, the contrast."""
  why = missing(config, 'ce32') or unlike(config, weight_decay=(0.0, 1.0))
  law = euler(config, ds)
  ds = until(ds, get_config(config.variant).steps)
  decays = sorted(config.axis('weight_decay'))
  none = why or ('' if 0 in decays else 'needs the weight decay 0')
  low, high = _STRONG
  strong = [d for d in decays if low <= d <= high]
  some = none or ('' if strong else f'needs a decay from {low:g} to {high:g}')
  made = []
  for decay in strong or _STRONG[1:]:
    made += _decayed(ds, some, decay)
  return [
    *made,
    gated(
      why or ('' if len(strong) > 1 else 'needs two decays from 0.3 to 1'),
      at_most,
      'decay.order',
      'more decay, sooner: median time to 50 % of the test rows over that of '
      'the next smaller decay',
      'measured by us: about ∝ 1/λ, as the norm falls by exp(−lr λ t)',
      1.0,
      samples=lambda: _order(ds, strong),
      each=True,
      strict=True,
      derivation='the order is the claim',
      kind='regression',
    ),
    gated(
      none,
      at_most,
      'none.memorised',
      'control: without decay AdamW must memorise and not generalise: best '
      'test accuracy since 99 % of the training rows are right',
      f'{PAPER}: Fig 1, right',
      0.05,
      samples=lambda: confined(ds, 'ce32', weight_decay=0.0),
      each=True,
      derivation='a line at 0 in the figure; chance is 1/p',
      kind='paper',
    ),
    gated(
      none,
      at_most,
      'none.train',
      'without decay 99 % of the training rows are right by step 200',
      'measured by us, mod 41, 75 %',
      200,
      samples=lambda: memorised(ds, 'ce32', weight_decay=0.0),
      each=True,
      derivation='5 of 5 seeds by 200',
      kind='regression',
    ),
    law,
  ]


def _decayed(ds: Dataset, why: str, decay: float) -> list[Claim]:
  """One decay against none."""
  here = {'method': 'ce32', 'weight_decay': decay}
  source = f'{PAPER}: Fig 6, where decay 1.5 generalises and none does not'
  return [
    gated(
      why,
      at_most,
      f'decay={decay:g}.earlier',
      'with decay half of the test rows are right, for good, before they are '
      'without it, if they ever are: time over that without (0: never)',
      source,
      1.0,
      samples=lambda: quotient(
        generalised(ds, level=0.5, **here),
        generalised(ds, 'ce32', 0.5, weight_decay=0.0),
      ),
      each=True,
      strict=True,
      derivation='the order is the claim',
      kind='paper',
      headline=True,
    ),
    gated(
      why,
      at_least,
      f'decay={decay:g}.test',
      'and it generalises: best test accuracy of what has memorised',
      source,
      0.95,
      samples=lambda: learnt(
        best(ds, 'test_accuracy', **here), memorised(ds, **here)
      ),
      derivation='93 % in the figure, and rising; the level that counts as '
      'generalising',
      kind='paper',
    ),
  ]


def _order(ds: Dataset, decays: list[float]) -> np.ndarray:
  medians = [_half(ds, decay) for decay in decays]
  return quotient(medians[1:], medians[:-1])


def _half(ds: Dataset, decay: float) -> float:
  """The median time to half of the test rows."""
  return np.median(generalised(ds, 'ce32', 0.5, weight_decay=decay))


def _figures(config: Config, ds: Dataset) -> Figures:
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
  method = str(ds['method'].values[0])
  shown = []
  for decay in decays:
    each = generalised(ds, method, 0.5, weight_decay=decay)
    shown.append(np.median(each))
    each = np.where(np.isfinite(each), each, np.nan)
    right.plot(np.full(len(each), decay), each, 'o', color='C0', ms=3.5)
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


VARIANT = Variant(arm, times, prepared(claims), prepared(_figures))
