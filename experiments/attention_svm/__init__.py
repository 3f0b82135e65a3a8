"""Transformers as support vector machines.

Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector Machines",
2023.
"""

from typing import Any

import numpy as np

import configs.attention_svm as own_config
from experiments.attention_svm import claims, figures, more
from experiments.attention_svm.arms import ARMS, standard
from experiments.attention_svm.measure import ATTRIBUTES
from framework import system as system_lib
from framework.launch.experiment import Experiment
from framework.run.job import Arm
from framework.systems import attention_svm as dynamics

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
  config_file=own_config.__file__,
  variants=own_config.VARIANTS,
  hp_fields=tuple(dict.fromkeys((*dynamics.Hp._fields, *more.HP_FIELDS))),
  arm=arm,
  times=times,
  claims=claims.claims,
  figures=figures.figures,
  attributes=more.ATTRIBUTES | ATTRIBUTES,
)
