"""Laws of matrix sensing, as numbers.

linear_rate, time_to_error   slope of the slowest mode; steps to an error
signal_pair                  a², b² of a singular value with an imbalance
noise_eigenvalue             smallest imbalance of a Gaussian start
balanced_rate, balanced_eigenvalue   after the one modified step
measured_share               what measurements leave of a rate
stability_edge               largest stable step size
sublinear, crossover         (k − r)/(4η²t²), and from when on
scalar_noise, sublinear_corrected   the same with the start kept
damped_noise                 the same for ScaledGD(λ)
Pair, pair_step              the asymmetric scalar toy
sign_rip_phi, sign_rip_delta the sub-gradient along the error, and off it
effective_step, travel       the pace of a quantile step; the way of a clock
deep_noise, deep_escape      a product of L factors: its tail, its plateau
half_time                    of one eigenvalue after the other, from small
balancing_rate               how SGD balances the factors
oracle_error                 what dense noise leaves of a fit of rank k
"""

from framework.systems.matrix_sensing.theory.dynamics import (
  balancing_rate,
  deep_escape,
  deep_noise,
  half_time,
)
from framework.systems.matrix_sensing.theory.linear import (
  Pair,
  balanced_eigenvalue,
  balanced_rate,
  linear_rate,
  measured_share,
  noise_eigenvalue,
  pair_step,
  signal_pair,
  stability_edge,
  time_to_error,
)
from framework.systems.matrix_sensing.theory.robust import (
  effective_step,
  oracle_error,
  sign_rip_delta,
  sign_rip_phi,
  travel,
)
from framework.systems.matrix_sensing.theory.sublinear import (
  crossover,
  damped_noise,
  scalar_noise,
  sublinear,
  sublinear_corrected,
)

__all__ = [
  'Pair',
  'balanced_eigenvalue',
  'balanced_rate',
  'balancing_rate',
  'crossover',
  'damped_noise',
  'deep_escape',
  'deep_noise',
  'effective_step',
  'half_time',
  'linear_rate',
  'measured_share',
  'noise_eigenvalue',
  'oracle_error',
  'pair_step',
  'scalar_noise',
  'sign_rip_delta',
  'sign_rip_phi',
  'signal_pair',
  'stability_edge',
  'sublinear',
  'sublinear_corrected',
  'time_to_error',
  'travel',
]
