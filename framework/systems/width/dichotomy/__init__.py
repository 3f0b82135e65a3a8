"""The dynamical dichotomy of abc-parametrisations."""

from framework.systems.width.dichotomy.system import (
  Hp,
  Problem,
  State,
  Structure,
  names,
  system,
)

__all__ = [
  'Hp',
  'Problem',
  'State',
  'Structure',
  'names',
  'system',
]
