"""The regularisation path: the best attention of bounded norm."""

from framework.systems.attention_svm.reg_path.system import (
  BALLS,
  Hp,
  Problem,
  Structure,
  balanced_factors,
  constrained_descent,
  problem_of,
  stationarity,
  system,
)

__all__ = [
  'BALLS',
  'Hp',
  'Problem',
  'Structure',
  'balanced_factors',
  'constrained_descent',
  'problem_of',
  'stationarity',
  'system',
]
