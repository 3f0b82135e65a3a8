"""Grokking at the edge of numerical stability: modular arithmetic and others.

Prieto, Barsbey, Mediano, Birdal, "Grokking at the Edge of Numerical Stability",
ICLR 2025.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

import configs.modular_grokking as own_config
from experiments.modular_grokking import claims, figures
from framework import config as config_lib
from framework import system as system_lib
from framework.data import mnist, store
from framework.launch.experiment import Experiment, Variant
from framework.run.runner import Arm
from framework.systems import grokking as dynamics
from framework.systems.grokking import tasks

__all__ = ['EXPERIMENT', 'arm', 'structure_of']

_POOL = 10_000  # images that the training images of a seed are drawn from
_NAMES = {name: f'{name}_mod' for name in tasks.OPERATIONS}


def structure_of(config: Any) -> dynamics.Structure:
  """The structure of a config's system.

  Args:
    config: A valid config of one structural setting.

  Returns:
    What is fixed in the compiled program.

  Raises:
    ConfigError: If it cannot be built, in one line.
  """
  c = config.resolved()
  table = c.task == 'mnist'
  try:
    return dynamics.Structure(
      task='table' if table else c.task,
      modulus=c.modulus,
      operation=c.operation,
      encoding=c.encoding,
      lowest=c.lowest,
      parity_k=c.parity_k,
      parity_bits=c.parity_bits,
      rows=c.rows,
      classes=10,
      train=c.mnist_train if table else None,
      train_from=_POOL if table else 0,
      train_fraction=c.train_fraction,
      model=c.model,
      widths=(c.width,) * c.layers,
      bias=c.bias,
      dropout=c.dropout,
      loss=c.loss,
      compute_dtype=c.compute_dtype,
      gradient=c.gradient,
      optimizer=c.optimizer,
      rescale=c.rescale,
      window=c.window,
      matched=c.matched,
      moments=c.moments,
      intervention=c.intervention,
      dtype=jnp.float32,
    )
  except ValueError as error:
    problem = config_lib.Problem('config', str(error), '')
    raise config_lib.ConfigError([problem]) from None


def data_of(config: Any, structure: dynamics.Structure) -> Any:
  """What lies on disk: images, or a stored split; None where all is drawn.

  Args:
    config: A valid config.
    structure: Its structure.

  Returns:
    A `Data`, shared by all lanes, or None.

  Raises:
    ConfigError: If a file is not there or does not fit, in one line.
  """
  try:
    if config.task == 'mnist':
      images = mnist.load(train=_POOL, test=config.mnist_test)
      x = np.concatenate([images.x_train, images.x_test])
      y = np.concatenate([images.y_train, images.y_test])
      return dynamics.Data(tasks.Table(x, y))
    if config.split:
      return _stored(config, structure)
  except (ValueError, store.DataError) as error:
    problem = config_lib.Problem('config', str(error), '')
    raise config_lib.ConfigError([problem]) from None
  return None


def _stored(config: Any, structure: dynamics.Structure) -> dynamics.Data:
  name = _NAMES[config.operation]
  if config.task == 'parity':
    name = 'sparse_parity'
  elif config.lowest == 1:
    name += '_transformer'
  rows = structure.table_rows
  split = tasks.stored_split(config.split, name, rows)
  if config.task != 'parity':
    return dynamics.Data(None, split)
  with np.load(config.split) as stored:
    x = stored[f'{name}_data'].astype(np.float32)
    return dynamics.Data(tasks.Table(x, stored[f'{name}_targets']), split)


def arm(config: Any) -> Arm:
  """The system of one structural setting, its hp and its data."""
  structure = structure_of(config)
  c = config.resolved()
  hp = dynamics.Hp(
    **{
      name: (np.int32 if name == 'intervene_at' else np.float32)(
        getattr(c, name)
      )
      for name in dynamics.Hp._fields
    }
  )
  notes = {'tensors': ' '.join(dynamics.names(structure))}
  data = data_of(config, structure)
  return Arm(dynamics.system(structure), hp, data, None, notes)


def times(config: Any) -> np.ndarray:
  """Record times of a config."""
  every = max(1, config.steps // config.records)
  return system_lib.linspaced(config.steps, every)


EXPERIMENT = Experiment(
  name='modular_grokking',
  title='Grokking at the edge of numerical stability '
  '(Prieto, Barsbey, Mediano, Birdal 2025)',
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
