"""Infinite width: feature-learning limits, their kernels, and finite networks.

Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021.
"""

from typing import Any

import numpy as np

import configs.infinite_width as own_config
from experiments.infinite_width import claims, figures
from experiments.infinite_width.registry import family_of
from framework.launch.experiment import Experiment, Variant
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
