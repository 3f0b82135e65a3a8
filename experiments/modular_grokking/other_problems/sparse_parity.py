"""StableMax learns the parity of a few bits."""

from typing import TYPE_CHECKING

from configs.modular_grokking import Config
from experiments.modular_grokking.drawing import norms
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


def sparse_parity(config: Config, ds: 'Dataset') -> list[Claim]:
  """Claims on the parity of a few bits."""
  made = []
  if ran(ds, 'stablemax'):
    made += [
      memorised(ds, 'stablemax', 1000, '100 % early in the reference'),
      at_least(
        'stablemax.test',
        'StableMax learns the parity: mean test accuracy at the end',
        f'{PAPER}: Fig 4, 81 % at 5,000 steps, 100 % by 25,000',
        0.75,
        last(ds, 'test_accuracy', method='stablemax'),
        derivation='read off the figure at 5,000 steps, less 6 points',
      ),
    ]
  if ran(ds, 'ce32', 'stablemax'):
    made.append(
      at_least(
        'stablemax.gain',
        'and more of it than CE with the same seeds: difference at the end',
        f'{PAPER}: Fig 4',
        0.0,
        last(ds, 'test_accuracy', method='stablemax')
        - last(ds, 'test_accuracy', method='ce32'),
        derivation='the sign is the claim',
      )
    )
  return made


VARIANT = Variant(arm, times, prepared_for(sparse_parity), prepared_for(norms))
