"""The π-limit: deep nonlinear networks of infinite width that learn features.

system       the System: a learner on a task
Structure    what is fixed in its program: task, learner, batch, steps
Hp           what is traced: rates, momentum, decay, clip, multipliers
ATTRIBUTES   units and long names of what it records

Learners
  limit        the π-limit, which grows by a row a sample and layer
  pinet        a π-net of finite width drawn from it, under any optax rule
  munet        a network in µP of finite width
  kernel       ridge regression with NNGP or NTK
  maml         `maml.learner`: a learner of `few_shot.Structure`, second order
  way          the limit as a `limits.Way`: how fast π-nets come to it

The mathematics by itself
  net          the network: `net.apply`, `features`, `kernel`, starts
  rows         a layer as a function made of rows, with room for more
  gradient     a gradient as rows; its norms, clipping
  sgd          descent on coefficients: `sgd.begin`, `step`, `grow`
  rounding     `rounding.bound`: how far a precision takes the outputs
  finite       `finite.sample` at any time; `project`, an optax transformation
"""

from framework.systems.infinite_width.pi import (
  finite,
  gradient,
  maml,
  net,
  rounding,
  rows,
  sgd,
)
from framework.systems.infinite_width.pi.learners import (
  Learner,
  Sizes,
  kernel,
  limit,
  munet,
  pinet,
)
from framework.systems.infinite_width.pi.system import (
  ATTRIBUTES,
  Hp,
  State,
  Structure,
  system,
)
from framework.systems.infinite_width.pi.way import way

__all__ = [
  'ATTRIBUTES',
  'Hp',
  'Learner',
  'Sizes',
  'State',
  'Structure',
  'finite',
  'gradient',
  'kernel',
  'limit',
  'maml',
  'munet',
  'net',
  'pinet',
  'rounding',
  'rows',
  'sgd',
  'system',
  'way',
]
