"""Robust recovery: the sub-gradient method on corrupted measurements.

Ma, Fattahi, "Global Convergence of Sub-gradient Method for Robust Matrix
Recovery: Small Initialization, Noisy Measurements, and Over-parameterization",
2022.
"""

from configs.robust_recovery import VARIANTS
from experiments.robust_recovery.dynamics import deep, incremental, sgd
from experiments.robust_recovery.images import completion, own_data
from experiments.robust_recovery.recovery import (
  alpha_floor,
  noise,
  phase_outliers,
  robust,
  schedules,
  sign_rip,
)
from framework.launch import Experiment

__all__ = ['EXPERIMENT']

EXPERIMENT = Experiment(
  name='robust_recovery',
  title='Robust recovery: the sub-gradient method under outliers and noise '
  '(Ma, Fattahi 2022)',
  configs=VARIANTS,
  variants={
    'robust': robust.VARIANT,
    'noise': noise.VARIANT,
    'schedules': schedules.VARIANT,
    'sign_rip': sign_rip.VARIANT,
    'alpha_floor': alpha_floor.VARIANT,
    'phase_outliers': phase_outliers.VARIANT,
    'completion': completion.VARIANT,
    'own_data': own_data.VARIANT,
    'deep': deep.VARIANT,
    'incremental': incremental.VARIANT,
    'sgd': sgd.VARIANT,
  },
)
