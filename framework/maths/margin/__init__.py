"""Hard-margin problems over matrices: min ‖W‖ s.t. d_rᵀ W z_r ≥ b_r (or = b_r).

svm          the W of least norm, multipliers, and a certificate of both
least_norm   ‖W‖ alone, differentiable in every norm
neighbours   rows at their bound: the support vectors

constraints  rows from their factors d_r, z_r; ragged problems by a mask
concatenate  all rows of several problems
margins      d_rᵀ W z_r of each row
combine      Σ λ_r d_r z_rᵀ
gram         inner products of the rows

certify      bounds on the least norm from any W and multipliers
norm_named   a norm and its dual: frobenius, nuclear, spectral, linf, l1
NORMS        all of them

Constraints, Certificate, Solution, Norm   the types of all these

>>> import jax.numpy as jnp
>>> rows = constraints(jnp.eye(2), jnp.ones((2, 1)))  # w_1 ≥ 1 and w_2 ≥ 1
>>> found = svm(rows)
>>> print(found.W.T.round(4), found.certificate.gap < 1e-6)
[[1. 1.]] True
"""

from framework.maths.margin.certificate import Certificate, Solution, certify
from framework.maths.margin.norms import NORMS, Norm, norm_named
from framework.maths.margin.rows import (
  Constraints,
  combine,
  concatenate,
  constraints,
  gram,
  margins,
)
from framework.maths.margin.solve import least_norm, neighbours, svm

__all__ = [
  'NORMS',
  'Certificate',
  'Constraints',
  'Norm',
  'Solution',
  'certify',
  'combine',
  'concatenate',
  'constraints',
  'gram',
  'least_norm',
  'margins',
  'neighbours',
  'norm_named',
  'svm',
]
