"""The coordinate check: sizes of activations over widths, and their slopes."""

from framework.mup.coordinates.judge import (
  CORRECTION,
  Finding,
  Slopes,
  allowance,
  failures,
  findings,
  slopes,
  steepest,
  table,
  unseen,
)
from framework.mup.coordinates.measure import (
  Check,
  activations,
  coord_check,
  sizes,
)

__all__ = [
  'CORRECTION',
  'Check',
  'Finding',
  'Slopes',
  'activations',
  'allowance',
  'coord_check',
  'failures',
  'findings',
  'sizes',
  'slopes',
  'steepest',
  'table',
  'unseen',
]
