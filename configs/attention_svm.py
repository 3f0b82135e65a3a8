"""Transformers as support vector machines: one variant a figure.

    python -m experiments.attention_svm --config=:VARIANT

`Layer` trains one attention layer; the other classes are of systems of their
own.
"""

import dataclasses
from collections.abc import Iterable
from typing import ClassVar

from framework.config import Problem, Run, Variants, field, variants

EPS = 2.220446049250313e-16  # of float64: the published ε and λ
NORMS = ('frobenius', 'nuclear', 'spectral', 'l1', 'linf', 'own')
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


@dataclasses.dataclass(frozen=True)
class Layer(Run):
  """One attention layer. Fields of `Hp` can be lanes."""

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
    choices=('exact', 'exact32', 'autodiff', 'autodiff32'),
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
  seeds: int = field(
    20, 'seeds: independent draws of all that is random', low=1
  )
  precision: str = field(
    'float64', 'of all numbers', choices=('float32', 'float64')
  )
  fixed: ClassVar[tuple[str, ...]] = (
    'steps',
    'records',
    'every',
    'norms',
    'weights',
    'b1',
    'curve',
  )

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    yield from super().check()
    for norm in self.norms:
      if norm not in NORMS:
        yield Problem('norms', norm, f'one of {", ".join(NORMS)}')
    if not self.norms:
      yield Problem('norms', (), 'at least one')
    for size in self.axis('size'):
      if size and not _are_sizes(size, 3):
        yield Problem('size', size, 'three integers nxTxd, such as 6x8x10')
    if (self.head == 'relu') != (self.data == 'relu'):
      yield Problem('head', self.head, 'relu if and only if data is relu')


@dataclasses.dataclass(frozen=True)
class _Other(Run):
  """What the others have."""

  steps: int = field(1000, 'steps', low=1)
  records: int = field(5, 'records per decade', low=1)
  seeds: int = field(
    10, 'seeds: independent draws of all that is random', low=1
  )
  precision: str = field(
    'float64', 'of all numbers', choices=('float32', 'float64')
  )


@dataclasses.dataclass(frozen=True)
class Path(_Other):
  """The regularisation path."""

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
class Rank(_Other):
  """Solutions of random instances, without training."""

  size: str = field('5x5', 'nxT: samples and tokens of each, as one axis')
  largest: int = field(20, 'dimensions that there is room for', low=1)
  dims: int = field(10, 'dimensions in use', low=1)

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    yield from super().check()
    for size in self.axis('size'):
      if not _are_sizes(size, 2):
        yield Problem('size', size, 'two integers nxT, such as 5x5')
    for dims in self.axis('dims'):
      if dims > self.largest:
        yield Problem('dims', dims, f'at most largest = {self.largest}')


@dataclasses.dataclass(frozen=True)
class Graph(_Other):
  """Next-token prediction."""

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
class Prompt(_Other):
  """Prompt attention, alone and together with its head."""

  setup: str = field('single_global', 'which problem', choices=SETUPS)
  eta: float = field(0.1, 'length of a step', low=0, low_open=True)
  p0: float = field(0.0, 'p(0) along an axis')
  C: float = field(1.0, 'the larger score of loss_...')
  epsilon: float = field(0.0, 'added to the norm of the gradient', low=0)


@dataclasses.dataclass(frozen=True)
class Pretrained(_Other):
  """Heads of a trained language model."""

  queries: int = field(8, 'positions of a passage that query', low=1, high=48)
  causal: bool = field(
    False, 'hide what comes later, which the model itself does not'
  )
  eta: float = field(0.3, 'length of a step', low=0, low_open=True)
  head_index: int = field(0, '12 × layer + head', low=0, high=71)
  null: float = field(0.0, '1: random weights instead', low=0, high=1)


def _are_sizes(text: str, count: int) -> bool:
  parts = text.split('x')
  return len(parts) == count and all(x.isdigit() for x in parts)


