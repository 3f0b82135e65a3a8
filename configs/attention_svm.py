"""Transformers as support vector machines: one variant a figure.

python -m experiments.attention_svm --config=:VARIANT
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from configs import attention_svm_more as more
from framework.config import Problem, field

EPS = 2.220446049250313e-16  # of float64: the published ε and λ

# What a method sets: how the gradient is taken, and in which precision.
METHODS: dict[str, dict[str, str]] = {
  'exact': {'gradient': 'exact', 'dtype': 'float64'},
  'exact32': {'gradient': 'exact', 'dtype': 'float32'},
  'autodiff': {'gradient': 'autodiff', 'dtype': 'float64'},
  'autodiff32': {'gradient': 'autodiff', 'dtype': 'float32'},
}


@dataclasses.dataclass(frozen=True)
class Config:
  """All that decides the result of a run. Fields of `Hp` can be lanes."""

  variant: str = field(
    'quick',
    'which claims and figures are made of the results',
    choices=(
      'quick',
      'local',
      *more.STANDARD,
    ),
  )
  # What is fixed in the compiled program.
  form: str = field(
    'w', 'what is trained: W, or K and Q of W = KQᵀ', choices=('w', 'kq')
  )
  n: int = field(6, 'samples', low=1)
  T: int = field(8, 'tokens a sample', low=2)
  d: int = field(10, 'dimension', low=1)
  size: str = field('', 'nxTxd as one axis, in place of the three; e.g. 6x8x10')
  m: int | None = field(None, 'columns of K and Q; d when none', low=1)
  data: str = field(
    'sphere',
    'ensemble of instances',
    choices=('sphere', 'relu', 'orthonormal', 'opposed', 'shared'),
  )
  queries: str = field(
    'cross',
    'free, the first token, or every token of what comes up to it',
    choices=('cross', 'self', 'causal'),
  )
  scores: str = field(
    'head',
    'of the head; N(0, 1); or all but the best equal',
    choices=('head', 'random', 'tied'),
  )
  head: str = field(
    'linear',
    'vᵀx, 1ᵀReLU(Vᵀx), vᵀx − λ‖x‖²',
    choices=('linear', 'relu', 'lambda'),
  )
  loss: str = field(
    'logistic',
    'of the margin; strictly decreasing, so neither hinge nor squared',
    choices=('logistic', 'exponential', 'linear'),
  )
  method: str = field(
    'exact',
    'gradient: exact at every horizon, or automatic differentiation; 32 for '
    'float32',
    choices=tuple(METHODS),
  )
  normalise: str = field(
    'each',
    'gradient over its norm: each tensor, the whole tree, or not',
    choices=('each', 'whole', 'no'),
  )
  rule: str = field(
    'constant',
    'of the step',
    choices=(
      'constant',
      'inverse_sqrt',
      'polyak',
      'adam',
      'sign',
      'spectral',
      'coordinate',
      'rank_one',
    ),
  )
  start: str = field(
    'uniform',
    'U(±1/√d); zero: W = 0, or Q = 0 and K small',
    choices=('uniform', 'zero'),
  )
  weights: bool = field(False, 'whether W is recorded')
  tokens: str = field(
    'selected',
    'whose SVM is solved at the end: of the last attention or the scores',
    choices=('selected', 'optimal'),
  )
  norms: tuple[str, ...] = field(
    ('frobenius', 'nuclear'),
    'in which it is solved; own: the one that belongs to the form',
  )
  curve: int = field(
    0,
    'steps between cosines of multi_token, by repeating the run; 0: none',
    low=0,
  )
  b1: bool = field(False, 'whether all tokens supporting W^mm is looked for')
  # Hyperparameters: traced, so that every value can be a lane.
  eta: float = field(0.1, 'step size', low=0, low_open=True)
  epsilon: float = field(0.0, 'added to the norm of the gradient', low=0)
  lam: float = field(0.0, 'λ of λ(‖K‖² + ‖Q‖²) in the loss', low=0)
  decay: float = field(0.0, 'decoupled weight decay', low=0)
  init_scale: float = field(1.0, 'of all parameters at the start', low=0)
  balance: float = field(1.0, 'K(0) times, Q(0) over it', low=0, low_open=True)
  strength: float = field(0.1, 'λ of the head vᵀx − λ‖x‖²', low=0)
  beta1: float = field(0.9, "Adam's", low=0, high=1, high_open=True)
  beta2: float = field(0.999, "Adam's", low=0, high=1, high_open=True)
  adam_epsilon: float = field(1e-8, "Adam's ε", low=0)
  # What is recorded.
  steps: int = field(2000, 'steps', low=1)
  records: int = field(15, 'records per decade', low=1)
  every: int = field(0, 'records so many steps apart instead', low=0)
  seeds: int = field(20, 'seeds', low=1)
  first_seed: int = field(0, 'the first of them', low=0)
  precision: str = field(
    'float64', 'of all numbers', choices=('float32', 'float64')
  )
  sweep: Mapping[str, tuple] = field({}, 'the grid')

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    known = ('frobenius', 'nuclear', 'spectral', 'l1', 'linf', 'own')
    for norm in self.norms:
      if norm not in known:
        yield Problem('norms', norm, f'one of {", ".join(known)}')
    parts = self.size.split('x') if self.size else ['1'] * 3
    if len(parts) != 3 or not all(x.isdigit() for x in parts):
      yield Problem('size', self.size, 'three integers nxTxd, such as 6x8x10')
    if not self.norms:
      yield Problem('norms', (), 'at least one')
    for path in (
      'steps',
      'records',
      'every',
      'seeds',
      'first_seed',
      'precision',
      'variant',
      'sweep',
      'norms',
      'weights',
    ):
      if path in self.sweep:
        yield Problem(f'sweep.{path}', path, f'an axis other than {path}')


def sizes_of(config: Config) -> tuple[int, int, int]:
  """(n, T, d): of `size` where it is given, else the fields."""
  if not config.size:
    return config.n, config.T, config.d
  n, T, d = (int(x) for x in config.size.split('x'))
  return n, T, d


VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
  'quick': (
    'attention settles on tokens, W turns to their SVM; K and Q to another',
    {
      'weights': True,
      'lam': EPS,
      'sweep': {'form': ('w', 'kq')},
    },
  ),
  'local': (
    'local convergence as published: 100 runs of W and of (K, Q)',
    {
      'weights': True,
      'method': 'autodiff',
      'epsilon': EPS,
      'lam': EPS,
      'seeds': 100,
      'sweep': {'form': ('w', 'kq')},
    },
  ),
}


VARIANTS |= more.STANDARD | more.VARIANTS


def get_config(variant: str = 'quick') -> Any:
  """The config of a variant.

  Args:
    variant: One of `VARIANTS`.

  Returns:
    A `Config`, or that of another system.

  Raises:
    ValueError: If there is no such variant.
  """
  if variant in more.VARIANTS:
    return more.get_config(variant)
  if variant not in VARIANTS:
    raise ValueError(f'no variant {variant!r}; there are {", ".join(VARIANTS)}')
  return Config(variant=variant, **VARIANTS[variant][1])
