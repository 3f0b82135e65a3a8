"""Prompt attention, alone and together with its head."""

from framework.systems.attention_svm.prompt.system import (
  Gradient,
  Hp,
  State,
  Structure,
  gradient,
  system,
)

__all__ = [
  'Gradient',
  'Hp',
  'State',
  'Structure',
  'gradient',
  'system',
]
