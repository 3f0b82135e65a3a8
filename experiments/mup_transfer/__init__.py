"""Finite-width muP: coordinates, transfer of learning rates, the dichotomy.

Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021; Yang, Hu,
Babuschkin, Sidor, et al., "Tensor Programs V", 2022.
"""

from typing import Any

import numpy as np

import configs.mup_transfer as own_config
from experiments.mup_transfer import claims, figures
from experiments.mup_transfer.structures import structure_of
from framework import config as config_lib
from framework import system as system_lib
from framework.data import mnist, store, text
from framework.launch.experiment import Experiment, Variant
from framework.run.job import Arm
from framework.systems.width import dichotomy as abc_dynamics
from framework.systems.width import transfer

__all__ = ['EXPERIMENT', 'arm', 'times']


def data_of(config: Any) -> tuple[np.ndarray, np.ndarray] | None:
  """Images and digits, or a text; None where all is drawn.

  Args:
    config: A valid config.

  Returns:
    (x, y), shared by all lanes.

  Raises:
    ConfigError: If a file is not there or does not suffice, in one line.
  """
  try:
    if config.task == 'mnist':
      images = mnist.load(train=config.rows, test=1)
      # Pixels of mean 0 and deviation 1, over all of them.
      x = (images.x_train - 0.1307) / 0.3081
      return x.astype(config.precision), images.y_train
    if config.task == 'text':
      codes = text.characters(config.corpus, train=config.characters, test=1)
      return codes.train, np.zeros(0, np.int32)
  except store.DataError as error:
    problem = config_lib.Problem('config', str(error), '')
    raise config_lib.ConfigError([problem]) from None
  return None


def arm(config: Any) -> Arm:
  """The system of one structural setting, its hp and its data."""
  config = config.resolved()
  structure = structure_of(config)
  dtype = np.dtype(config.precision).type
  if isinstance(structure, abc_dynamics.Structure):
    numbers: Any = np.int32(config.case), dtype(config.lr)
    hp = abc_dynamics.Hp(*numbers)
    return Arm(abc_dynamics.system(structure), hp)
  fields: Any = {
    name: (np.int32 if name == 'rule' else dtype)(getattr(config, name))
    for name in transfer.Hp._fields
  }
  hp = transfer.Hp(**fields)
  notes: dict[str, str] = {'rules': ', '.join(transfer.RULES)}
  if structure.coordinates:
    notes['modules'] = ' '.join(
      name or 'output' for name in transfer.modules(structure)
    )
  return Arm(transfer.system(structure), hp, data_of(config), None, notes)


def times(config: Any) -> np.ndarray:
  """Record times: every step up to `dense`, then evenly."""
  first = np.arange(min(config.dense, config.steps) + 1)
  every = max(1, config.steps // config.records)
  later = system_lib.linspaced(config.steps, every)
  return np.unique(np.concatenate([first, later])).astype(np.int32)


ATTRIBUTES = {
  'loss': {'long_name': 'cross-entropy on training rows', 'units': 'nat'},
  'size': {'long_name': "mean |x| of every module's output", 'units': '1'},
  'change': {'long_name': 'the same of what changed since t = 0', 'units': '1'},
  'moves': {'long_name': 'rms of h(t) − h(0), layer by layer', 'units': '1'},
  'output': {'long_name': 'rms of f', 'units': '1'},
  'kernel': {
    'long_name': 'n^−c ‖∂f/∂w‖² of every layer at one point (Adam: |·|₁)',
    'units': '1',
  },
  'diverged_at': {'long_name': 'first non-finite record', 'units': 'step'},
  'time': {'long_name': 'steps', 'units': 'step'},
}

EXPERIMENT = Experiment(
  name='mup_transfer',
  title='muP at finite width: features, coordinates, transfer '
  '(Yang, Hu 2021; Yang, Hu, Babuschkin, Sidor et al. 2022)',
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