VARIANTS: Variants = {
  'quick': (
    'attention settles on tokens, W turns to their SVM; K and Q to another',
    Layer(weights=True, lam=EPS, sweep={'form': ('w', 'kq')}),
  ),
  'local': (
    'local convergence as published: 100 runs of W and of (K, Q)',
    Layer(
      weights=True,
      method='autodiff',
      epsilon=EPS,
      lam=EPS,
      seeds=100,
      sweep={'form': ('w', 'kq')},
    ),
  ),
  'lambda_head': (
    'the head vᵀx − λ‖x‖²: attention is a projection on the simplex',
    Layer(
      n=3,
      T=5,
      d=8,
      data='orthonormal',
      head='lambda',
      normalise='no',
      eta=3.0,
      steps=100_000,
      records=5,
      seeds=10,
      sweep={'strength': (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0)},
    ),
  ),
  'optimizer_geometry': (
    'which norm descent maximises the margin in: five norms, six rules',
    Layer(
      weights=True,
      norms=('frobenius', 'nuclear', 'spectral', 'linf', 'l1'),
      start='zero',
      eta=0.05,
      steps=16_000,
      records=8,
      seeds=10,
      sweep={
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
    ),
  ),
  'horizon': (
    'the gradient that is exact at every horizon: 1 − cos falls as t⁻²',
    Layer(
      weights=True,
      steps=20_000,
      records=8,
      seeds=100,
      sweep={
        'form': ('w', 'kq'),
        'method': ('exact', 'exact32', 'autodiff'),
      },
    ),
  ),
  'global': (
    'how often the best tokens are found, over n, T and d',
    Layer(
      norms=('own',),
      b1=True,
      records=1,
      seeds=100,
      sweep={
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
    ),
  ),
  'trajectories': (
    'two samples in the plane: where W z₁ and W z₂ go',
    Layer(
      n=2,
      T=5,
      d=2,
      start='zero',
      weights=True,
      lam=EPS,
      records=40,
      seeds=20,
      sweep={'data': ('opposed', 'shared'), 'form': ('w', 'kq')},
    ),
  ),
  'multi_token': (
    'a ReLU head keeps several tokens: W against W_fin + C W_dir',
    Layer(
      n=3,
      T=4,
      data='relu',
      head='relu',
      method='autodiff',
      epsilon=EPS,
      curve=100,
      steps=2001,
      records=1,
      seeds=12_000,
      sweep={'d': (4, 6, 8, 10)},
    ),
  ),
  'kq_decay': (
    'what takes (K, Q) to the nuclear SVM: weight decay, start, rank',
    Layer(
      form='kq',
      norms=('nuclear', 'frobenius'),
      steps=2000,
      records=5,
      seeds=12,
      sweep={
        'm': (1, 2, 4, 10),
        'lam': (0.0, EPS, 1e-8),
        'init_scale': (1.0, 0.1, 0.01),
      },
    ),
  ),
  'reg_path': (
    'the best W, or (K, Q), of norm R turns to W^mm as R grows',
    Path(
      steps=30_000,
      records=3,
      sweep={
        'ball': ('frobenius', 'nuclear'),
        'radius': (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
        'along': (1.0, 0.0),
      },
    ),
  ),
  'rank': (
    'rank of the SVM of the best tokens over n, T and d, certified',
    Rank(
      steps=1,
      records=1,
      seeds=100,
      sweep={
        'size': ('5x5', '10x5', '15x5', '5x10', '5x15'),
        'dims': (1, 2, 3, 4, 5, 10, 15, 20),
      },
    ),
  ),
  'graph': (
    'next-token prediction: the SVM of a graph and the cyclic subproblem',
    Graph(steps=100_000, seeds=40),
  ),
  'precursor': (
    'prompt attention: basins, several inputs, joint training, losses',
    Prompt(
      steps=10_000,
      records=12,
      sweep={
        'setup': SETUPS,
        'p0': (1.0, 0.5, 0.0, -0.5, -1.0, -1.5),
        'C': (1.0, 10.0, 100.0),
      },
    ),
  ),
  'pretrained': (
    'heads of MiniLM: margins against the SVM of what they attend to',
    Pretrained(
      steps=5000,
      records=3,
      seeds=3,
      sweep={'head_index': tuple(range(72)), 'null': (0.0, 1.0)},
    ),
  ),
}

get_config = variants(VARIANTS)
