"""Finite networks against every infinite-width limit: rms error over widths."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from framework.config import Problem, field

LIMITS = (
  *('linear_sgd', 'linear_fomaml', 'linear_maml2'),
  *('tanh', 'erf', 'gelu'),
  *('linear_L2', 'linear_L3'),
  *('tanh_L2', 'relu_L2'),
)


@dataclasses.dataclass(frozen=True)
class Config:
  """All that decides the result of a run. Fields of `Hp` can be lanes."""

  variant: str = field(
    'convergence',
    'which claims and figures are made of the results',
    choices=('convergence',),
  )
  # What is fixed in the compiled program.
  limit: str = field(
    'linear_sgd',
    'linear_*: one linear layer under SGD, MAML of first and of second order; '
    'tanh, erf, gelu: one layer, quadrature; linear_L*: deep linear; *_L2: two '
    'layers, particles',
    choices=LIMITS,
  )
  width: int = field(64, 'n, neurons a layer', low=1)
  nodes: int = field(120, 'nodes an axis of quadrature', low=1, high=250)
  particles: int = field(20_000, 'particles of a batch', low=1)
  batches: int = field(10, 'batches of particles, for standard errors', low=2)
  # Hyperparameters: traced, so that every value can be a lane.
  lr: float = field(0.3, 'step size, µP: for every width', low=0)
  inner_lr: float = field(0.5, 'inner step size of MAML', low=0)
  sigma1: float = field(1.0, 'of first weights', low=0)
  sigma_w: float = field(1.0, 'of hidden weights', low=0)
  sigma_v: float = field(1.0, 'of the readout; 0: f(0) = 0', low=0)
  # What is recorded.
  steps: int = field(5, 'steps, every one recorded', low=1)
  seeds: int = field(100, 'networks of a width', low=1)
  first_seed: int = field(0, 'the first of them', low=0)
  precision: str = field(
    'float64', 'of all numbers', choices=('float32', 'float64')
  )
  sweep: Mapping[str, tuple] = field({}, 'the grid')

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    for path in (
      *('steps', 'seeds', 'first_seed', 'precision', 'variant', 'sweep'),
      *('nodes', 'particles', 'batches'),
    ):
      if path in self.sweep:
        yield Problem(f'sweep.{path}', path, f'an axis other than {path}')


VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
  'convergence': (
    'rms error over seeds falls as n^-1/2, for every limit',
    {'sweep': {'limit': LIMITS, 'width': (32, 100, 320, 1000)}},
  ),
}
