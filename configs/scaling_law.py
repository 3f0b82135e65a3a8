"""Laws of scale: one variant a figure.

python -m experiments.scaling_law --config=:VARIANT

Configs by what grows: `Fit`, `Attempts`, `Growing`.
"""

import dataclasses
from collections.abc import Iterable
from typing import ClassVar

from framework.config import Problem, Run, Variants, field, variants

_PRECISIONS = {'choices': ('float32', 'float64')}


@dataclasses.dataclass(frozen=True)
class Fit(Run):
  """Searches for the least squares of several forms, side by side."""

  testbed: str = field(
    'sgd',
    'where losses come from: exact risks of one-pass SGD or of random '
    'features, a planted over-training law, or a table of your own',
    choices=('sgd', 'random_features', 'planted', 'table'),
  )
  runs: str | None = field(
    None, 'CSV file with columns N, D, loss, for the testbed table', file=True
  )
  starts: int = field(48, 'searches for each form', low=1)
  split: float = field(
    3e5, 'compute N·D (6ND where planted) up to which is fitted', low=1
  )
  widest: int = field(1024, 'largest N of a testbed', low=64, high=4096)
  # Hyperparameters: traced, so that every value can be a lane.
  alpha: float = field(1.5, 'eigenvalues λ_i = i^−α', low=1, low_open=True)
  beta: float = field(1.8, 'powers v_i² = i^−β', low=1, low_open=True)
  noise: float = field(0.0, 'deviation of the noise on ln(loss)', low=0)
  steps: int = field(120, 'steps of each search', low=1)
  precision: str = field('float64', 'fits need float64', **_PRECISIONS)
  fixed: ClassVar[tuple[str, ...]] = ('steps', 'runs', 'testbed')

  def check(self) -> Iterable[Problem]:
    """Rules that join fields."""
    yield from super().check()
    if self.testbed != 'table' and self.runs is not None:
      yield Problem('runs', self.runs, 'testbed=table with it')


@dataclasses.dataclass(frozen=True)
class Attempts(Run):
  """Problems that are tried again and again. Fields of `Hp` can be lanes."""

  problems: int = field(1000, 'problems', low=2)
  answers: int = field(5, 'answers to each', low=2)
  # Hyperparameters: traced, so that every value can be a lane.
  a: float = field(0.4, 'chances p ~ Beta(a, b)', low=0, low_open=True)
  b: float = field(1.2, 'chances p ~ Beta(a, b)', low=0, low_open=True)
  spread: float = field(1.0, 'evenness of wrong answers', low=0, low_open=True)
  k: int = field(100, 'pass@k is estimated', low=1)
  steps: int = field(1000, 'tries at each problem', low=10)
  seeds: int = field(8, 'seeds (draws of problems and tries)', low=1)
  precision: str = field(
    'float64', 'of all numbers', choices=('float32', 'float64')
  )


@dataclasses.dataclass(frozen=True)
class Growing(Run):
  """A learning curve that grows, refitted at every point."""

  points: int = field(160, 'points of the curve', low=16)
  # Hyperparameters: traced, so that every value can be a lane.
  limit: float = field(97.0, 'asymptote c')
  exponent: float = field(0.5, 'b of c − a x^−b', low=0, low_open=True)
  height: float = field(
    30.0, 'a: what is missing at the first point', low=0, low_open=True
  )
  noise: float = field(0.03, 'deviation of scores', low=0)
  seeds: int = field(20, 'seeds (draws of noise)', low=1)
  precision: str = field('float64', 'fits need float64', **_PRECISIONS)
  fixed: ClassVar[tuple[str, ...]] = ('points',)


VARIANTS: Variants = {
  'one_pass': (
    'exact losses of one-pass SGD: additive laws fail, the power mean '
    'extrapolates',
    Fit(),
  ),
  'random_features': (
    'exact risks of random features at their best ridge: parallel lines',
    Fit(testbed='random_features', beta=1.5, split=4096.0),
  ),
  'overtraining': (
    'a planted over-training law, found again from noisy losses',
    Fit(testbed='planted', noise=0.003, split=1e19, seeds=12, starts=24),
  ),
  'coverage': (
    'repeated sampling: coverage is a power law, pass@k has two estimates',
    Attempts(sweep={'a': (0.4, 0.8)}),
  ),
  'majority': (
    'repeated sampling: coverage rises, a majority vote does not',
    Attempts(seeds=4, sweep={'spread': (0.5, 2.0)}),
  ),
  'learning_curve': (
    'asymptotes of a growing learning curve, and when to stop',
    Growing(),
  ),
  'table': (
    'a table of your own: --config.runs=FILE.csv with columns N, D, loss',
    Fit(testbed='table'),
  ),
}

get_config = variants(VARIANTS)
