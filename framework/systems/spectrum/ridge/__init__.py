"""Ridge regression: drawn over and over, and at its best ridge.

sampled        the System: one regression on fresh data a step
Structure, Hp  of it
fit            the risks of one regression on data that it draws
search.tuning  the System: golden section for the best ridge, on exact risks
search.Structure, search.Hp    of it
optimal_ridge  the best ridge, and the risk there
"""

from framework.systems.spectrum.ridge import resampled as parts
from framework.systems.spectrum.ridge import tuning as search
from framework.systems.spectrum.ridge.sampled import (
  ATTRIBUTES,
  Hp,
  Structure,
  fit,
  sampled,
)
from framework.systems.spectrum.ridge.tuning import optimal_ridge

__all__ = [
  'ATTRIBUTES',
  'Hp',
  'Structure',
  'fit',
  'optimal_ridge',
  'parts',
  'sampled',
  'search',
]
