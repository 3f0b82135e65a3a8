"""Robust recovery: one variant a figure.

python -m experiments.robust_recovery --config=:VARIANT
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

from framework.config import Problem, Run, Variants, field, variants


def _at_most_n(config: Any) -> Iterable[Problem]:
  """Ranks and columns beyond the size of the matrix."""
  for name in ('k', 'r'):
    value = max(config.axis(name))
    if value > config.n:
      yield Problem(name, value, f'an integer <= n = {config.n}')


@dataclasses.dataclass(frozen=True)
class Config(Run):
  """The sub-gradient method on a random truth. Fields of `Hp` can be lanes."""

  # What is fixed in the compiled program.
  objective: str = field(
    'absolute',
    'of the residuals',
    choices=('absolute', 'huber', 'least_squares'),
  )
  schedule: str = field(
    'tracker',
    'step sizes of the sub-gradient method; least_squares has constant ones',
    choices=(
      'geometric',
      'normalised',
      'loss',
      'median',
      'quantile',
      'tracker',
      'polyak',
    ),
  )
  noise: str = field(
    'outliers',
    'of the measurements',
    choices=('none', 'outliers', 'dense', 'heavy_tailed', 'sign_aligned'),
  )
  start: str = field(
    'spectral', 'factors at t = 0', choices=('spectral', 'gaussian')
  )
  ensemble: str = field(
    'gaussian',
    'measurement matrices',
    choices=('gaussian', 'rademacher', 'rank_one', 'pairs', 'quadratic'),
  )
  n: int = field(20, 'rows and columns of the truth', low=1)
  m: int = field(1500, 'measurements', low=1)
  r: int = field(3, 'rank of the truth', low=1)
  delta: float = field(0.01, 'where the Huber loss bends', low=0, low_open=True)
  # Hyperparameters: traced, so that every value can be a lane.
  k: int = field(5, 'columns of the factor', low=1)
  eta: float = field(
    0.25, 'step size, as schedules define it', low=0, low_open=True
  )
  decay: float = field(
    0.995, 'factor a step, of a clock', low=0, high=1, low_open=True
  )
  level: float = field(
    0.25,
    'quantile of the residuals that sets the step',
    low=0,
    high=1,
    low_open=True,
    high_open=True,
  )
  cap: float = field(1.0, 'largest Polyak step', low=0, low_open=True)
  alpha: float = field(1e-6, 'scale of the start', low=0, low_open=True)
  kappa: float = field(2.0, 'condition number of the truth', low=1)
  outliers: float = field(
    0.3, 'share of the measurements that is spoilt', low=0, high=1
  )
  size: float = field(
    10.0, 'deviation of outliers or dense noise', low=0, unit='A_i of unit sd'
  )
  # What is recorded.
  steps: int = field(800, 'steps T', low=1)
  records: int = field(50, 'records', low=1)
  seeds: int = field(5, 'seeds (draws of truth, measurements, noise)', low=1)
  precision: str = field(
    'float64',
    'exact recovery goes below 1e-7',
    choices=('float32', 'float64'),
  )
  fixed: ClassVar[tuple[str, ...]] = ('steps', 'records', 'n', 'r', 'delta')

  def check(self) -> Iterable[Problem]:
    """Rules that join fields."""
    yield from super().check()
    yield from _at_most_n(self)


@dataclasses.dataclass(frozen=True)
class SignRip(Run):
  """The sub-gradient at random matrices: nothing is descended on."""

  n: int = field(20, 'rows and columns', low=2)
  m: int = field(6000, 'measurements', low=1)
  r: int = field(3, 'rank of the matrices', low=1)
  rank: int = field(6, 'q: rank that δ is over', low=1)
  outliers: float = field(
    0.0, 'share of the measurements that is spoilt', low=0, high=1
  )
  size: float = field(10.0, 'deviation of outliers', low=0)
  norm: float = field(1.35, '‖X‖_F', low=0, low_open=True)
  draws: int = field(8, 'matrices X a seed', low=1)
  seeds: int = field(5, 'seeds (draws of measurements)', low=1)
  precision: str = field('float64', '', choices=('float32', 'float64'))
  fixed: ClassVar[tuple[str, ...]] = ('draws', 'n', 'r', 'rank')

  def check(self) -> Iterable[Problem]:
    """Rules that join fields."""
    yield from super().check()
    for name in ('r', 'rank'):
      if getattr(self, name) > self.n:
        yield Problem(name, getattr(self, name), f'at most n = {self.n}')


@dataclasses.dataclass(frozen=True)
class Picture(Run):
  """A picture with holes and errors, or measurements of one's own."""

  method: str = field(
    'subgradient',
    'how the matrix is found; nuclear and convex solve for all of it',
    choices=('subgradient', 'least_squares', 'nuclear', 'convex'),
  )
  schedule: str = field(
    'tracker',
    'steps of the sub-gradient method: tracker, preconditioned, for pictures, '
    'whose singular values differ much; normalised for matrices of exact rank',
    choices=('tracker', 'normalised'),
  )
  target: str | None = field(
    None, 'npy, csv or image file; a photograph when there is none', file=True
  )
  measurements: str | None = field(
    None,
    'npz file with y and A (m, n1, n2), or with y, rows and columns',
    file=True,
  )
  out: str | None = field(
    None, 'npz file to write: F, G, residuals, their quantiles, outliers'
  )
  pixels: int = field(128, 'the picture is averaged down to such a side', low=8)
  observed: float = field(
    1.0, 'share of the pixels that is known', low=0, high=1, low_open=True
  )
  outliers: float = field(
    0.0, 'share of these that is black or white instead', low=0, high=1
  )
  k: int = field(10, 'columns of the factors', low=1)
  eta: float = field(0.3, 'step size', low=0, low_open=True)
  level: float = field(
    0.4,
    'quantile of the residuals that sets the step',
    low=0,
    high=1,
    low_open=True,
    high_open=True,
  )
  decay: float = field(
    0.99, 'factor a step, of normalised', low=0, high=1, low_open=True
  )
  damping: float = field(
    1e-3, 'λ of the preconditioner, in units of the size', low=0, low_open=True
  )
  alpha: float = field(0.3, 'scale of the start', low=0, low_open=True)
  weight: float = field(
    1.0, 'of the ℓ1 term of the convex program', low=0, low_open=True
  )
  steps: int = field(400, 'steps T', low=1)
  records: int = field(40, 'records', low=1)
  fixed: ClassVar[tuple[str, ...]] = (
    'steps',
    'records',
    'target',
    'measurements',
    'out',
    'pixels',
    'observed',
    'outliers',
    'k',
    'weight',
  )

  def check(self) -> Iterable[Problem]:
    """Rules that join fields."""
    yield from super().check()
    if self.measurements is not None and self.target is not None:
      yield Problem('target', self.target, 'none beside measurements')
    if self.measurements is not None:
      for name in ('observed', 'outliers'):
        default = type(self).__dataclass_fields__[name].default
        if getattr(self, name) != default:
          yield Problem(
            name, getattr(self, name), f'{default}: measurements are as given'
          )
    if self.outliers >= 0.5:
      yield Problem(
        'outliers',
        self.outliers,
        'below 1/2: beyond, errors that agree are the picture',
      )


