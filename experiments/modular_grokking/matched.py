"""Grokfast and ⊥Grad at the step lengths of plain AdamW."""

from typing import TYPE_CHECKING

from configs.modular_grokking import Config
from experiments.modular_grokking.reading import (
  LABELS,
  PAPER,
  best,
  prepared_for,
  ran,
  reached,
)
from experiments.modular_grokking.runs import arm, times
from experiments.modular_grokking.time_to_grok import survival_figure
from framework.evidence import survival
from framework.evidence.claims import Claim, at_least, at_most
from framework.launch import Variant

if TYPE_CHECKING:
  from xarray import Dataset


def matched(config: Config, ds: 'Dataset') -> list[Claim]:
  """Claims on direction alone: every step as long as AdamW's would be.

  ⊥Grad is compared without weight decay, where AdamW never generalises, and
  Grokfast with it; AdamW always has its decay.
  """
  made = []
  end = float(ds['time'].values[-1])
  decays = [float(d) for d in ds['weight_decay'].values]
  if not ran(ds, 'ce32'):
    return made
  plain = {'method': 'ce32', 'weight_decay': max(decays)}
  control = reached(ds, 'test_accuracy', 0.95, **plain)
  for method in ('perp', 'grokfast_ema', 'grokfast_ma'):
    decay = min(decays) if method == 'perp' else max(decays)
    source = f'{PAPER}: Fig 6' if method == 'perp' else 'Lee et al. 2024'
    for name in (method, f'{method}_matched'):
      if not ran(ds, name):
        continue
      what = f'{LABELS[name]} (decay {decay:g})'
      if name.endswith('matched'):
        what += ', each step as long as AdamW would make it,'
      time = reached(ds, 'test_accuracy', 0.95, method=name, weight_decay=decay)
      made.append(
        at_least(
          f'{name}.earlier',
          f'{what} is earlier than AdamW with decay {max(decays):g}: '
          'log-rank z',
          source,
          2.0,
          survival.log_rank(time, control, end),
          derivation='2 standard errors',
        )
      )
  if min(decays) == 0 < max(decays):
    made.append(
      at_most(
        'ce32.test',
        'control: AdamW without decay must not generalise',
        f'{PAPER}: Fig 6',
        0.05,
        best(ds, 'test_accuracy', method='ce32', weight_decay=0.0),
        each=True,
        derivation='chance is 0.024',
      )
    )
  return made


VARIANT = Variant(
  arm, times, prepared_for(matched), prepared_for(survival_figure)
)
