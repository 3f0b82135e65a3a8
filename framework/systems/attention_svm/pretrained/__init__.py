"""Heads of trained language models as margin problems."""

from framework.systems.attention_svm.pretrained.system import (
  Data,
  Hp,
  Problem,
  Reduced,
  Structure,
  head_matrix,
  reduce,
  system,
)

__all__ = [
  'Data',
  'Hp',
  'Problem',
  'Reduced',
  'Structure',
  'head_matrix',
  'reduce',
  'system',
]
