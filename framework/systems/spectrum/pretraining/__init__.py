"""Unsupervised pretraining, then few labels.

factor          the System: PCA of data that arrive, then least squares
Structure, Hp   of it
factor_model, factor_data, risk, oracle_risk    the model, and exact risks
principal, in_subspace, least_norm    the two phases, and one alone

mixture         the System: EM steps, then a sign from labels
MixtureStructure, MixtureHp, em_step, mixture_data, signed_error    of it
"""

from framework.systems.spectrum.pretraining.factor import (
  ATTRIBUTES,
  Data,
  Hp,
  Model,
  Structure,
  factor,
  factor_data,
  factor_model,
  in_subspace,
  least_norm,
  oracle_risk,
  principal,
  risk,
)
from framework.systems.spectrum.pretraining.mixture import (
  MIXTURE_ATTRIBUTES,
  MixtureHp,
  MixtureStructure,
  em_step,
  mixture,
  mixture_data,
  signed_error,
)

__all__ = [
  'ATTRIBUTES',
  'MIXTURE_ATTRIBUTES',
  'Data',
  'Hp',
  'MixtureHp',
  'MixtureStructure',
  'Model',
  'Structure',
  'em_step',
  'factor',
  'factor_data',
  'factor_model',
  'in_subspace',
  'least_norm',
  'mixture',
  'mixture_data',
  'oracle_risk',
  'principal',
  'risk',
  'signed_error',
]
