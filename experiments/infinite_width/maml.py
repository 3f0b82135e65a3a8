"""The family of few-shot learning: limit, widths and kernels on equal tasks."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from configs.infinite_width_maml import KERNELS, VARIANTS, width_of
from experiments.infinite_width import maml_claims, maml_figures
from experiments.infinite_width.family import Family
from framework import system as system_lib
from framework.data import drawings, omniglot
from framework.launch.arms import built, hp_of
from framework.run.job import Arm
from framework.systems.infinite_width import few_shot as dynamics

__all__ = ['FAMILY', 'arm', 'structure_of', 'times']


def structure_of(
  config: Any, classes: tuple[int, int] = (0, 0)
) -> dynamics.Structure:
  """The structure of a config's system.

  Args:
    config: A valid config of one structural setting.
    classes: Characters to train (without turns) and to judge on, if any.

  Returns:
    What is fixed in the compiled program.

  Raises:
    ConfigError: If it cannot be built, in one line.
  """
  width = width_of(config.model)
  omni = config.task == 'omniglot'
  kernel = config.model in KERNELS
  need = config.steps * config.tasks * config.ways * config.queries
  return built(
    lambda: dynamics.Structure(
      model=config.model if width is None else 'finite',
      width=width,
      d=784 if omni else config.d,
      ways=config.ways,
      shots=config.shots,
      queries=config.queries,
      tasks=config.tasks,
      inner_steps=config.inner_steps,
      order=config.order,
      rank=None if omni else config.rank,
      members=20,
      classes=classes,
      turns=4 if omni else 1,
      eval_tasks=config.eval_tasks,
      eval_steps=config.eval_steps,
      capacity=(config.capacity or need) if kernel and not omni else 0,
      dtype=jnp.dtype(config.kernel_precision if kernel else config.precision),
    )
  )


def arm(config: Any) -> Arm:
  """The system of one structural setting, its hp and its data.

  Args:
    config: A valid config of one structural setting.

  Returns:
    An `Arm`.

  Raises:
    ConfigError: If it cannot be built or data is missing, in one line.
  """
  c = config.resolved()
  hp = hp_of(dynamics.Hp, c)
  data, classes = None, (0, 0)
  if c.task == 'omniglot':
    found = built(omniglot.load, 'config.task')
    tables = found.train, getattr(found, c.judged)
    classes = len(tables[0]), len(tables[1])
    data = dynamics.Data(*map(drawings.as_table, tables))
  structure = structure_of(c, classes)
  notes = {}
  if structure.is_kernel and structure.model != 'linear':
    notes['state'] = (
      f'rows, with room for {structure.capacity}'
      if structure.stores_rows
      else 'values at all drawings of the table'
    )
  return Arm(dynamics.system(structure), hp, data, None, notes)


def times(config: Any) -> np.ndarray:
  """Record times of a config."""
  every = max(1, config.steps // config.records)
  return system_lib.linspaced(config.steps, every)


ATTRIBUTES = {
  'accuracy': {'long_name': 'query accuracy, judged', 'units': '1'},
  'loss': {'long_name': 'query cross entropy, judged', 'units': 'nat'},
  'accuracy_one': {
    'long_name': 'query accuracy after one inner step',
    'units': '1',
  },
  'loss_one': {
    'long_name': 'query cross entropy after one inner step',
    'units': 'nat',
  },
  'signal_share': {
    'long_name': '‖W₁B‖²/‖W₁‖², the part of the features in the subspace',
    'units': '1',
  },
  'diverged_at': {'long_name': 'first non-finite record', 'units': 'step'},
  'time': {'long_name': 'outer steps', 'units': 'step'},
}

FAMILY = Family(
  variants=tuple(VARIANTS),
  hp_fields=dynamics.Hp._fields,
  arm=arm,
  times=times,
  claims=maml_claims.CLAIMS,
  figures=maml_figures.FIGURES,
  attributes=ATTRIBUTES,
)
