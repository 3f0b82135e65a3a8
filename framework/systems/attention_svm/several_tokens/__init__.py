"""Attention that keeps several tokens of a sample."""

from framework.systems.attention_svm.several_tokens.system import (
  HIGH,
  LOW,
  NAMES,
  accepted,
  final,
  system,
)

__all__ = [
  'HIGH',
  'LOW',
  'NAMES',
  'accepted',
  'final',
  'system',
]
