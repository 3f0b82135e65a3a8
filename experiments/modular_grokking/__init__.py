"""Grokking at the edge of numerical stability: modular arithmetic and others.

Prieto, Barsbey, Mediano, Birdal, "Grokking at the Edge of Numerical Stability",
ICLR 2025.
"""

from configs.modular_grokking import VARIANTS
from experiments.modular_grokking import (
  collapse,
  interventions,
  perp_grad,
  stablemax,
  time_to_grok,
  weight_decay,
)
from experiments.modular_grokking.other_problems import (
  mnist,
  sparse_parity,
  transformer,
)
from framework.launch import Experiment

__all__ = ['EXPERIMENT']

EXPERIMENT = Experiment(
  name='modular_grokking',
  title='Grokking at the edge of numerical stability '
  '(Prieto, Barsbey, Mediano, Birdal 2025)',
  configs=VARIANTS,
  variants={
    'quick': perp_grad.QUICK,
    'collapse': collapse.VARIANT,
    'stablemax': stablemax.VARIANT,
    'perp_grad': perp_grad.PERP_GRAD,
    'weight_decay': weight_decay.VARIANT,
    'interventions': interventions.VARIANT,
    'time_to_grok': time_to_grok.VARIANT,
    'matched': time_to_grok.MATCHED,
    'sparse_parity': sparse_parity.VARIANT,
    'mnist': mnist.VARIANT,
    'transformer': transformer.VARIANT,
    'paper': collapse.PAPER_SIZE,
    'paper_perp': perp_grad.PAPER_SIZE,
    'paper_stablemax': stablemax.PAPER_SIZE,
  },
)
