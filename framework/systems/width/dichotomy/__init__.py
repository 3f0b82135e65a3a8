"""The dynamical dichotomy: features or a kernel, for every parametrisation.

system      the System of one width; parametrisations (a, b, c) are lanes
Structure   what is fixed in its program: width, cases, rule, activation
Hp          what is traced: the case and the learning rate
adam        the rule with an ε below every gradient; SGD is `optax.identity`
names       names of the weights
ATTRIBUTES  units and long names of what it records

What theory says of a case is `framework.mup.abc.classify`; cases to try it on
are in `framework.mup.lattice`.
"""

from framework.systems.width.dichotomy.system import (
  ATTRIBUTES,
  Hp,
  Problem,
  State,
  Structure,
  adam,
  names,
  system,
)

__all__ = [
  'ATTRIBUTES',
  'Hp',
  'Problem',
  'State',
  'Structure',
  'adam',
  'names',
  'system',
]
