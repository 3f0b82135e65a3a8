"""Infinite width: feature-learning limits, their kernels, and finite networks.

Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021.
"""

from typing import Any

import numpy as np

import configs.infinite_width as own_config
from experiments.infinite_width import claims, figures
from experiments.infinite_width.registry import FAMILIES, family_of
from framework.launch.experiment import Experiment
from framework.run.job import Arm

__all__ = ['EXPERIMENT', 'arm', 'times']


def arm(config: Any) -> Arm:
  """The system of one structural setting, its hp and its data."""
  return family_of(config).arm(config)


def times(config: Any) -> np.ndarray:
  """Record times of a config."""
  return family_of(config).times(config)


EXPERIMENT = Experiment(
  name='infinite_width',
  title='Feature learning in infinite-width networks (Yang, Hu 2021)',
  config_file=own_config.__file__,
  variants=own_config.VARIANTS,
  hp_fields=tuple(
    dict.fromkeys(name for family in FAMILIES for name in family.hp_fields)
  ),
  arm=arm,
  times=times,
  claims=claims.claims,
  figures=figures.figures,
  attributes={
    name: what
    for family in FAMILIES
    for name, what in family.attributes.items()
  },
)
