"""Stochastic gradient descent on a linear model: expected, and sampled.

expected       the System: the exact expectation of one pass, step by step
sampled        the System: runs on drawn samples, fresh or in epochs
Structure, Hp  of both, which record the same
problem_of     the model of some width on a spectrum
one_pass_risk  its excess risk at some steps
merged, merged_risk    the same on few nodes, for many modes
stationary     where it ends
compute_optimal_width, loss_table   exact risks over width and steps
"""

from framework.systems.spectrum.sgd.expected import (
  ATTRIBUTES,
  Hp,
  Problem,
  Structure,
  expected,
  one_pass_risk,
  problem_of,
  stationary,
)
from framework.systems.spectrum.sgd.merged import (
  Merged,
  merged,
  merged_risk,
)
from framework.systems.spectrum.sgd.sampled import sampled
from framework.systems.spectrum.sgd.width import (
  Optimal,
  compute_optimal_width,
  loss_table,
)

__all__ = [
  'ATTRIBUTES',
  'Hp',
  'Merged',
  'Optimal',
  'Problem',
  'Structure',
  'compute_optimal_width',
  'expected',
  'loss_table',
  'merged',
  'merged_risk',
  'one_pass_risk',
  'problem_of',
  'sampled',
  'stationary',
]
