"""Optax transformations that compose: with each other and with any rule.

    optax.chain(perp_grad(), optax.adamw(1e-2))

None of them wraps an optimiser; all are written for one run and take traced
numbers, so that every one of their numbers can be a lane.
"""

from framework.optimizers.adam import scale_by_adam, scale_by_smooth_adam
from framework.optimizers.grokfast import grokfast_ema, grokfast_ma
from framework.optimizers.masks import freeze, from_step
from framework.optimizers.matching import match_norm, normalize_by_global_norm
from framework.optimizers.perp_grad import perp_grad, project
from framework.optimizers.steepest import scale_by_steepest, steepest
from framework.optimizers.subgradient import (
  SubgradientState,
  geometric,
  mean_absolute,
  normalised_geometric,
  polyak,
  quantile,
  quantiles,
  residual_scaled,
  tracked_quantile,
)

__all__ = [
  'SubgradientState',
  'freeze',
  'from_step',
  'geometric',
  'grokfast_ema',
  'grokfast_ma',
  'match_norm',
  'mean_absolute',
  'normalised_geometric',
  'normalize_by_global_norm',
  'perp_grad',
  'polyak',
  'project',
  'quantile',
  'quantiles',
  'residual_scaled',
  'scale_by_adam',
  'scale_by_smooth_adam',
  'scale_by_steepest',
  'steepest',
  'tracked_quantile',
]
