"""Few-shot learning by MAML: the limit, finite widths, kernels.

system       the System: a learner on tasks of a source
Structure    what is fixed in its program: learner, source, sizes
Hp           what is traced: rates, clip, deviations, variances
ATTRIBUTES   units and long names of what it records

Learners
  network        the linear network in muP: of infinite width, or of one
  kernel         a kernel predictor: `kernels.gp`, `kernels.ntk` or your own
  linear_kernel  the kernel limit of a linear network

Sources of tasks
  gaussian       classes that differ in a subspace that all tasks share
  table          drawings; `Data` are their bytes

maml         MAML of a linear network in the span of few rows, any order
kernels      predictors that grow by the rows that they saw
tasks        episodes, Gaussian classes
"""

from framework.systems.infinite_width.few_shot import kernels, maml, tasks
from framework.systems.infinite_width.few_shot.learners import (
  Learner,
  Values,
  kernel,
  linear_kernel,
  network,
)
from framework.systems.infinite_width.few_shot.sources import (
  Data,
  Sizes,
  Source,
  gaussian,
  table,
)
from framework.systems.infinite_width.few_shot.system import (
  ATTRIBUTES,
  Hp,
  Problem,
  Structure,
  system,
)

__all__ = [
  'ATTRIBUTES',
  'Data',
  'Hp',
  'Learner',
  'Problem',
  'Sizes',
  'Source',
  'Structure',
  'Values',
  'gaussian',
  'kernel',
  'kernels',
  'linear_kernel',
  'maml',
  'network',
  'system',
  'table',
  'tasks',
]
