"""Random features whose weights are bounded.

bandlimited      the System: a layer of random features that grows
Structure, Hp    of it
floor            the error of infinitely many features
random_features, relative_error, bump    what both are made of
"""

from framework.systems.spectrum.features.bandlimited import (
  ATTRIBUTES,
  Hp,
  Structure,
  bandlimited,
  bump,
  floor,
  random_features,
  relative_error,
)

__all__ = [
  'ATTRIBUTES',
  'Hp',
  'Structure',
  'bandlimited',
  'bump',
  'floor',
  'random_features',
  'relative_error',
]
