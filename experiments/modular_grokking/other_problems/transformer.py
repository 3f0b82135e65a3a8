"""A one-layer transformer on tokens."""

from typing import TYPE_CHECKING

from configs.modular_grokking import Config
from experiments.modular_grokking.drawing import plain
from experiments.modular_grokking.reading import (
  PAPER,
  best,
  memorised,
  prepared_for,
  ran,
)
from experiments.modular_grokking.runs import arm, times
from framework.evidence.claims import (
  Claim,
  at_least,
)
from framework.launch import Variant

if TYPE_CHECKING:
  from xarray import Dataset


def transformer(config: Config, ds: 'Dataset') -> list[Claim]:
  """Claims on the one-layer transformer."""
  made = []
  if ran(ds, 'ce32'):
    made.append(memorised(ds, 'ce32', config.steps, 'it has that long'))
  if ran(ds, 'perp', 'ce32'):
    made.append(
      at_least(
        'perp.gain',
        'same seed: best test accuracy of ⊥Grad beyond that of AdamW',
        f'{PAPER}: Fig 6b, perp first, plain never',
        0.0,
        best(ds, 'test_accuracy', method='perp')
        - best(ds, 'test_accuracy', method='ce32'),
        each=True,
        derivation='the sign is the claim',
      )
    )
  return made


VARIANT = Variant(arm, times, prepared_for(transformer), prepared_for(plain))
