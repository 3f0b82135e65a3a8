"""Cluster data: two-layer networks that fit at once and generalise later.

Points lie in Gaussian clusters, some labels are flipped, and only the first
layer is trained. The names below are those of XOR clusters, the one data set
that there is; `help(xor)` lists all of them.

xor               XOR clusters: the whole package
system            gradient descent on them, a `System` over `Hp`
Structure         sizes, form and rule: what is compiled in
Hp                step size, start, noise, signal: every one can be a lane
xor_cluster       the points
bartlett_problem, gram_problem, explicit_problem   three forms of a run
TwoLayerNet       the network as a flax module
theory, laws      the paper's and what is derived here, as plain numbers
"""

from framework.systems.clusters import xor
from framework.systems.clusters.xor import (
  Hp,
  Structure,
  TwoLayerNet,
  bartlett_problem,
  explicit_problem,
  gram_problem,
  laws,
  system,
  theory,
  xor_cluster,
)

__all__ = [
  'Hp',
  'Structure',
  'TwoLayerNet',
  'bartlett_problem',
  'explicit_problem',
  'gram_problem',
  'laws',
  'system',
  'theory',
  'xor',
  'xor_cluster',
]
