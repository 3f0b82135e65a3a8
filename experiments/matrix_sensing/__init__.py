"""Matrix sensing: how over-parametrisation slows gradient descent down.

Xiong, Ding, Du, "How Over-Parameterization Slows Down Gradient Descent in
Matrix Sensing: The Curses of Symmetry and Initialization", 2023.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

import configs.matrix_sensing as own_config
from experiments.matrix_sensing import claims, figures
from framework import config as config_lib
from framework import system as system_lib
from framework.launch.experiment import Experiment, Variant
from framework.run.job import Arm
from framework.systems import matrix_sensing as dynamics
from framework.systems.matrix_sensing import ensembles, operators

__all__ = ['EXPERIMENT', 'arm', 'structure_of']


def structure_of(config: Any) -> tuple[dynamics.Structure, Any, str]:
  """The structure of a config's system, its own truth, and what was chosen.

  Args:
    config: A valid config of one structural setting.

  Returns:
    (Structure, Truth of `config.target` or None, how A*A is applied and why).

  Raises:
    ConfigError: If the target cannot be used.
  """
  symmetric = config.parametrisation == 'symmetric'
  if config.ensemble == 'matched':
    symmetric_ensemble = symmetric
  else:
    symmetric_ensemble = config.ensemble == 'symmetric'
  symmetric_truth = symmetric or config.truth == 'symmetric'
  truth = own_truth(config, symmetric_truth)
  n1 = n2 = config.n
  if truth is not None:
    n1, n2 = len(truth.U), len(truth.V)
    tied = max(config.sweep.get('tied', (config.tied,)))
    if tied and n1 != n2:
      problem = config_lib.Problem('tied', tied, f'0 for a {n1} x {n2} target')
      raise config_lib.ConfigError([problem])
  kind, why = config.operator, 'as asked for'
  if config.setting == 'population':
    kind, why = 'gram', ''  # not looked at
  elif kind == 'auto':
    kind, why = operators.choose(
      config.m,
      n1,
      n2,
      symmetric_ensemble,
      lanes=lanes_on_one_operator(config),
      dtype_bytes=np.dtype(config.precision).itemsize,
      steps=config.steps,
    )
  try:
    structure = dynamics.Structure(
      n1=n1,
      n2=n2,
      r=config.r,
      k_max=config.k_max,
      m=config.m if config.setting == 'sensing' else None,
      symmetric=symmetric,
      symmetric_truth=symmetric_truth,
      symmetric_ensemble=symmetric_ensemble,
      operator=kind,
      optimizer=config.optimizer,
      spectrum=config.spectrum,
      noisy=max(config.sweep.get('outliers', (config.outliers,))) > 0,
      dtype=jnp.dtype(config.precision),
    )
  except ValueError as error:
    problem = config_lib.Problem('config', str(error), '')
    raise config_lib.ConfigError([problem]) from None
  if structure.m is None:
    return (
      structure,
      truth,
      'identity: A*A of the population, nothing is stored',
    )
  return structure, truth, f'{kind}: {why}'


def lanes_on_one_operator(config: Any) -> int:
  """How many lanes share the operator of a seed."""
  lanes = 1
  for name, values in config.sweep.items():
    lanes *= len(values) if name in dynamics.Hp._fields else 1
  return lanes


def own_truth(config: Any, symmetric: bool) -> ensembles.Truth | None:
  """The truth in `config.target`: rank r, scaled to σ_1 = 1."""
  if config.target is None:
    return None
  try:
    M = ensembles.read_target(config.target)
    truth = ensembles.from_matrix(M, config.r, symmetric)
  except ValueError as error:
    problem = config_lib.Problem('config.target', str(error), '')
    raise config_lib.ConfigError([problem]) from None
  return truth._replace(s=truth.s / truth.s[0])


def arm(config: Any) -> Arm:
  """The system of one structural setting, its hp and its own truth."""
  structure, truth, choice = structure_of(config)
  dtype = np.dtype(config.precision)
  hp = dynamics.Hp(
    **{
      name: (np.int32 if name == 'k' else dtype.type)(getattr(config, name))
      for name in dynamics.Hp._fields
    }
  )
  if truth is not None:  # β² is in units of its σ_r
    hp = hp._replace(kappa=dtype.type(truth.s[0] / truth.s[-1]))
  return Arm(
    dynamics.system(structure),
    hp,
    truth,
    dynamics.final(structure),
    {'operator': choice},
  )


def times(config: Any) -> np.ndarray:
  """Record times of a config."""
  if config.spacing == 'log':
    return system_lib.logspaced(config.steps, config.records)
  every = max(1, config.steps // config.records)
  return system_lib.linspaced(config.steps, every)


ATTRIBUTES = {
  'squared_error': {'long_name': '‖FGᵀ − M‖_F²', 'units': '1'},
  'loss': {'long_name': '¼ or ½ ‖A(FGᵀ) − y‖²', 'units': '1'},
  'signal': {'long_name': '‖Uᵀ(FGᵀ − M)V‖_F', 'units': '1'},
  'cross': {'long_name': 'rms of the two cross blocks', 'units': '1'},
  'residual': {'long_name': '‖U_⊥ᵀ FGᵀ V_⊥‖_F', 'units': '1'},
  'singular_values': {'long_name': 'of FGᵀ', 'units': '1'},
  'effective_rank': {'long_name': 'exp of the entropy', 'units': '1'},
  'imbalance_min': {'long_name': 'λ_min(FᵀF − GᵀG)', 'units': '1'},
  'imbalance_max': {'long_name': 'λ_max(FᵀF − GᵀG)', 'units': '1'},
  'balanced_at': {'long_name': 'step of the re-gauging', 'units': 'step'},
  'diverged_at': {'long_name': 'first non-finite record', 'units': 'step'},
  'sigma_r': {'long_name': 'σ_r of the truth', 'units': '1'},
  'ntk_min': {'long_name': 'λ⁺_min(JᵀJ) at the last step', 'units': '1'},
  'ntk_max': {'long_name': 'λ_max(JᵀJ) at the last step', 'units': '1'},
  'noise_eigenvalue': {'long_name': 'λ_min(NᵀFᵀFN)', 'units': '1'},
  'time': {'long_name': 'steps of gradient descent', 'units': 'step'},
}

EXPERIMENT = Experiment(
  name='matrix_sensing',
  title='Matrix sensing: the curses of symmetry and initialization '
  '(Xiong, Ding, Du 2023)',
  configs={
    name: (what, own_config.get_config(name))
    for name, (what, _) in own_config.VARIANTS.items()
  },
  variants=Variant(
    arm,
    times,
    claims.claims,
    lambda config, ds: figures.figures(config, ds, []),
  ),
)
