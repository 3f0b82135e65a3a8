"""Inductive bias: how unlikely it is that what fits also generalises.

system          the System: examples arrive, the bias falls
Structure, Hp   of it
bias            −ln P(test loss <= ε | fits), of Gaussian hypotheses
bias_of_losses  the same from losses of trained networks, extrapolated
posterior, loss_distribution, rbf    from kernels to that distribution
lugannani_rice, exact, saddle        tails of quadratic forms, in logarithms
"""

from framework.systems.spectrum.inductive_bias.hypotheses import (
  Losses,
  bias,
  bias_of_losses,
  loss_distribution,
  posterior,
  rbf,
)
from framework.systems.spectrum.inductive_bias.quadratic import (
  exact,
  lugannani_rice,
  saddle,
)
from framework.systems.spectrum.inductive_bias.system import (
  ATTRIBUTES,
  Hp,
  Structure,
  system,
)

__all__ = [
  'ATTRIBUTES',
  'Hp',
  'Losses',
  'Structure',
  'bias',
  'bias_of_losses',
  'exact',
  'loss_distribution',
  'lugannani_rice',
  'posterior',
  'rbf',
  'saddle',
  'system',
]
