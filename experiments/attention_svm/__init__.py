"""Transformers as support vector machines.

Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector Machines",
2023.
"""

import configs.attention_svm
from experiments.attention_svm import (
  graph,
  precursor,
  pretrained,
  rank,
  reg_path,
)
from experiments.attention_svm.layer import (
  best_tokens,
  convergence,
  horizon,
  kq_decay,
  lambda_head,
  multi_token,
  optimizer_geometry,
  trajectories,
)
from framework.launch import Experiment

__all__ = ['EXPERIMENT']

EXPERIMENT = Experiment(
  name='attention_svm',
  title='Transformers as support vector machines '
  '(Tarzanagh, Li, Thrampoulidis, Oymak 2023)',
  configs=configs.attention_svm.VARIANTS,
  variants={
    'quick': convergence.QUICK,
    'local': convergence.LOCAL,
    'lambda_head': lambda_head.VARIANT,
    'optimizer_geometry': optimizer_geometry.VARIANT,
    'horizon': horizon.VARIANT,
    'global': best_tokens.VARIANT,
    'trajectories': trajectories.VARIANT,
    'multi_token': multi_token.VARIANT,
    'kq_decay': kq_decay.VARIANT,
    'reg_path': reg_path.VARIANT,
    'rank': rank.VARIANT,
    'graph': graph.VARIANT,
    'precursor': precursor.VARIANT,
    'pretrained': pretrained.VARIANT,
  },
)
