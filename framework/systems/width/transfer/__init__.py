"""Training at one width: SP, muP, and learning rates side by side."""

from framework.systems.width.transfer.system import (
  MISTAKES,
  RULES,
  Hp,
  Problem,
  State,
  Structure,
  module_at,
  modules,
  net_of,
  rules,
  system,
)

__all__ = [
  'MISTAKES',
  'RULES',
  'Hp',
  'Problem',
  'State',
  'Structure',
  'module_at',
  'modules',
  'net_of',
  'rules',
  'system',
]
