"""Separation: random instances and their solutions, without training.

system         instances as lanes of a System in which nothing moves
Structure, Hp  sizes and norms; how many dimensions are in use
Problem        an instance, and noise of the size of a loose solver's error
THRESHOLDS     from which singular values are counted
ATTRIBUTES     units of the observations
"""

from framework.systems.attention_svm.separation.system import (
  ATTRIBUTES,
  THRESHOLDS,
  Hp,
  Problem,
  Structure,
  system,
)

__all__ = [
  'ATTRIBUTES',
  'THRESHOLDS',
  'Hp',
  'Problem',
  'Structure',
  'system',
]
