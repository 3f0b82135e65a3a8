"""From a config to what is run: the system, its hyperparameters, its times."""

import dataclasses
import functools

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax

from configs.mup_transfer import Config
from framework import system as system_lib
from framework.config import ConfigError, Problem
from framework.data import mnist, store, text
from framework.launch import Arm, hp_of
from framework.mup import lattice
from framework.systems import width
from framework.systems.width import dichotomy, transfer

__all__ = [
  'MISTAKES',
  'RULES',
  'arm',
  'dichotomy_of',
  'resolved',
  'rule_name',
  'times',
  'transfer_of',
]

ACTIVATIONS = {
  'relu': nn.relu,
  'tanh': nn.tanh,
  'gelu': functools.partial(nn.gelu, approximate=True),
  'linear': lambda x: x,
}
OPTIMIZERS = {'sgd': transfer.sgd, 'adam': transfer.adamw}
# Parametrisations by the number that is `rule` in a config.
RULES = {
  'SP': transfer.sp,
  'muP': transfer.mup,
  'muP, Table 3': functools.partial(transfer.mup, table='3'),
  'muP, Table 9': functools.partial(transfer.mup, table='9'),
  'no readout multiplier': transfer.no_readout_multiplier,
  'rate not scaled': transfer.rate_not_scaled,
  'fans swapped': transfer.fans_swapped,
}
MISTAKES = range(4, 7)
# Open in a config: large, for a coordinate check has to see changes.
_RATES = {'sgd': 0.5, 'adam': 0.01}


def rule_name(rule: int) -> str:
  """The name of a rule in figures and claims.

  >>> rule_name(0), rule_name(4)
  ('SP', 'no readout multiplier')
  """
  return list(RULES)[rule]


def resolved(config: Config) -> Config:
  """The config with the learning rate that it leaves open."""
  if config.lr is not None:
    return config
  return dataclasses.replace(config, lr=_RATES[config.optimizer])


def transfer_of(config: Config) -> transfer.Structure:
  """The structure of a task that is learnt.

  Args:
    config: A valid config of one structural setting.

  Returns:
    What is fixed in the compiled program.

  Raises:
    ValueError: In one line, if it cannot be built.
  """
  c, dtype = config, jnp.dtype(config.precision)
  if c.task == 'text':
    task = transfer.text(c.context)
    model = functools.partial(
      width.Transformer, symbols=len(text.ALPHABET), depth=c.depth,
      heads=c.heads, context=c.context, dtype=dtype,
    )  # fmt: skip
  else:
    inputs = 784 if c.task == 'mnist' else 64
    task = transfer.classes(inputs, 10, c.rows, dtype)
    model = functools.partial(
      width.Perceptron, outputs=10, depth=c.depth,
      activation=ACTIVATIONS[c.activation], dtype=dtype,
    )  # fmt: skip
  return transfer.Structure(
    width=c.width,
    base_width=c.base_width,
    model=model,
    task=transfer.fixed(task) if c.fixed_batch else task,
    optimizer=OPTIMIZERS[c.optimizer],
    normalised=c.optimizer == 'adam',
    parametrisations=tuple(RULES.values()),
    batch=c.batch,
    evaluated=c.evaluated,
    zeros=('readout',) if c.zero_readout else (),
    coordinates=c.dense > 0,
  )


def dichotomy_of(config: Config) -> dichotomy.Structure:
  """The structure of the parametrisations of `task=regression`.

  Raises:
    ValueError: If there is no such case.
  """
  cases = tuple(lattice.cases(config.optimizer).values())
  if (last := max(config.axis('case'))) >= len(cases):
    raise ValueError(f'case is {last}, expected below {len(cases)}')
  adam = config.optimizer == 'adam'
  return dichotomy.Structure(
    width=config.width,
    cases=cases,
    activation=ACTIVATIONS[config.activation],
    dtype=jnp.dtype(config.precision),
    core=dichotomy.adam if adam else optax.identity,
    normalised=adam,
  )


def arm(config: Config) -> Arm:
  """The system of one structural setting, its hp and its data."""
  c = resolved(config)
  if c.task == 'regression':
    return Arm(
      dichotomy.system(dichotomy_of(c)),
      hp_of(dichotomy.Hp, c, case=np.int32),
      attributes=dichotomy.ATTRIBUTES,
    )
  structure = transfer_of(c)
  notes = {'rules': ', '.join(RULES)}
  if structure.coordinates:
    names = transfer.modules(structure)
    notes['modules'] = ' '.join(name or 'output' for name in names)
  return Arm(
    transfer.system(structure),
    hp_of(transfer.Hp, c, rule=np.int32),
    _data(c),
    notes=notes,
    attributes=transfer.ATTRIBUTES,
  )


def _data(config: Config) -> tuple[np.ndarray, np.ndarray] | None:
  """(images, digits) or (text, nothing), shared by all lanes."""
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
    raise ConfigError([Problem('config', str(error), '')]) from None
  return None


def times(config: Config) -> np.ndarray:
  """Record times: every step up to `dense`, then evenly."""
  first = np.arange(min(config.dense, config.steps) + 1)
  every = max(1, config.steps // config.records)
  later = system_lib.linspaced(config.steps, every)
  return np.unique(np.concatenate([first, later])).astype(np.int32)