@dataclasses.dataclass(frozen=True)
class Deep(Run):
  """A product of L factors, from a multiple of the identity."""

  n: int = field(10, 'rows and columns of the factors', low=1)
  r: int = field(2, 'rank of the truth', low=1)
  depth: int = field(3, 'factors L', low=2)
  m: int | None = field(None, 'measurements; none: A*A = identity', low=1)
  eta: float = field(0.05, 'step size', low=0, low_open=True)
  alpha: float = field(
    0.5, 'scale of the factors at the start', low=0, low_open=True
  )
  kappa: float = field(2.0, 'condition number of the truth', low=1)
  steps: int = field(20_000, 'steps T', low=10)
  records: int = field(20, 'records per decade', low=1)
  precision: str = field('float64', '', choices=('float32', 'float64'))
  fixed: ClassVar[tuple[str, ...]] = ('steps', 'records', 'n', 'r', 'm')


@dataclasses.dataclass(frozen=True)
class Incremental(Run):
  """XXᵀ from a tiny start, on a truth of high condition number."""

  setting: str = field(
    'population',
    'A*A = identity, or m Gaussian measurements',
    choices=('population', 'sensing'),
  )
  n: int = field(20, 'rows and columns of the truth', low=1)
  m: int = field(2000, 'measurements', low=1)
  r: int = field(4, 'rank of the truth, geometric spectrum', low=2)
  k: int = field(20, 'columns of the factor', low=1)
  eta: float = field(0.2, 'step size', low=0, low_open=True)
  alpha: float = field(1e-5, 'scale of the start', low=0, low_open=True)
  kappa: float = field(8.0, 'condition number of the truth', low=1)
  steps: int = field(800, 'steps T', low=1)
  records: int = field(200, 'records', low=1)
  seeds: int = field(5, 'seeds', low=1)
  precision: str = field('float64', '', choices=('float32', 'float64'))
  fixed: ClassVar[tuple[str, ...]] = ('steps', 'records', 'n', 'm', 'r')

  def check(self) -> Iterable[Problem]:
    """Rules that join fields."""
    yield from super().check()
    yield from _at_most_n(self)


