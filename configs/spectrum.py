"""Exact risks: one variant a figure.

python -m experiments.spectrum --config=:VARIANT

Configs by what is trained: `Ridge`, `Tuning`, `Curves`, `Sgd`, `Masking`,
`Contrastive`, `Bandwidth`, `Bias`, `Networks`, `Lazy`, `Pretraining`,
`Mixture`.
"""

import dataclasses
from collections.abc import Iterable
from typing import ClassVar

from framework.config import Problem, Run, Variants, field, variants

_POWERS = {'low': 1, 'low_open': True, 'high': 10}


@dataclasses.dataclass(frozen=True)
class Ridge(Run):
  """Ridge regressions on drawn data. Fields of `Hp` can be lanes."""

  modes: int = field(300, 'eigenvalues that are kept', low=2)
  # Hyperparameters: traced, so that every value can be a lane.
  n: int = field(64, 'samples', low=1)
  k: int = field(64, 'random features; 0 is infinitely many', low=0)
  ridge: float = field(0.1, 'δ, of (K + δI)⁻¹', low=0, low_open=True)
  noise: float = field(0.1, 'σ² over the power of the target', low=0)
  alpha: float = field(1.5, 'eigenvalues λ_i = i^−α', **_POWERS)
  beta: float = field(1.25, 'powers v_i² ~ i^−β', low=0, high=10)
  steps: int = field(20, 'regressions, each on fresh data', low=2)
  seeds: int = field(4, 'seeds, each with as many', low=2)
  precision: str = field(
    'float64',
    'small ridges need float64',
    choices=('float32', 'float64'),
  )
  fixed: ClassVar[tuple[str, ...]] = ('steps', 'modes')

  def check(self) -> Iterable[Problem]:
    """Rules that join fields."""
    yield from super().check()
    if self.precision == 'float32' and min(self.axis('ridge')) < 1e-4:
      ridge = min(self.axis('ridge'))
      yield Problem('ridge', ridge, 'at least 1e-4 in float32')


@dataclasses.dataclass(frozen=True)
class Tuning(Run):
  """The best ridge on the exact risk. Fields of `Hp` can be lanes."""

  tail: bool = field(False, 'whether all eigenvalues are summed, to infinity')
  modes: int = field(2000, 'eigenvalues that are kept', low=2)
  # Hyperparameters: traced, so that every value can be a lane.
  n: int = field(128, 'samples', low=1)
  k: int = field(0, 'random features; 0 is infinitely many', low=0)
  ridge: float = field(1e-3, 'the fixed ridge to compare with', low=0)
  noise: float = field(0.0, 'σ² over the power of the target', low=0)
  relative_noise: float = field(
    0.0, 'the same over the bias of the regression without ridge', low=0
  )
  alpha: float = field(1.5, 'eigenvalues λ_i = i^−α', **_POWERS)
  beta: float = field(1.25, 'powers v_i² ~ i^−β', **_POWERS)
  steps: int = field(60, 'golden sections', low=1, high=80)
  precision: str = field(
    'float64', 'small ridges need float64', choices=('float64',)
  )
  fixed: ClassVar[tuple[str, ...]] = ('steps', 'modes')

  def check(self) -> Iterable[Problem]:
    """Rules that join fields."""
    yield from super().check()
    most = max(min(n, k or n) for n in self.axis('n') for k in self.axis('k'))
    if any(self.axis('tail')) and self.modes < 3 * most:
      yield Problem(
        'modes', self.modes, f'at least 3 min(n, k) = {3 * most} with a tail'
      )


@dataclasses.dataclass(frozen=True)
class Sgd(Run):
  """SGD on a linear model. Fields of `Hp` can be lanes."""

  data: str = field(
    'expected',
    'the exact expectation of one pass, or runs on fresh samples, or on '
    'samples that are repeated',
    choices=('expected', 'fresh', 'repeated'),
  )
  tail: bool = field(False, 'whether there is an infinity of modes beyond')
  modes: int = field(2000, 'modes that are kept', low=2)
  batch: int = field(1, 'samples in a step', low=1)
  # Hyperparameters: traced, so that every value can be a lane.
  eta: float = field(0.5, 'step size times Σ λ', low=0, low_open=True)
  noise: float = field(0.25, 'variance σ² of the noise of labels', low=0)
  decay: float = field(0.0, 'weight decay', low=0)
  alpha: float = field(1.5, 'eigenvalues λ_i = i^−α', **_POWERS)
  beta: float = field(1.8, 'powers v_i² = i^−β', **_POWERS)
  width: int = field(1_000_000, 'modes of the model, up to `modes`', low=1)
  rows: int = field(100, 'samples, where they are repeated', low=1)
  steps: int = field(1000, 'steps T', low=10)
  records: int = field(8, 'records in a decade of steps', low=1)
  seeds: int = field(1, 'seeds (draws of samples)', low=1)
  precision: str = field(
    'float64', 'of all numbers', choices=('float32', 'float64')
  )
  fixed: ClassVar[tuple[str, ...]] = ('steps', 'records')


