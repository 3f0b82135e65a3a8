"""From a config to its run: the arm, its data and its record times."""

import jax
import numpy as np

from configs.modular_grokking import Config
from experiments.modular_grokking import methods
from framework import system as system_lib
from framework.data import mnist
from framework.launch import Arm, hp_of
from framework.systems import grokking
from framework.systems.grokking import probes
from framework.systems.grokking.tables import Table
from framework.systems.grokking.tasks import stored_split

__all__ = ['arm', 'times']


def arm(config: Config) -> Arm:
  """The system of one structural setting, its hp and its data."""
  system = grokking.system(methods.structure(config))
  # Parameters are float32 in every precision, and so is what moves them.
  kinds = dict.fromkeys(grokking.Hp._fields, np.float32)
  kinds |= {'intervene_at': np.int32}
  hp = hp_of(grokking.Hp, methods.resolved(config), **kinds)
  data = _data(config)
  _, state = jax.eval_shape(
    lambda *args: system_lib.start(system, *args), jax.random.key(0), hp, data
  )
  notes = {'tensors': ' '.join(probes.tensor_names(state.params))}
  return Arm(system, hp, data, None, notes, grokking.ATTRIBUTES)


def times(config: Config) -> np.ndarray:
  """Record times of a config."""
  every = max(1, config.steps // config.records)
  return system_lib.linspaced(config.steps, every)


def _data(config: Config) -> grokking.Data | None:
  """What lies on disk: images, or a stored split; None where all is drawn.

  Raises:
    ValueError: If a file is not there or does not fit.
  """
  if config.task == 'mnist':
    images = mnist.load(train=methods.POOL, test=config.mnist_test)
    x = np.concatenate([images.x_train, images.x_test])
    y = np.concatenate([images.y_train, images.y_test])
    return grokking.Data(Table(x, y))
  if config.split is None:
    return None
  if config.task == 'parity':
    split = stored_split(config.split, 'sparse_parity', config.rows)
    with np.load(config.split) as stored:
      x = stored['sparse_parity_data'].astype(np.float32)
      return grokking.Data(Table(x, stored['sparse_parity_targets']), split)
  name = f'{config.operation}_mod' + '_transformer' * (config.lowest == 1)
  rows = (config.modulus - config.lowest) ** 2
  return grokking.Data(None, stored_split(config.split, name, rows))
