"""Infinite width: feature-learning limits, their kernels, and finite networks.

Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021.
"""

from configs.infinite_width import VARIANTS
from experiments.infinite_width import convergence, word2vec
from experiments.infinite_width.few_shot import (
  features,
  kernel_rates,
  omniglot,
  order,
)
from framework.launch import Experiment

__all__ = ['EXPERIMENT']

EXPERIMENT = Experiment(
  name='infinite_width',
  title='Feature learning in infinite-width networks (Yang, Hu 2021)',
  configs=VARIANTS,
  variants={
    'quick': features.VARIANT,
    'feature_learning': features.VARIANT,
    'omniglot_quick': omniglot.QUICK,
    'omniglot_maml': omniglot.VARIANT,
    'omniglot_kernels': kernel_rates.VARIANT,
    'omniglot_order': order.VARIANT,
    'word2vec': word2vec.VARIANT,
    'word2vec_text': word2vec.TEXT,
    'word2vec_paper': word2vec.TEXT,
    'convergence': convergence.VARIANT,
  },
)
