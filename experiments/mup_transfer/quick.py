"""Coordinates and best learning rates in one run of seconds."""

from experiments.mup_transfer import coordinates, rates
from experiments.mup_transfer.runs import arm, times
from framework.launch import Variant

__all__ = ['VARIANT']

VARIANT = Variant(
  arm,
  times,
  lambda config, ds: [
    *coordinates.claims(config, ds),
    *rates.claims(config, ds),
  ],
  lambda config, ds: {
    **coordinates.figures(config, ds),
    **rates.figures(config, ds),
  },
)