@dataclasses.dataclass(frozen=True)
class Curves(Run):
  """Kernel ridge regression on random parts of a real data set."""

  dataset: str = field(
    'mnist', 'images', choices=('mnist', 'fashion_mnist', 'cifar10')
  )
  kernel: str = field('ntk', 'of images of norm 1', choices=('ntk', 'rbf'))
  depth: int = field(2, 'hidden layers of the ntk', low=1, high=10)
  points: int = field(2000, 'images that are drawn from', low=100, high=4000)
  # Hyperparameters: traced, so that every value can be a lane.
  n: int = field(64, 'samples', low=2)
  ridge: float = field(1e-2, 'δ, of (K + δI)⁻¹', low=0, low_open=True)
  steps: int = field(20, 'regressions, each on another part', low=2)
  seeds: int = field(2, 'seeds, each with as many', low=1)
  precision: str = field(
    'float64', 'spectra need float64', choices=('float64',)
  )
  fixed: ClassVar[tuple[str, ...]] = ('steps', 'points', 'depth')

  def check(self) -> Iterable[Problem]:
    """Rules that join fields."""
    yield from super().check()
    most = max(self.axis('n'))
    if 4 * most > self.points:
      yield Problem('n', most, f'at most a quarter of {self.points} points')


@dataclasses.dataclass(frozen=True)
class Masking(Run):
  """Kernel ridge regression with the kernel of an augmentation."""

  target: str = field(
    'low',
    'the target on the cube: degrees up to 2, or a product over coordinates',
    choices=('low', 'all'),
  )
  d: int = field(10, 'coordinates of the cube', low=3, high=14)
  # Hyperparameters: traced, so that every value can be a lane.
  mask: float = field(
    0.5, 'probability of a mask', low=0, high=1, high_open=True
  )
  flip: float = field(
    0.0, 'probability of a flip', low=0, high=0.5, high_open=True
  )
  n: int = field(200, 'samples', low=1)
  ridge: float = field(10.0, 'the fixed ridge', low=0, low_open=True)
  noise: float = field(0.1, 'σ² over the power of the target', low=0)
  steps: int = field(60, 'golden sections', low=1, high=80)
  precision: str = field(
    'float64', 'small ridges need float64', choices=('float64',)
  )


@dataclasses.dataclass(frozen=True)
class Contrastive(Run):
  """Spectral-contrastive training of an encoder."""

  d: int = field(5, 'coordinates of the cube', low=2, high=7)
  k: int = field(6, 'dimension of the representation: whole levels', low=1)
  width: int = field(128, 'hidden width of the encoder', low=1)
  # Hyperparameters: traced, so that every value can be a lane.
  lr: float = field(3e-3, 'learning rate of Adam', low=0, low_open=True)
  mask: float = field(
    0.3, 'probability of a mask', low=0, high=1, high_open=True
  )
  flip: float = field(
    0.0, 'probability of a flip', low=0, high=0.5, high_open=True
  )
  steps: int = field(2000, 'steps T', low=10)
  records: int = field(10, 'records in a decade of steps', low=1)
  seeds: int = field(2, 'seeds (starts)', low=1)


@dataclasses.dataclass(frozen=True)
class Bandwidth(Run):
  """Random features with bounded weights."""

  points: int = field(400, 'points of the grid on [−1, 1]', low=10, high=2000)
  # Hyperparameters: traced, so that every value can be a lane.
  bandwidth: float = field(5.0, 'λ: weights in [−λ, λ]', low=0, low_open=True)
  frequency: float = field(3.0, 'f of the target sin(2πfx)', low=0)
  ridge: float = field(1e-6, 'δ, of the mean of squares', low=1e-9)
  steps: int = field(64, 'widths, 50 features each', low=2)
  seeds: int = field(3, 'seeds (draws of features)', low=1)
  precision: str = field(
    'float64', 'small ridges need float64', choices=('float64',)
  )


