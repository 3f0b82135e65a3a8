"""XOR clusters: a ReLU network that fits at once and generalises later.

Xu, Wang, Frei, Vardi, Hu, "Benign Overfitting and Grokking in ReLU Networks for
XOR Cluster Data", 2023.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

import configs.xor_grokking as own_config
from experiments.xor_grokking import claims, figures
from experiments.xor_grokking.measure import settings
from framework import config as config_lib
from framework import system as system_lib
from framework.launch.experiment import Experiment, Variant
from framework.run.job import Arm
from framework.systems.clusters import xor as dynamics

__all__ = ['EXPERIMENT', 'arm', 'structure_of', 'times']


def structure_of(config: Any) -> tuple[dynamics.Structure, str]:
  """The structure of a config's system, and which form was chosen and why.

  Args:
    config: A valid config of one structural setting.

  Returns:
    (Structure, form and reason).

  Raises:
    ConfigError: If it cannot be built.
  """
  form, why = config.form, 'as asked for'
  p = settings(config).p
  if form == 'auto':
    form, why = dynamics.choose(config.n, p, config.m)
  try:
    if form != 'bartlett' and p != int(p):
      raise ValueError(f'p is {p}, expected an integer for form={form}')
    structure = dynamics.Structure(
      n=config.n,
      n_test=config.n_test,
      m=config.m,
      form=form,
      p=None if form == 'bartlett' else int(p),
      neurons=config.neurons,
      dtype=jnp.dtype(config.precision),
    )
  except ValueError as error:
    problem = config_lib.Problem('config', str(error), '')
    raise config_lib.ConfigError([problem]) from None
  return structure, f'{form}: {why}'


def arm(config: Any) -> Arm:
  """The system of one structural setting and its hp."""
  structure, choice = structure_of(config)
  dtype = np.dtype(config.precision)
  hp = dynamics.Hp(
    **{
      name: dtype.type(getattr(settings(config), name))
      for name in dynamics.Hp._fields
    }
  )
  return Arm(
    dynamics.system(structure),
    hp,
    None,
    dynamics.final(structure),
    {'form': choice},
  )


def times(config: Any) -> np.ndarray:
  """Record times: every step up to `dense`, then evenly in ln t."""
  first = np.arange(min(config.dense, config.steps) + 1)
  later = system_lib.logspaced(config.steps, config.records)
  named = [t for t in (10, 15, 50, 100, 150) if t <= config.steps]
  later = np.concatenate([later[later > config.dense], named])
  return np.unique(np.concatenate([first, later])).astype(np.int32)


ATTRIBUTES = {
  'loss': {'long_name': 'mean of ln(1 + exp(−y f))', 'units': '1'},
  'train_accuracy': {'long_name': 'on noisy labels', 'units': '1'},
  'test_accuracy': {'long_name': 'on clean labels', 'units': '1'},
  'cluster_accuracy': {
    'long_name': 'clean test accuracy on +μ1, −μ1, +μ2, −μ2',
    'units': '1',
  },
  'linear_agreement': {
    'long_name': 'share of test points with sgn f = sgn⟨Σ y x, x⟩',
    'units': '1',
  },
  'linear_accuracy': {'long_name': 'of sgn⟨Σ y x, x⟩', 'units': '1'},
  'linear_slope': {'long_name': 'of f on (α/8n)⟨Σ y x, x⟩', 'units': '1'},
  'linear_correlation': {'long_name': 'of f and ⟨Σ y x, x⟩', 'units': '1'},
  'projection': {
    'long_name': 'mean |⟨w_j, μ_k⟩| over positive, negative neurons',
    'units': '1',
  },
  'cosine': {'long_name': 'mean |cos(w_j, μ_k)|, likewise', 'units': '1'},
  'pull': {'long_name': 'mean |D_μk,j|, likewise', 'units': 'points'},
  'aligned': {'long_name': 'mean ⟨w_j, μ1⟩ over J1, |·| over J2', 'units': '1'},
  'aligned_fraction': {'long_name': '|J1|/m, |J2|/m', 'units': '1'},
  'weight_ratio': {'long_name': 'max g_i / min g_i', 'units': '1'},
  'gates_flipped': {'long_name': 'gates unlike those at 0', 'units': '1'},
  'weight_norm': {'long_name': '‖W‖_F', 'units': '1'},
  'output': {'long_name': 'max |f(x_i)|', 'units': '1'},
  'neurons': {'long_name': '⟨w_j, μ_k⟩', 'units': '1'},
  'second_layer': {'long_name': 'a_j', 'units': '1'},
  'plane': {'long_name': 'x_i along μ1/‖μ‖ and μ2/‖μ‖', 'units': '1'},
  'labels': {'long_name': 'y_i, flipped ones included', 'units': '1'},
  'counts': {'long_name': 'clean, flipped points of a cluster', 'units': '1'},
  'support': {'long_name': 'neurons pulled to a cluster at 0', 'units': '1'},
  'mu_norm': {'long_name': '‖μ‖', 'units': '1'},
  'diverged_at': {'long_name': 'first non-finite record', 'units': 'step'},
  'time': {'long_name': 'steps of gradient descent', 'units': 'step'},
}

EXPERIMENT = Experiment(
  name='xor_grokking',
  title='XOR clusters: benign overfitting and grokking '
  '(Xu, Wang, Frei, Vardi, Hu 2023)',
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
