"""Names of axes, and slopes."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

from experiments.robust_recovery.recovery.runs import Lanes
from framework.evidence import fits

__all__ = ['ERROR', 'slope', 'styled']

ERROR = r'relative error  $\|XX^\top - M\|_F/\|M\|_F$'


def styled(values: Iterable[Any]) -> Iterable[tuple[Any, Any]]:
  """Values with a line style each."""
  return zip(values, itertools.cycle(['-', ':', '--', '-.']), strict=False)


def slope(lanes: Lanes, high: float, low: float) -> np.ndarray:
  """Slope of ln(relative error) between two levels, of each lane."""
  where = fits.between_levels(lanes.error, high, low)
  return fits.exponential(lanes.t, lanes.error, where=where).slope
