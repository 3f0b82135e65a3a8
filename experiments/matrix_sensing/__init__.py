"""Matrix sensing: how over-parametrisation slows gradient descent down.

Xiong, Ding, Du, "How Over-Parameterization Slows Down Gradient Descent in
Matrix Sensing: The Curses of Symmetry and Initialization", 2023.
"""

from configs.matrix_sensing import VARIANTS
from experiments.matrix_sensing import (
  asymmetric,
  balanced,
  phase,
  preconditioned,
  sym_vs_asym,
  symmetric,
)
from framework.launch import Experiment

__all__ = ['EXPERIMENT']

EXPERIMENT = Experiment(
  name='matrix_sensing',
  title='Matrix sensing: the curses of symmetry and initialization '
  '(Xiong, Ding, Du 2023)',
  configs=VARIANTS,
  variants={
    'symmetric': symmetric.VARIANT,
    'asymmetric': asymmetric.VARIANT,
    'balanced': balanced.VARIANT,
    'sym_vs_asym': sym_vs_asym.VARIANT,
    'phase': phase.VARIANT,
    'preconditioned': preconditioned.VARIANT,
  },
)
