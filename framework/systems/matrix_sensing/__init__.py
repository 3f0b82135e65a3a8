"""Low-rank matrix sensing by gradient descent on factors.

Xiong, Ding, Du, "How Over-Parameterization Slows Down Gradient Descent in
Matrix Sensing: The Curses of Symmetry and Initialization", 2023.
"""

from framework.systems.matrix_sensing import (
  ensembles,
  operators,
  optimizers,
  probes,
  theory,
)
from framework.systems.matrix_sensing.system import (
  Hp,
  Problem,
  Structure,
  factors,
  final,
  system,
  value_and_grad,
)

__all__ = [
  'Hp',
  'Problem',
  'Structure',
  'ensembles',
  'factors',
  'final',
  'operators',
  'optimizers',
  'probes',
  'system',
  'theory',
  'value_and_grad',
]
