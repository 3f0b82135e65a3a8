"""Transformers as support vector machines.

Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector Machines",
2023.
"""

from typing import Any

import numpy as np

import configs.attention_svm as own_config
from experiments.attention_svm import claims, figures, more
from experiments.attention_svm.arms import ARMS, standard
from framework import system as system_lib
from framework.launch.experiment import Experiment, Variant
from framework.run.job import Arm

__all__ = ['EXPERIMENT', 'arm', 'times']


def arm(config: Any) -> Arm:
  """The system of one structural setting and its hp."""
  if config.variant in more.MODULES:
    return more.MODULES[config.variant].arm(config)
  return ARMS.get(config.variant, standard)(config)


def times(config: Any) -> np.ndarray:
  """Record times: evenly spaced, or evenly in ln t with round ones added."""
  if config.variant in own_config.more.VARIANTS:
    return system_lib.logspaced(config.steps, config.records)
  if config.every:
    return system_lib.linspaced(config.steps, config.every)
  even = system_lib.logspaced(config.steps, config.records)
  named = [a * 10**k for k in range(2, 7) for a in (1, 2, 5)]
  named = [t for t in named if t <= config.steps]
  return np.unique([*even, *named]).astype(np.int32)


EXPERIMENT = Experiment(
  name='attention_svm',
  title='Transformers as support vector machines '
  '(Tarzanagh, Li, Thrampoulidis, Oymak 2023)',
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
