"""Exact risks of learners that are linear in their parameters.

ridge          ridge regression with random features or a kernel, drawn and
at its best ridge
sgd            one-pass stochastic gradient descent, expected and sampled

cube           exact spectra of kernels on {±1}^d

Spectrum       eigenvalues of a kernel, and power of the target along them
power_law, unit_power, beyond, trace    spectra, whole or in part
rf_risk, krr_risk    exact test and train risk of ridge regression
optimal_ratio  train over test risk at the best ridge, in closed form
"""

from framework.systems.spectrum import (
  augmentation,
  cube,
  features,
  inductive_bias,
  pretraining,
  ridge,
  sgd,
)
from framework.systems.spectrum.risk import (
  Risk,
  krr_risk,
  optimal_ratio,
  rf_risk,
)
from framework.systems.spectrum.spectra import (
  Spectrum,
  Tail,
  beyond,
  power_law,
  trace,
  unit_power,
)

__all__ = [
  'Risk',
  'Spectrum',
  'Tail',
  'augmentation',
  'beyond',
  'cube',
  'features',
  'inductive_bias',
  'krr_risk',
  'optimal_ratio',
  'power_law',
  'pretraining',
  'rf_risk',
  'ridge',
  'sgd',
  'trace',
  'unit_power',
]
