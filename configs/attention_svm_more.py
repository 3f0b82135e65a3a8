"""Variants of attention as an SVM whose systems are others than one layer.

Each has a dataclass of its own; those that train one layer take values for the
fields of `configs.attention_svm`, in `STANDARD`.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from framework.config import Problem, field

EPS = 2.220446049250313e-16  # of float64: the published λ
SETUPS = (
  'single_global',
  'single_local',
  'multi',
  'multi_gd',
  'joint_tight',
  'joint_loose',
  'loss_linear',
  'loss_logistic',
)
_FIXED = (
  'variant',
  'steps',
  'records',
  'seeds',
  'first_seed',
  'precision',
  'sweep',
)


@dataclasses.dataclass(frozen=True)
class _Runs:
  """What all of them have."""

  steps: int = field(1000, 'steps', low=1)
  records: int = field(5, 'records per decade', low=1)
  seeds: int = field(10, 'seeds', low=1)
  first_seed: int = field(0, 'the first of them', low=0)
  precision: str = field(
    'float64', 'of all numbers', choices=('float32', 'float64')
  )
  sweep: Mapping[str, tuple] = field({}, 'the grid')

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    for path in _FIXED:
      if path in self.sweep:
        yield Problem(f'sweep.{path}', path, f'an axis other than {path}')


@dataclasses.dataclass(frozen=True)
class PathConfig(_Runs):
  """The regularisation path."""

  variant: str = field('reg_path', 'which it is', choices=('reg_path',))
  n: int = field(4, 'samples', low=1)
  T: int = field(5, 'tokens a sample', low=2)
  d: int = field(8, 'dimension', low=1)
  ball: str = field(
    'frobenius',
    '‖W‖_F ≤ R, or ‖K‖² + ‖Q‖² ≤ 2R',
    choices=('frobenius', 'nuclear'),
  )
  loss: str = field(
    'logistic',
    'of the margin',
    choices=('logistic', 'exponential', 'linear'),
  )
  radius: float = field(100.0, 'R', low=0, low_open=True)
  eta: float = field(0.3, 'length of a step of W', low=0, low_open=True)
  along: float = field(1.0, 'start at this share of R along W^mm', low=0)


@dataclasses.dataclass(frozen=True)
class RankConfig(_Runs):
  """Solutions of random instances, without training."""

  variant: str = field('rank', 'which it is', choices=('rank',))
  size: str = field('5x5', 'nxT: samples and tokens of each, as one axis')
  largest: int = field(20, 'dimensions that there is room for', low=1)
  dims: int = field(10, 'dimensions in use', low=1)

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    yield from super().check()
    parts = self.size.split('x')
    if len(parts) != 2 or not all(x.isdigit() for x in parts):
      yield Problem('size', self.size, 'two integers nxT, such as 5x5')
    for dims in (self.dims, *self.sweep.get('dims', ())):
      if dims > self.largest:
        yield Problem('dims', dims, f'at most largest = {self.largest}')


@dataclasses.dataclass(frozen=True)
class GraphConfig(_Runs):
  """Next-token prediction."""

  variant: str = field('graph', 'which it is', choices=('graph',))
  K: int = field(6, 'vocabulary', low=2)
  d: int = field(8, 'dimension of embeddings', low=2)
  n: int = field(7, 'sequences', low=1)
  T: int = field(4, 'tokens of each', low=2)
  queries: int = field(2, 'tokens that sequences end in', low=1)
  eta: float = field(1.0, 'step size', low=0, low_open=True)
  init_scale: float = field(0.0, 'of W(0), Gaussian', low=0)

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    yield from super().check()
    if self.d < self.K:
      yield Problem('d', self.d, f'at least K = {self.K}')
    if self.queries > self.K:
      yield Problem('queries', self.queries, f'at most K = {self.K}')


@dataclasses.dataclass(frozen=True)
class PromptConfig(_Runs):
  """Prompt attention, alone and together with its head."""

  variant: str = field('precursor', 'which it is', choices=('precursor',))
  setup: str = field('single_global', 'which problem', choices=SETUPS)
  eta: float = field(0.1, 'length of a step', low=0, low_open=True)
  p0: float = field(0.0, 'p(0) along an axis')
  C: float = field(1.0, 'the larger score of loss_...')
  epsilon: float = field(0.0, 'added to the norm of the gradient', low=0)


@dataclasses.dataclass(frozen=True)
class PretrainedConfig(_Runs):
  """Heads of a trained language model."""

  variant: str = field('pretrained', 'which it is', choices=('pretrained',))
  queries: int = field(8, 'positions of a passage that query', low=1, high=48)
  causal: bool = field(
    False, 'hide what comes later, which the model itself does not'
  )
  eta: float = field(0.3, 'length of a step', low=0, low_open=True)
  head_index: int = field(0, '12 × layer + head', low=0, high=71)
  null: float = field(0.0, '1: random weights instead', low=0, high=1)


_CLASSES: dict[str, Any] = {
  'reg_path': PathConfig,
  'rank': RankConfig,
  'graph': GraphConfig,
  'precursor': PromptConfig,
  'pretrained': PretrainedConfig,
}

# Of one trained layer: fields of `configs.attention_svm.Config`.
STANDARD: dict[str, tuple[str, dict[str, Any]]] = {
  'lambda_head': (
    'the head vᵀx − λ‖x‖²: attention is a projection on the simplex',
    {
      'n': 3,
      'T': 5,
      'd': 8,
      'data': 'orthonormal',
      'head': 'lambda',
      'normalise': 'no',
      'eta': 3.0,
      'steps': 100_000,
      'records': 5,
      'seeds': 10,
      'sweep': {'strength': (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0)},
    },
  ),
  'optimizer_geometry': (
    'which norm descent maximises the margin in: five norms, six rules',
    {
      'weights': True,
      'norms': ('frobenius', 'nuclear', 'spectral', 'linf', 'l1'),
      'start': 'zero',
      'eta': 0.05,
      'steps': 16_000,
      'records': 8,
      'seeds': 10,
      'sweep': {
        'rule': (
          'constant',
          'rank_one',
          'spectral',
          'sign',
          'adam',
          'coordinate',
        ),
        'beta2': (0.999, 0.95),
      },
    },
  ),
  'horizon': (
    'the gradient that is exact at every horizon: 1 − cos falls as t⁻²',
    {
      'weights': True,
      'steps': 20_000,
      'records': 8,
      'seeds': 100,
      'sweep': {
        'form': ('w', 'kq'),
        'method': ('exact', 'exact32', 'autodiff'),
      },
    },
  ),
  'global': (
    'how often the best tokens are found, over n, T and d',
    {
      'norms': ('own',),
      'b1': True,
      'records': 1,
      'seeds': 100,
      'sweep': {
        'form': ('w', 'kq'),
        'size': (
          *(f'5x5x{d}' for d in (4, 6, 8, 10, 20, 40)),
          *(f'10x5x{d}' for d in (10, 20, 40)),
          *(f'20x5x{d}' for d in (20, 40, 80)),
          *(f'5x10x{d}' for d in (10, 20, 40)),
          *(f'5x20x{d}' for d in (20, 40, 80)),
          '6x8x10',
        ),
      },
    },
  ),
  'trajectories': (
    'two samples in the plane: where W z₁ and W z₂ go',
    {
      'n': 2,
      'T': 5,
      'd': 2,
      'start': 'zero',
      'weights': True,
      'lam': EPS,
      'records': 40,
      'seeds': 20,
      'sweep': {'data': ('opposed', 'shared'), 'form': ('w', 'kq')},
    },
  ),
  'multi_token': (
    'a ReLU head keeps several tokens: W against W_fin + C W_dir',
    {
      'n': 3,
      'T': 4,
      'data': 'relu',
      'head': 'relu',
      'method': 'autodiff',
      'epsilon': EPS,
      'curve': 100,
      'steps': 2001,
      'records': 1,
      'seeds': 12_000,
      'sweep': {'d': (4, 6, 8, 10)},
    },
  ),
  'kq_decay': (
    'what takes (K, Q) to the nuclear SVM: weight decay, start, rank',
    {
      'form': 'kq',
      'norms': ('nuclear', 'frobenius'),
      'steps': 2000,
      'records': 5,
      'seeds': 12,
      'sweep': {
        'm': (1, 2, 4, 10),
        'lam': (0.0, EPS, 1e-8),
        'init_scale': (1.0, 0.1, 0.01),
      },
    },
  ),
}

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
  'reg_path': (
    'the best W, or (K, Q), of norm R turns to W^mm as R grows',
    {
      'steps': 30_000,
      'records': 3,
      'sweep': {
        'ball': ('frobenius', 'nuclear'),
        'radius': (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
        'along': (1.0, 0.0),
      },
    },
  ),
  'rank': (
    'rank of the SVM of the best tokens over n, T and d, certified',
    {
      'steps': 1,
      'records': 1,
      'seeds': 100,
      'sweep': {
        'size': ('5x5', '10x5', '15x5', '5x10', '5x15'),
        'dims': (1, 2, 3, 4, 5, 10, 15, 20),
      },
    },
  ),
  'graph': (
    'next-token prediction: the SVM of a graph and the cyclic subproblem',
    {'steps': 100_000, 'records': 5, 'seeds': 40},
  ),
  'precursor': (
    'prompt attention: basins, several inputs, joint training, losses',
    {
      'steps': 10_000,
      'records': 12,
      'sweep': {
        'setup': SETUPS,
        'p0': (1.0, 0.5, 0.0, -0.5, -1.0, -1.5),
        'C': (1.0, 10.0, 100.0),
      },
    },
  ),
  'pretrained': (
    'heads of MiniLM: margins against the SVM of what they attend to',
    {
      'steps': 5000,
      'records': 3,
      'seeds': 3,
      'sweep': {'head_index': tuple(range(72)), 'null': (0.0, 1.0)},
    },
  ),
}


def get_config(variant: str) -> Any:
  """The config of a variant of `VARIANTS`.

  Args:
    variant: Its name.

  Returns:
    A config of its own class.
  """
  return _CLASSES[variant](variant=variant, **VARIANTS[variant][1])
