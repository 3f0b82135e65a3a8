"""200 images of digits, from a large start: ⊥Grad and StableMax against CE."""

import math

import numpy as np
from xarray import Dataset

from configs.modular_grokking import Config, get_config
from experiments.modular_grokking.drawing import plain
from experiments.modular_grokking.gates import gated, missing, unlike
from experiments.modular_grokking.laws import gap_law
from experiments.modular_grokking.reading import (
  PAPER,
  last,
  learnt,
  memorised,
  prepared,
  until,
)
from experiments.modular_grokking.runs import arm, times
from framework.evidence.claims import Claim, at_least, at_most
from framework.launch import Variant

__all__ = ['VARIANT']

_SOURCE = f'{PAPER}: MNIST with 200 samples'


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on 200 images of digits, from a large start."""
  why = unlike(config)
  law = gap_law(config, ds)
  ds = until(ds, get_config(config.variant).steps)
  # Two standard errors of a difference of accuracies on the same images.
  margin = 2 * math.sqrt(2 * 0.25 / config.mnist_test / config.seeds)
  made = []
  for method in ('stablemax', 'perp'):
    made.append(
      gated(
        missing(config, method, 'ce32') or why,
        at_least,
        f'{method}.gain',
        'both memorise, the same seed: test accuracy at the end beyond that of '
        'CE, mean over seeds',
        _SOURCE,
        margin,
        samples=lambda method=method: _gain(ds, method),
        strict=True,
        derivation='the sign is the claim; two standard errors of the mean, at '
        'most, for so many images and seeds',
        kind='paper',
        headline=True,
      )
    )
  for method in ('ce32', 'stablemax', 'perp'):
    made.append(
      gated(
        missing(config, method) or why,
        at_most,
        f'{method}.train',
        f'99 % of the training images are right by step {config.steps}',
        f'{PAPER}: memorisation comes first',
        config.steps,
        samples=lambda method=method: memorised(ds, method),
        each=True,
        derivation='it has that long',
        kind='paper',
      )
    )
  return [*made, law]


def _gain(ds: Dataset, method: str) -> np.ndarray:
  one, two = (last(ds, 'test_accuracy', method=m) for m in (method, 'ce32'))
  return learnt(one - two, *(memorised(ds, m) for m in (method, 'ce32')))


VARIANT = Variant(
  arm,
  times,
  prepared(claims),
  prepared(plain('MNIST, 200 images, large start')),
)
