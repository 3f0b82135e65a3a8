"""Training at one width: SP, muP and mistakes, learning rates side by side.

system      the System of one width; rate, rule, decay, momentum are lanes
Structure   what is fixed in its program: width, model, task, rule, ...
Hp          what is traced
ATTRIBUTES  units and long names of what it records
net_of      module and multipliers of a lane
modules     names of the modules whose activations are recorded

Tasks       a Structure takes one, or a `Task` of your own
  classes     labelled rows: data, or those of a random network
  text        the next symbol of a text
  fixed       a task with the same batch at every step
Optimisers  functions (hp, multipliers) -> optax rule
  adamw, sgd  in muP
Parametrisations   functions (infinite shapes, optimizer) -> multipliers
  sp, mup     none; Table 8 of TP5 (or `table='3'`, `'9'`)
  no_readout_multiplier, rate_not_scaled, fans_swapped   classic mistakes

Grids of rates are `framework.systems.width.lr_sweep`, `best` and `drift`.
"""

from framework.systems.width.transfer.parametrisations import (
  fans_swapped,
  mup,
  no_readout_multiplier,
  rate_not_scaled,
  sp,
)
from framework.systems.width.transfer.system import (
  ATTRIBUTES,
  Hp,
  Problem,
  State,
  Structure,
  adamw,
  modules,
  net_of,
  rules,
  sgd,
  system,
)
from framework.systems.width.transfer.tasks import Task, classes, fixed, text

__all__ = [
  'ATTRIBUTES',
  'Hp',
  'Problem',
  'State',
  'Structure',
  'Task',
  'adamw',
  'classes',
  'fans_swapped',
  'fixed',
  'modules',
  'mup',
  'net_of',
  'no_readout_multiplier',
  'rate_not_scaled',
  'rules',
  'sgd',
  'sp',
  'system',
  'text',
]
