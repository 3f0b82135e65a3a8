"""From a config to what is run: the system, its hyperparameters, its times."""

import functools

import jax.numpy as jnp
import numpy as np
import optax

from configs.matrix_sensing import Config
from framework.config import ConfigError, Problem
from framework.launch import hp_of, structure_of
from framework.run.job import Arm
from framework.system import linspaced, logspaced
from framework.systems import matrix_sensing as ms
from framework.systems.matrix_sensing import ensembles, operators, optimizers

__all__ = ['arm', 'spectrum', 'times', 'truth_shape']

RULES = {
  'gd': optax.sgd,
  'balanced': optimizers.balanced,
  'scaled_gd': lambda hp: optimizers.scaled_gd(hp.eta, hp.damping),
  'precgd': lambda hp: optimizers.precgd(hp.eta, hp.loss_damping),
}
FORMS = {
  'dense': operators.dense,
  'svec': operators.svec,
  'gram': operators.gram,
  'blocks': operators.blocks,
}
SPECTRA = {
  'linear': ensembles.linear_spectrum,
  'geometric': ensembles.geometric_spectrum,
}


def arm(config: Config) -> Arm:
  """The system of one structural setting, its hp and its own truth."""
  symmetric = config.parametrisation == 'symmetric'
  symmetric_ensemble = config.ensemble == 'symmetric' or (
    config.ensemble == 'matched' and symmetric
  )
  symmetric_truth = symmetric or config.truth == 'symmetric'
  truth = _own_truth(config, symmetric_truth)
  n1 = n2 = config.n
  if truth is not None:
    n1, n2 = len(truth.U), len(truth.V)
    tied = max(config.axis('tied'))
    if tied and n1 != n2:
      problem = Problem('config.tied', tied, f'0 for a {n1} x {n2} target')
      raise ConfigError([problem])
  form, choice = _form(config, n1, n2, symmetric_ensemble)
  structure = structure_of(
    ms.Structure,
    config,
    n1=n1,
    n2=n2,
    k_max=max(config.k, *config.axis('k')),
    m=config.m if config.setting == 'sensing' else None,
    symmetric=symmetric,
    symmetric_truth=symmetric_truth,
    symmetric_ensemble=symmetric_ensemble,
    operator=form,
    optimizer=RULES[config.optimizer],
    spectrum=SPECTRA[config.spectrum],
    noise=ensembles.outliers if max(config.axis('outliers')) > 0 else None,
    dtype=jnp.dtype(config.precision),
  )
  return Arm(
    ms.system(structure),
    hp_of(ms.Hp, config, k=np.int32),
    truth,
    ms.final,
    {'operator': choice},
    ms.ATTRIBUTES,
  )


def _form(config: Config, n1: int, n2: int, symmetric: bool):
  """The form of the operator, and why it is this one."""
  if config.setting == 'population':
    note = 'identity: A*A of the population, nothing is stored'
    return operators.gram, note  # not looked at
  if config.operator != 'auto':
    return FORMS[config.operator], f'{config.operator}: as asked for'
  lanes = 1  # that share the operator of a seed
  for name, values in config.sweep.items():
    lanes *= len(values) if name in ms.Hp._fields else 1
  form, why = operators.choose(
    config.m,
    n1,
    n2,
    symmetric,
    lanes=lanes,
    dtype_bytes=np.dtype(config.precision).itemsize,
    steps=config.steps,
  )
  return form, f'{form.__name__}: {why}'


@functools.cache
def _target(path: str) -> np.ndarray:
  try:
    return ms.targets.read(path)
  except ValueError as error:
    raise ConfigError([Problem('config.target', str(error), '')]) from None


def _own_truth(config: Config, symmetric: bool) -> ensembles.Truth | None:
  """The truth in `config.target`: rank r, scaled to σ_1 = 1."""
  if config.target is None:
    return None
  M = _target(config.target)
  try:
    truth = ms.targets.from_matrix(M, config.r, symmetric)
  except ValueError as error:
    raise ConfigError([Problem('config.target', str(error), '')]) from None
  return truth._replace(s=truth.s / truth.s[0])


def truth_shape(config: Config) -> tuple[int, int]:
  """(n1, n2) of the truth."""
  if config.target is None:
    return config.n, config.n
  n1, n2 = _target(config.target).shape
  return n1, n2


def spectrum(config: Config, kind: str, kappa: float) -> np.ndarray:
  """Singular values of the truth.

  Args:
    config: Supplies the rank, and the target if there is one.
    kind: A name of `SPECTRA`.
    kappa: σ_1/σ_r.

  Returns:
    (r,), from 1 on.
  """
  if config.target is None:
    return np.asarray(SPECTRA[kind](config.r, float(kappa)), np.float64)
  sigma = np.linalg.svd(_target(config.target), compute_uv=False)[: config.r]
  return sigma / sigma[0]


def times(config: Config) -> np.ndarray:
  """Record times: per decade, or evenly spaced."""
  if config.spacing == 'log':
    return logspaced(config.steps, config.records)
  return linspaced(config.steps, max(1, config.steps // config.records))
