"""From a config to what is run: a learner, a source of tasks, their rates."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from configs.infinite_width import KERNELS, FewShot, width_of
from framework import system as system_lib
from framework.config import ConfigError, Problem
from framework.data import drawings, omniglot, store
from framework.launch import Arm, hp_of, structure_of
from framework.systems.infinite_width import few_shot

__all__ = ['arm', 'resolved', 'times']

_WIDE = {'meta_lr': 0.1, 'sigma1': 1.0, 'sigma2': 1 / 32, 'bias_alpha': 1.0}
# What a model takes where the config leaves it open. Networks on Omniglot: the
# published recipes. Those of kernels are not published; chosen on validation
# characters in the variant `omniglot_kernels`: at none of its rates does a
# kernel end above what inner steps alone make of it (0.45), and of those that
# keep it this one still does so when trained thirty times as long.
_KERNEL = {'meta_lr': 0.001, 'inner_lr': 0.1}
_RECIPES: dict[str, dict[str, dict[str, float]]] = {
  'omniglot': {
    'limit': _WIDE,
    'w2': {'meta_lr': 0.05, 'sigma1': 0.5, 'sigma2': 0.5, 'bias_alpha': 2.0},
    'w8': {'meta_lr': 0.1, 'sigma1': 0.5, 'sigma2': 0.25, 'bias_alpha': 1.0},
    'w32': {'meta_lr': 0.4, 'sigma1': 1.0, 'sigma2': 0.125, 'bias_alpha': 0.5},
    'w128': {'meta_lr': 0.1, 'sigma1': 1.0, 'sigma2': 0.125, 'bias_alpha': 1.0},
    **dict.fromkeys(KERNELS, _KERNEL),
  },
  'gaussian': {
    name: {'meta_lr': 0.5, 'inner_lr': 2.0, 'sigma2': 0.5}
    for name in ('limit', *KERNELS)
  },
}
_DEFAULTS = {
  'meta_lr': 0.1,
  'inner_lr': 0.4,
  'sigma1': 1.0,
  'sigma2': 1.0,
  'bias_alpha': 1.0,
  'var_w': 1.0,
  'var_b': 0.0,
  'var_v': 1.0,
}


def resolved(config: FewShot, model: str | None = None) -> FewShot:
  """The config with what it leaves open, as suits task and model.

  Args:
    config: The config.
    model: The model; the config's own when None.

  Returns:
    The config, in which nothing is open.
  """
  model = config.model if model is None else model
  own = _RECIPES[config.task]
  recipe = own.get(model)
  if recipe is None:
    recipe = {} if model in KERNELS else own['limit']
  known = _DEFAULTS | recipe
  filled: dict[str, Any] = {
    k: v for k, v in known.items() if getattr(config, k) is None
  }
  return dataclasses.replace(config, **filled)


def arm(config: FewShot) -> Arm:
  """The system of one structural setting, its hp and its data.

  Raises:
    ValueError: If it cannot be built.
    ConfigError: If data are missing, in one line.
  """
  c = resolved(config)
  data, source = None, None
  if c.task == 'omniglot':
    tables = _tables(c)
    classes = len(tables[0]), len(tables[1])
    source = few_shot.table(784, classes, members=20, turns=4)
    data = few_shot.Data(*map(drawings.as_table, tables))
  else:
    source = few_shot.gaussian(c.d, c.rank)
  learner, notes = _learner(c)
  kernel = c.model in KERNELS
  precisions = {c.precision, c.kernel_precision if kernel else c.precision}
  structure = structure_of(
    few_shot.Structure,
    c,
    learner=learner,
    source=source,
    dtype=jnp.dtype(min(precisions)),  # 'float32' before 'float64'
  )
  return Arm(
    few_shot.system(structure),
    hp_of(few_shot.Hp, c),
    data,
    notes=notes,
    attributes=few_shot.ATTRIBUTES,
  )


def _learner(c: FewShot) -> tuple[Any, dict[str, str]]:
  """The learner of a config, and a note on what its state is."""
  if c.model == 'linear':
    return few_shot.linear_kernel(c.inner_steps), {}
  if c.model in KERNELS:
    kind = {'gp': few_shot.kernels.gp, 'ntk': few_shot.kernels.ntk}[c.model]
    need = c.steps * c.tasks * c.ways * c.queries
    capacity = 0 if c.task == 'omniglot' else c.capacity or need
    note = (
      f'rows, with room for {capacity}'
      if capacity
      else 'values at all drawings of the table'
    )
    how = {'capacity': capacity, 'inner_steps': c.inner_steps}
    return few_shot.kernel(kind, **how), {'state': note}
  width = width_of(c.model)
  learner = few_shot.network(width, inner_steps=c.inner_steps, order=c.order)
  return learner, {}


def _tables(config: FewShot) -> tuple[np.ndarray, np.ndarray]:
  """Drawings to train on and to judge by."""
  try:
    found = omniglot.load()
  except store.DataError as error:
    raise ConfigError([Problem('config.task', str(error), '')]) from None
  return found.train, getattr(found, config.judged)


def times(config: FewShot) -> np.ndarray:
  """Record times of a config."""
  every = max(1, config.steps // config.records)
  return system_lib.linspaced(config.steps, every)
