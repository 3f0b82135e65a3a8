"""Laws of scale: curves, their fits, and what they extrapolate."""

from configs.scaling_law import VARIANTS
from experiments.scaling_law import (
  attempts,
  learning_curve,
  overtraining,
  table,
  testbeds,
)
from framework.launch import Experiment

__all__ = ['EXPERIMENT']

EXPERIMENT = Experiment(
  name='scaling_law',
  title='Laws of scale: what curves extrapolate to',
  configs=VARIANTS,
  variants={
    'one_pass': testbeds.VARIANT,
    'random_features': testbeds.VARIANT,
    'overtraining': overtraining.VARIANT,
    'coverage': attempts.COVERAGE,
    'majority': attempts.MAJORITY,
    'learning_curve': learning_curve.VARIANT,
    'table': table.VARIANT,
  },
)
