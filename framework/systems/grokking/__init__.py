"""Grokking: late generalisation on modular arithmetic and other tasks."""

from framework.systems.grokking.system import (
  Data,
  Hp,
  Problem,
  State,
  Structure,
  mean_loss,
  names,
  network,
  rule,
  system,
)

__all__ = [
  'Data',
  'Hp',
  'Problem',
  'State',
  'Structure',
  'mean_loss',
  'names',
  'network',
  'rule',
  'system',
]
