"""Gates of this experiment: what every law of recovery needs."""

from typing import Any

from experiments.matrix_sensing.reading import Lanes
from framework.evidence.gates import Gate, gate

__all__ = ['Gate', 'gate', 'noiseless']


def noiseless(lanes: Lanes, optimizer: str = 'gd') -> list[tuple[Any, str]]:
  """Needs of every law of recovery: data without outliers, and its rule."""
  clean = not lanes.sensing or lanes.given('outliers') == 0
  return [
    (
      lanes.given('optimizer') == optimizer,
      f'the law is of the optimizer {optimizer}',
    ),
    (clean, 'outliers are in the measurements: there is no exact fit'),
  ]
