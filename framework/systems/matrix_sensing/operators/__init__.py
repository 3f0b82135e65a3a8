"""Measurement operators, in forms that store and read different things.

dense, svec, blocks, gram    functions (rows, shape, symmetric) -> operator:
                             rows as they are; packed, for symmetric A_i; in
                             blocks that stay in the cache; A*A alone
gram_single                  A*A in float32, of iterates in float64
Identity                     infinitely many measurements: A*A is the identity
structured                   rank-one, pairs, quadratic, completion, Rademacher
choose                       the fastest of them for a problem, and why
packing                      svec: symmetric matrices as vectors
rip_lower_bound              how far an operator is from an isometry
"""

from framework.systems.matrix_sensing.operators import packing, structured
from framework.systems.matrix_sensing.operators.base import Operator, Residual
from framework.systems.matrix_sensing.operators.choice import Choice, choose
from framework.systems.matrix_sensing.operators.forms import (
  Blocks,
  Dense,
  Gram,
  Identity,
  Svec,
  blocks,
  dense,
  gram,
  gram_single,
  svec,
)
from framework.systems.matrix_sensing.operators.isometry import rip_lower_bound

__all__ = [
  'Blocks',
  'Choice',
  'Dense',
  'Gram',
  'Identity',
  'Operator',
  'Residual',
  'Svec',
  'blocks',
  'choose',
  'dense',
  'gram',
  'gram_single',
  'packing',
  'rip_lower_bound',
  'structured',
  'svec',
]
