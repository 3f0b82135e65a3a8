"""200 images of digits, from a large start."""

from typing import TYPE_CHECKING

from configs.modular_grokking import Config
from experiments.modular_grokking.drawing import plain
from experiments.modular_grokking.reading import (
  PAPER,
  last,
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


def mnist(config: Config, ds: 'Dataset') -> list[Claim]:
  """Claims on 200 images of digits, from a large start."""
  made = []
  for method in ('ce32', 'stablemax', 'perp'):
    if ran(ds, method):
      made.append(memorised(ds, method, config.steps, 'it has that long'))
  for method in ('stablemax', 'perp'):
    if ran(ds, method, 'ce32'):
      made.append(
        at_least(
          f'{method}.gain',
          'same seed: test accuracy at the end beyond that of CE',
          f'{PAPER}: MNIST with 200 samples',
          0.0,
          last(ds, 'test_accuracy', method=method)
          - last(ds, 'test_accuracy', method='ce32'),
          derivation='the sign is the claim; standard error of one run on '
          '2,000 images 0.01',
        )
      )
  return made


VARIANT = Variant(arm, times, prepared_for(mnist), prepared_for(plain))
