"""Few-shot learning by MAML: limits, kernels, finite widths."""

from framework.systems.infinite_width.few_shot.system import (
  MODELS,
  Data,
  Hp,
  Parts,
  Problem,
  Structure,
  Values,
  system,
)

__all__ = [
  'MODELS',
  'Data',
  'Hp',
  'Parts',
  'Problem',
  'Structure',
  'Values',
  'system',
]
