"""Inductive bias: how unlikely it is that what fits also generalises.

system          the System: examples arrive, the bias falls
Structure, Hp   of it
bias            −ln P(test loss <= ε | fits), of Gaussian hypotheses
bias_of_losses  the same from losses of trained networks, extrapolated
bias_of_moments    the same from the mean and the variance of such losses
networks        the System: networks are trained, the bias of those that fit
NetworkStructure, NetworkHp, Perceptron    of it
posterior, loss_distribution, rbf    from kernels to that distribution
lugannani_rice, exact, saddle        tails of quadratic forms, in logarithms
"""

from framework.systems.spectrum.inductive_bias.hypotheses import (
  Losses,
  bias,
  bias_of_losses,
  bias_of_moments,
  loss_distribution,
  posterior,
  rbf,
)
from framework.systems.spectrum.inductive_bias.networks import (
  NETWORK_ATTRIBUTES,
  NetworkHp,
  NetworkStructure,
  Perceptron,
  networks,
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
  'NETWORK_ATTRIBUTES',
  'Hp',
  'Losses',
  'NetworkHp',
  'NetworkStructure',
  'Perceptron',
  'Structure',
  'bias',
  'bias_of_losses',
  'bias_of_moments',
  'exact',
  'loss_distribution',
  'lugannani_rice',
  'networks',
  'posterior',
  'rbf',
  'saddle',
  'system',
]
