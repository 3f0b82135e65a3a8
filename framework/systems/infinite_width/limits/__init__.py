"""Networks of finite width on their way to their limits."""

from framework.systems.infinite_width.limits.system import (
  LIMITS,
  Hp,
  Limit,
  Problem,
  State,
  Structure,
  system,
)

__all__ = [
  'LIMITS',
  'Hp',
  'Limit',
  'Problem',
  'State',
  'Structure',
  'system',
]
