"""Finite-width muP: coordinates, transfer of learning rates, the dichotomy.

Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021; Yang, Hu,
Babuschkin, Sidor, et al., "Tensor Programs V", 2022.
"""

from configs.mup_transfer import VARIANTS
from experiments.mup_transfer import coordinates, dichotomy, quick, rates
from framework.launch import Experiment

__all__ = ['EXPERIMENT']

EXPERIMENT = Experiment(
  name='mup_transfer',
  title='muP at finite width: features, coordinates, transfer '
  '(Yang, Hu 2021; Yang, Hu, Babuschkin, Sidor et al. 2022)',
  configs=VARIANTS,
  variants={
    'quick': quick.VARIANT,
    'coord_check': coordinates.VARIANT,
    'transfer': rates.VARIANT,
    'transfer_sgd': rates.VARIANT,
    'transfer_teacher': rates.VARIANT,
    'transfer_teacher_sgd': rates.VARIANT,
    'transfer_text': rates.VARIANT,
    'dichotomy': dichotomy.VARIANT,
    'dichotomy_adam': dichotomy.VARIANT,
  },
)
