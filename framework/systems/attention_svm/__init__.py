"""Attention layers, the hard-margin problems they solve, and probes of both."""

from framework.systems.attention_svm.system import (
  Hp,
  Problem,
  State,
  Structure,
  gradient_of,
  init,
  logits_of,
  observe,
  sample,
  system,
  train,
)

__all__ = [
  'Hp',
  'Problem',
  'State',
  'Structure',
  'gradient_of',
  'init',
  'logits_of',
  'observe',
  'sample',
  'system',
  'train',
]