@dataclasses.dataclass(frozen=True)
class Streaming(Run):
  """SGD on FGᵀ with fresh measurements at every step."""

  n: int = field(10, 'rows and columns of the truth', low=1)
  r: int = field(2, 'rank of the truth', low=1)
  k: int = field(4, 'columns of the factors', low=1)
  batch: int = field(20, 'measurements a step', low=1)
  eta: float = field(0.05, 'step size', low=0, low_open=True)
  noise: float = field(0.5, 'deviation of the noise', low=0)
  alpha: float = field(1.0, 'scale of F_0', low=0, low_open=True)
  ratio: float = field(0.1, 'scale of G_0 over that of F_0', low=0)
  kappa: float = field(2.0, 'condition number of the truth', low=1)
  steps: int = field(3000, 'steps T', low=10)
  records: int = field(100, 'records', low=4)
  seeds: int = field(8, 'seeds', low=1)
  precision: str = field('float64', '', choices=('float32', 'float64'))
  fixed: ClassVar[tuple[str, ...]] = ('steps', 'records', 'n', 'r')

  def check(self) -> Iterable[Problem]:
    """Rules that join fields."""
    yield from super().check()
    yield from _at_most_n(self)


VARIANTS: Variants = {
  'robust': (
    'exact recovery under outliers, whatever k; least squares fails',
    Config(
      sweep={
        'objective': ('absolute', 'least_squares'),
        'outliers': (0.1, 0.3, 0.5, 0.6),
        'k': (3, 5, 10, 20),
      },
    ),
  ),
  'noise': (
    'dense Gaussian noise: the early-stopped error does not depend on k',
    Config(
      noise='dense',
      size=1.0,
      steps=700,
      records=100,
      sweep={'size': (0.5, 1.0, 2.0), 'k': (3, 5, 10, 20)},
    ),
  ),
  'schedules': (
    'step sizes compared: which arrive, and what stops the others',
    Config(
      steps=1600,
      seeds=2,
      alpha=1e-4,
      sweep={
        'schedule': (
          'geometric',
          'normalised',
          'loss',
          'median',
          'quantile',
          'tracker',
          'polyak',
        ),
        'decay': (0.98, 0.997),
        'outliers': (0.1, 0.3),
      },
    ),
  ),
  'sign_rip': (
    'the sub-gradient points along the error: φ and δ against their laws',
    SignRip(sweep={'m': (1500, 6000, 24000), 'outliers': (0.0, 0.1, 0.3, 0.5)}),
  ),
  'alpha_floor': (
    'k > r: the floor falls with the scale of the start',
    Config(
      seeds=3,
      sweep={
        'm': (1500, 6000),
        'alpha': (1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
        'outliers': (0.1, 0.3),
      },
    ),
  ),
  'phase_outliers': (
    'recovery over (m, p) for k = r and k = n: what outliers cost',
    Config(
      r=2,
      k=2,
      seeds=8,
      alpha=1e-5,
      steps=500,
      records=10,
      m=1000,
      sweep={
        'm': (130, 190, 270, 400, 600, 1000),
        'outliers': (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
        'k': (2, 20),
      },
    ),
  ),
  'completion': (
    'a photograph from 40 % of its pixels, beside the nuclear norm',
    Picture(
      observed=0.4,
      k=8,
      sweep={'method': ('least_squares', 'nuclear')},
    ),
  ),
  'own_data': (
    'a photograph with a fifth of its pixels wrong; or your own measurements',
    Picture(
      outliers=0.2,
      sweep={'method': ('subgradient', 'least_squares', 'convex')},
    ),
  ),
  'deep': (
    'a product of L factors: a longer plateau and a slower tail',
    Deep(sweep={'depth': (2, 3, 4), 'alpha': (0.6, 0.45, 0.3, 0.2, 0.12)}),
  ),
  'incremental': (
    'singular values are learned one after the other',
    Incremental(sweep={'setting': ('population', 'sensing')}),
  ),
  'sgd': (
    'SGD on noisy measurements balances the factors',
    Streaming(sweep={'batch': (20, 40), 'noise': (0.0, 0.5)}),
  ),
}

get_config = variants(VARIANTS)