@dataclasses.dataclass(frozen=True)
class Bias(Run):
  """The inductive bias of a target, as examples arrive."""

  n: int = field(40, 'training examples', low=2, high=400)
  tests: int = field(60, 'test examples', low=2, high=400)
  # Hyperparameters: traced, so that every value can be a lane.
  d: int = field(3, 'dimension of inputs', low=1, high=64)
  eps: float = field(0.01, 'test loss that is asked for', low=0, low_open=True)
  length: float = field(1.0, 'of the kernel', low=0, low_open=True)
  jitter: float = field(1e-6, 'on the diagonal', low=0, low_open=True)
  seeds: int = field(10, 'seeds (draws of inputs)', low=1)
  precision: str = field(
    'float64', 'deep tails need float64', choices=('float64',)
  )
  fixed: ClassVar[tuple[str, ...]] = ('n', 'tests')


@dataclasses.dataclass(frozen=True)
class Pretraining(Run):
  """PCA of unlabelled data, then few labels."""

  d: int = field(100, 'coordinates', low=3, high=1000)
  r: int = field(3, 'factors', low=1)
  n: int = field(40, 'labelled examples', low=3)
  batch: int = field(20, 'unlabelled examples in a step', low=1)
  # Hyperparameters: traced, so that every value can be a lane.
  signal: float = field(3.0, 'deviation along a factor', low=0, low_open=True)
  noise: float = field(1.0, 'deviation of all coordinates', low=0.01)
  label_noise: float = field(0.1, 'deviation of the labels', low=0)
  steps: int = field(50, 'steps', low=4)
  seeds: int = field(200, 'seeds (draws of everything)', low=1)
  precision: str = field(
    'float64', 'of all numbers', choices=('float32', 'float64')
  )


@dataclasses.dataclass(frozen=True)
class Networks(Run):
  """The inductive bias of networks that are trained to fit examples."""

  hypotheses: int = field(24, 'networks for each draw of inputs', low=3)
  width: int = field(64, 'hidden units', low=1)
  tests: int = field(60, 'test examples', low=2)
  # Hyperparameters: traced, so that every value can be a lane.
  d: int = field(3, 'dimension of inputs', low=1, high=64)
  n: int = field(40, 'training examples', low=2, high=400)
  eps: float = field(0.01, 'test loss that is asked for', low=0, low_open=True)
  fit: float = field(1e-3, 'training loss of what fits', low=0, low_open=True)
  lr: float = field(0.01, 'learning rate of Adam', low=0, low_open=True)
  steps: int = field(1000, 'steps T', low=10)
  seeds: int = field(5, 'seeds (draws of inputs and starts)', low=1)
  fixed: ClassVar[tuple[str, ...]] = ('steps',)


@dataclasses.dataclass(frozen=True)
class Mixture(Run):
  """EM on unlabelled data of a mixture, then a sign from labels."""

  d: int = field(50, 'coordinates', low=1)
  m: int = field(2000, 'unlabelled inputs', low=1)
  n: int = field(10, 'labelled inputs', low=1)
  # Hyperparameters: traced, so that every value can be a lane.
  separation: float = field(1.5, 's = |μ|', low=0, low_open=True)
  steps: int = field(64, 'steps of EM', low=1)
  seeds: int = field(60, 'seeds (draws of everything)', low=1)
  precision: str = field(
    'float64', 'of all numbers', choices=('float32', 'float64')
  )
  fixed: ClassVar[tuple[str, ...]] = ('steps', 'd', 'n')


@dataclasses.dataclass(frozen=True)
class Lazy(Run):
  """One pass of networks over a staircase on the cube."""

  d: int = field(32, 'coordinates of the cube', low=4, high=64)
  width: int = field(256, 'hidden width n', low=1)
  batch: int = field(8, 'fresh samples in a step', low=1)
  # Hyperparameters: traced, so that every value can be a lane.
  lr: float = field(0.4, 'learning rate η in µP', low=0, low_open=True)
  laziness: float = field(1.0, 'α: weights move by 1/α', low=0, low_open=True)
  steps: int = field(1024, 'steps T', low=16)
  seeds: int = field(4, 'seeds (starts and samples)', low=1)
  fixed: ClassVar[tuple[str, ...]] = ('steps', 'd', 'batch')


