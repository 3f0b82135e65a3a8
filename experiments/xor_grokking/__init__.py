"""XOR clusters: a ReLU network that fits at once and generalises later.

Xu, Wang, Frei, Vardi, Hu, "Benign Overfitting and Grokking in ReLU Networks for
XOR Cluster Data", 2023.
"""

from configs.xor_grokking import VARIANTS
from experiments.xor_grokking import (
  controls,
  lost_cluster,
  onset,
  phase,
  slow,
  theorem,
)
from framework.launch import Experiment

__all__ = ['EXPERIMENT']

EXPERIMENT = Experiment(
  name='xor_grokking',
  title='XOR clusters: benign overfitting and grokking '
  '(Xu, Wang, Frei, Vardi, Hu 2023)',
  configs=VARIANTS,
  variants={
    'quick': onset.VARIANT,
    'paper': onset.VARIANT,
    'slow': slow.VARIANT,
    'theory': theorem.VARIANT,
    'phase': phase.VARIANT,
    'lost_cluster': lost_cluster.VARIANT,
    'controls': controls.VARIANT,
  },
)
