"""Separation: random instances and their solutions, without training."""

from framework.systems.attention_svm.separation.system import (
  Hp,
  Problem,
  Structure,
  system,
)

__all__ = [
  'Hp',
  'Problem',
  'Structure',
  'system',
]
