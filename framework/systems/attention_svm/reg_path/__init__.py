"""The regularisation path: the best attention of bounded norm.

    system         projected descent in a ball, as a System
    Structure, Hp  which ball; its radius and the start
    problem_of     an instance with the solution that its path tends to
    constrained_descent   the same on W by projections alone, in either ball
    stationarity   how far from first-order optimal a point of a ball is
    balanced_factors      K, Q of least norm with KQᵀ = W
    BALLS          'frobenius' and 'nuclear'
    ATTRIBUTES     units of the observations

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.
"""

from framework.systems.attention_svm.reg_path.system import (
  ATTRIBUTES,
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
  'ATTRIBUTES',
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
