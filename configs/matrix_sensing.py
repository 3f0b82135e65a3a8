"""Matrix sensing: one variant a figure.

python -m experiments.matrix_sensing --config=:VARIANT
"""

import dataclasses
from collections.abc import Iterable
from typing import ClassVar

from framework.config import Problem, Run, Variants, field, variants


@dataclasses.dataclass(frozen=True)
class Config(Run):
  """All that decides the result of a run. Fields of `Hp` can be lanes."""

  # What is fixed in the compiled program.
  setting: str = field(
    'population',
    'A*A = identity, or m Gaussian measurements',
    choices=('population', 'sensing'),
  )
  parametrisation: str = field(
    'symmetric', 'XXᵀ or FGᵀ', choices=('symmetric', 'asymmetric')
  )
  optimizer: str = field(
    'gd',
    'the optax rule',
    choices=('gd', 'balanced', 'scaled_gd', 'precgd'),
  )
  ensemble: str = field(
    'matched',
    'matched: symmetric A_i for XXᵀ, general for FGᵀ; or one for both',
    choices=('matched', 'symmetric', 'general'),
  )
  truth: str = field(
    'matched',
    'matched: UΣUᵀ for XXᵀ, UΣVᵀ for FGᵀ; or UΣUᵀ for both',
    choices=('matched', 'symmetric'),
  )
  operator: str = field(
    'auto',
    'how A*A is stored and applied',
    choices=('auto', 'dense', 'svec', 'gram', 'blocks'),
  )
  n: int = field(30, 'rows (and columns) of the truth', low=1)
  m: int = field(600, 'measurements', low=1)
  r: int = field(3, 'rank of the truth', low=1)
  spectrum: str = field(
    'linear',
    'singular values from 1 to 1/kappa',
    choices=('linear', 'geometric'),
  )
  target: str | None = field(
    None,
    'npy, csv or image file whose best rank-r approximation, scaled to '
    'sigma_1 = 1, is the truth (n and kappa are then its own)',
    file=True,
  )
  # Hyperparameters: traced, so that every value can be a lane.
  eta: float = field(0.2, 'step size', low=0, low_open=True)
  alpha: float = field(0.3, 'scale of the start', low=0, low_open=True)
  ratio: float = field(1 / 3, 'scale of G_0 over that of F_0', low=0)
  tied: float = field(0.0, '1 starts with G_0 = F_0 (a control)', low=0, high=1)
  k: int = field(5, 'columns of the factors', low=1)
  kappa: float = field(2.0, 'condition number of the truth', low=1)
  beta2: float = field(
    1.0, 'β² of the balancing step', unit='σ_r', low=0, low_open=True
  )
  trigger: float = field(
    1e-3, 'relative loss 2L/‖y‖² at which to balance', low=0, low_open=True
  )
  damping: float = field(1e-3, 'λ of ScaledGD(λ)', low=0)
  loss_damping: float = field(1.0, 'c in λ = c √L of PrecGD', low=0)
  outliers: float = field(
    0.0, 'fraction of measurements with noise of sd 10', low=0, high=1
  )
  # What is recorded.
  steps: int = field(20_000, 'steps T', low=1)
  records: int = field(
    30, 'records: per decade when log spaced, in all when linear', low=1
  )
  spacing: str = field('log', 'of record times', choices=('log', 'linear'))
  seeds: int = field(5, 'seeds (draws of truth, operator and start)', low=1)
  precision: str = field(
    'float64',
    'tails below 1e-7 need float64',
    choices=('float32', 'float64'),
  )
  fixed: ClassVar[tuple[str, ...]] = (
    'steps',
    'records',
    'spacing',
    'target',
    'n',
    'm',
    'r',
  )

  def check(self) -> Iterable[Problem]:
    """Rules that join fields."""
    yield from super().check()
    if self.k > self.n and self.target is None:
      yield Problem('k', self.k, f'an integer <= n = {self.n}')
    if self.r > self.n and self.target is None:
      yield Problem('r', self.r, f'an integer <= n = {self.n}')
    if self.target is not None and 'kappa' in self.sweep:
      yield Problem('sweep.kappa', 'kappa', "no such axis: the target's own")
    if self.optimizer == 'balanced' and self.parametrisation == 'symmetric':
      yield Problem(
        'optimizer', 'balanced', 'asymmetric parametrisation for it'
      )
    if self.ensemble == 'symmetric' and self.parametrisation == 'asymmetric':
      yield Problem(
        'ensemble',
        'symmetric',
        'general or matched: symmetric A_i cannot see the skew part of FGᵀ',
      )


VARIANTS: Variants = {
  'symmetric': (
    'XXᵀ: linear at k = r, squared error ~ 1/T² at k > r',
    Config(
      sweep={'setting': ('population', 'sensing'), 'k': (3, 4, 5, 8)},
    ),
  ),
  'asymmetric': (
    'FGᵀ at k > r: linear at every α, rate ∝ α²',
    Config(
      parametrisation='asymmetric',
      n=50,
      m=1500,
      seeds=4,
      steps=6000,
      spacing='linear',
      records=300,
      sweep={
        'setting': ('population', 'sensing'),
        'tied': (0.0, 1.0),
        'alpha': (0.7, 0.5, 0.35, 0.25, 0.18),
      },
    ),
  ),
  'balanced': (
    'one modified step makes the rate independent of α',
    Config(
      parametrisation='asymmetric',
      steps=2000,
      spacing='linear',
      records=200,
      sweep={
        'setting': ('population', 'sensing'),
        'optimizer': ('gd', 'balanced'),
        'alpha': (0.7, 0.5, 0.35, 0.25, 0.18, 0.05, 0.01),
      },
    ),
  ),
  'sym_vs_asym': (
    'the same truth and operator with XXᵀ and with FGᵀ',
    Config(
      ensemble='general',
      truth='symmetric',
      alpha=0.5,
      seeds=3,
      sweep={
        'setting': ('population', 'sensing'),
        'parametrisation': ('symmetric', 'asymmetric'),
      },
    ),
  ),
  'phase': (
    'steps to error 1e-6 over (k, α), with the law laid over',
    Config(
      parametrisation='asymmetric',
      n=20,
      m=600,
      steps=4000,
      spacing='linear',
      records=400,
      seeds=3,
      sweep={
        'setting': ('population', 'sensing'),
        'k': (3, 4, 5, 8, 12, 20),
        'alpha': (1.4, 1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12),
      },
    ),
  ),
  'preconditioned': (
    'GD, ScaledGD(λ) and PrecGD over the condition number',
    Config(
      steps=4000,
      records=60,
      seeds=3,
      sweep={
        'setting': ('population', 'sensing'),
        'optimizer': ('gd', 'scaled_gd', 'precgd'),
        'kappa': (2.0, 5.0, 20.0),
      },
    ),
  ),
}

get_config = variants(VARIANTS)
