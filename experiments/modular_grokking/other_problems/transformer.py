"""A one-layer transformer on tokens (Fig 6b).

The published curves, of the authors' layer at mod 113: under ⊥Grad test
accuracy is 87 % at step 400 and 99 % at 600, under AdamW 0.3 % at most; with
weight decay 1.5 it is 93 % at step 1,200.
"""

from xarray import Dataset

from configs.modular_grokking import Config, get_config
from experiments.modular_grokking.drawing import plain
from experiments.modular_grokking.gates import gated, missing, unlike
from experiments.modular_grokking.laws import gap_law
from experiments.modular_grokking.perp_grad import earlier
from experiments.modular_grokking.reading import (
  PAPER,
  memorised,
  prepared,
  until,
)
from experiments.modular_grokking.runs import arm, times
from framework.evidence.claims import Claim, at_most
from framework.launch import Variant

__all__ = ['VARIANT']


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on the one-layer transformer."""
  why = unlike(config)
  law = gap_law(config, ds)
  ds = until(ds, get_config(config.variant).steps)
  return [
    earlier(config, ds, why, source=f'{PAPER}: Fig 6b'),
    gated(
      missing(config, 'ce32') or why,
      at_most,
      'ce32.train',
      f'99 % of the training rows are right by step {config.steps}',
      f'{PAPER}: memorisation comes first',
      config.steps,
      samples=lambda: memorised(ds, 'ce32'),
      each=True,
      derivation='it has that long',
      kind='paper',
    ),
    law,
  ]


VARIANT = Variant(
  arm, times, prepared(claims), prepared(plain('one-layer transformer'))
)
