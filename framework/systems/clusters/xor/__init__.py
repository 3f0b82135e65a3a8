"""XOR clusters: benign overfitting and grokking in ReLU networks."""

from framework.systems.clusters.xor.system import (
  Choice,
  Explicit,
  Hp,
  Structure,
  choose,
  final,
  mu_norm,
  system,
  view,
)

__all__ = [
  'Choice',
  'Explicit',
  'Hp',
  'Structure',
  'choose',
  'final',
  'mu_norm',
  'system',
  'view',
]
