"""From a config to what is fixed in its compiled program."""

from typing import Any

import jax.numpy as jnp

from framework import config as config_lib
from framework.data import text
from framework.mup import lattice
from framework.systems.width import dichotomy as abc_dynamics
from framework.systems.width import transfer

__all__ = ['structure_of']


def structure_of(config: Any) -> transfer.Structure | abc_dynamics.Structure:
  """The structure of a config's system.

  Args:
    config: A valid config of one structural setting.

  Returns:
    What is fixed in the compiled program.

  Raises:
    ConfigError: If it cannot be built, in one line.
  """
  c = config
  dtype = jnp.dtype(c.precision)
  try:
    if c.task == 'regression':
      cases = tuple(lattice.cases(c.optimizer).values())
      if (last := max(c.sweep.get('case', (c.case,)))) >= len(cases):
        raise ValueError(f'case is {last}, expected below {len(cases)}')
      return abc_dynamics.Structure(
        width=c.width,
        cases=cases,
        optimizer=c.optimizer,
        activation=c.activation,
        dtype=dtype,
      )
    return transfer.Structure(
      width=c.width,
      base_width=c.base_width,
      model='transformer' if c.task == 'text' else 'perceptron',
      optimizer=c.optimizer,
      depth=c.depth,
      inputs=784 if c.task == 'mnist' else 64,
      outputs=len(text.ALPHABET) if c.task == 'text' else 10,
      activation=c.activation,
      heads=c.heads,
      context=c.context,
      rows=c.rows,
      batch=c.batch,
      fixed_batch=c.fixed_batch,
      evaluated=c.evaluated,
      zero_readout=c.zero_readout,
      coordinates=c.dense > 0,
      dtype=dtype,
    )
  except ValueError as error:
    problem = config_lib.Problem('config', str(error), '')
    raise config_lib.ConfigError([problem]) from None
