"""Infinite-width limits, and networks of finite width on their way to them.

system      the System of one width: its distance to the limit, step by step
Structure   what is fixed in its program: way, width, steps
Hp          what is traced: rates and deviations
ATTRIBUTES  units and long names of what it records
ways        ways to a limit, of which a Structure takes one: `ways.linear`,
            `quadrature`, `deep_linear`, `particles`
Way         how to write one of your own

Limits by themselves, modules of init, step, apply
  linear          the linear network of width d + k, under any algorithm
  mean_field      one hidden layer, by quadrature or particles
  deep_linear     deep linear: a recursion over samples
  deep_particles  the same over particles, responses by Stein's lemma
  finite          networks of a width, in the same convention
"""

from framework.systems.infinite_width.limits import (
  deep_linear,
  deep_particles,
  finite,
  linear,
  mean_field,
  ways,
)
from framework.systems.infinite_width.limits.system import (
  ATTRIBUTES,
  Hp,
  Problem,
  State,
  Structure,
  system,
)
from framework.systems.infinite_width.limits.ways import Way

__all__ = [
  'ATTRIBUTES',
  'Hp',
  'Problem',
  'State',
  'Structure',
  'Way',
  'deep_linear',
  'deep_particles',
  'finite',
  'linear',
  'mean_field',
  'system',
  'ways',
]