VARIANTS: Variants = {
  'eigenframework': (
    'random features and kernels: theory against drawn regressions, cell by '
    'cell',
    Ridge(
      sweep={
        'n': (32, 64),
        'k': (16, 32, 64, 128, 0),
        'ridge': (1e-3, 0.1),
        'noise': (0.0, 0.1),
      },
    ),
  ),
  'tuning': (
    'at the best ridge more data and more features never hurt',
    Tuning(
      sweep={
        'n': (32, 64, 128, 256),
        'k': (16, 32, 64, 128, 256, 512, 1024, 0),
        'noise': (0.0, 0.1, 0.5),
      },
    ),
  ),
  'ratio': (
    'train over test risk at the best ridge, and when interpolation is best',
    Tuning(
      n=1000,
      modes=4000,
      steps=50,
      sweep={
        'tail': (True, False),
        'alpha': (1.3, 1.5, 2.0),
        'beta': (1.25, 1.6),
        'relative_noise': (0.0, 1.0, 10.0),
      },
    ),
  ),
  'one_pass': (
    'the exact expectation of one pass beside the mean of runs',
    Sgd(
      modes=50,
      beta=1.5,
      steps=200,
      seeds=1000,
      sweep={
        'data': ('expected', 'fresh'),
        'noise': (0.25, 1.0),
        'decay': (0.0, 0.05),
      },
    ),
  ),
  'epochs': (
    'one pass falls where epochs on few samples rise',
    Sgd(
      modes=400,
      steps=8000,
      seeds=16,
      records=10,
      sweep={
        'data': ('expected', 'fresh', 'repeated'),
        'noise': (0.25, 0.01),
        'rows': (100, 400),
      },
    ),
  ),
  'slopes': (
    'one pass falls as t^−(β−1)/α; a truncated spectrum falls too fast',
    Sgd(
      noise=0.0,
      steps=30_000,
      sweep={
        'tail': (True, False),
        'modes': (200, 20_000),
        'alpha': (1.5, 2.0),
        'beta': (1.5, 1.8),
      },
    ),
  ),
  'width': (
    'the compute-optimal width of a model that sees every sample once',
    Sgd(
      tail=True,
      modes=512,
      steps=2**16,
      sweep={'width': (2, 4, 8, 16, 32, 64, 128, 256, 512)},
    ),
  ),
  'decay': (
    'weight decay slows one pass, unless noise dominates',
    Sgd(
      modes=1000,
      steps=7000,
      sweep={
        'noise': (0.25, 5.0),
        'eta': (0.5, 1.0),
        'decay': (0.0, 1e-3, 0.03),
      },
    ),
  ),
  'curves': (
    'learning curves on images, predicted from the kernel spectrum (real data: '
    '--data_dir)',
    Curves(
      sweep={
        'dataset': ('mnist', 'fashion_mnist', 'cifar10'),
        'n': (16, 32, 64, 128, 256),
        'ridge': (1e-3, 0.1),
      },
    ),
  ),
  'masking': (
    'how much to mask: a U in the mask, where it is one',
    Masking(
      sweep={
        'target': ('low', 'all'),
        'n': (200, 1000),
        'mask': (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95),
      },
    ),
  ),
  'contrastive': (
    'an encoder finds the top eigenspace of its augmentation',
    Contrastive(sweep={'k': (6, 16), 'mask': (0.2, 0.4)}),
  ),
  'bandwidth': (
    'bounded weights: a floor that no width lowers, a box that is too wide',
    Bandwidth(
      sweep={
        'bandwidth': (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0),
        'frequency': (1.0, 3.0),
      },
    ),
  ),
  'inductive_bias': (
    'how unlikely generalisation is: up with dimension, down with examples',
    Bias(sweep={'d': (3, 4, 6, 8), 'eps': (0.01, 0.03)}),
  ),
  'inductive_bias_networks': (
    'the same of trained networks: a tail fitted to their losses',
    Networks(sweep={'d': (4, 6, 8), 'n': (10, 20, 40)}),
  ),
  'lazy': (
    'networks that learn features, below the best that their NTK could do',
    Lazy(sweep={'width': (64, 256, 1024), 'laziness': (1.0, 20.0)}),
  ),
  'pretraining': (
    'unlabelled data first: what is left to learn falls as 1/m',
    Pretraining(),
  ),
  'mixture': (
    'EM on unlabelled data finds the direction, few labels its sign',
    Mixture(sweep={'m': (500, 1000, 2000), 'separation': (1.5, 0.25)}),
  ),
}

get_config = variants(VARIANTS)
