"""The π-limit: deep nonlinear infinite-width networks that learn features.

Yang, Santacroce, Hu, "Efficient Computation of Deep Nonlinear Infinite-Width
Neural Networks that Learn Features", 2022.
"""

from configs.pi_limit import VARIANTS
from experiments.pi_limit import (
  convergence,
  cost,
  features,
  few_shot,
  images,
)
from framework.launch import Experiment

__all__ = ['EXPERIMENT']

EXPERIMENT = Experiment(
  name='pi_limit',
  title='Deep infinite-width networks that learn features (Yang et al. 2022)',
  configs=VARIANTS,
  variants={
    'quick': features.VARIANT,
    'xor': features.VARIANT,
    'far': features.VARIANT,
    'modular': features.VARIANT,
    'convergence': convergence.VARIANT,
    'depth': cost.VARIANT,
    'rank': cost.VARIANT,
    'cifar10': images.CIFAR10,
    'cifar10_full': images.CIFAR10,
    'transfer': images.TRANSFER,
    'maml': few_shot.VARIANT,
    'omniglot_maml': few_shot.VARIANT,
    'omniglot_full': few_shot.VARIANT,
  },
)
