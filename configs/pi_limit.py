"""The π-limit: one variant a figure.

python -m experiments.pi_limit --config=:VARIANT

Three configs, by what is computed: `Train`, `Convergence`, `Maml`.
"""

import dataclasses
from collections.abc import Iterable
from typing import ClassVar

from framework.config import Problem, Run, Variants, field, variants

ACTIVATIONS = ('relu', 'erf', 'sin', 'exp', 'identity', 'gelu', 'gelu_tanh')
MODELS = ('limit', 'pinet', 'munet', 'particles', 'ntk', 'nngp')
TASKS = ('xor', 'modular', 'cifar10', 'cifar10_jpeg', 'omniglot_to_mnist')


@dataclasses.dataclass(frozen=True)
class Train(Run):
  """A network on a task: all that decides the result of a run."""

  # What is fixed in the compiled program.
  task: str = field(
    'xor',
    'xor: clusters; modular: x + y mod p; cifar10: the 4,000 exact images; '
    'cifar10_jpeg: all, of another coding; omniglot_to_mnist: characters, '
    'whose features are asked for digits',
    choices=TASKS,
  )
  model: str = field(
    'limit',
    'limit: the π-limit; pinet: of width n; munet: in µP, of width n; '
    'particles: one hidden layer in µP, neurons that stand for the µP limit; '
    'ntk, nngp: kernels',
    choices=MODELS,
  )
  rule: str = field(
    'sgd', 'update rule; networks of finite width take adam, too',
    choices=('sgd', 'adam'),
  )  # fmt: skip
  activation: str = field('relu', 'φ', choices=ACTIVATIONS)
  depth: int = field(2, 'L, hidden layers', low=1)
  rank: int = field(40, 'r, directions of a layer', low=1)
  start: str = field(
    'gaussian', 'identities ask for rank = inputs',
    choices=('gaussian', 'identities'),
  )  # fmt: skip
  normalised: bool | None = field(
    None, 'whether rows are stored with norm 1; open: as suits the activation'
  )
  width: int = field(512, 'n, neurons of a layer of a finite network', low=1)
  particles: int = field(2048, 'neurons that stand for the µP limit', low=1)
  rows: str = field(
    'as_run',
    'precision of stored rows; coefficients have that of the run',
    choices=('as_run', 'bfloat16'),
  )
  clip_each: bool = field(False, 'clip every part of the gradient by itself')
  decay_scaled: bool = field(True, "multiply decay by the layers' rates, too")
  d: int = field(80, 'inputs of XOR clusters', low=2)
  points: int = field(200, 'points trained on', low=1)
  tests: int = field(1000, 'points judged on', low=1)
  modulus: int = field(11, 'p of the modular task', low=2)
  fraction: float = field(
    0.7, 'share of pairs trained on', low=0, high=1, low_open=True,
    high_open=True,
  )  # fmt: skip
  characters: int = field(64, 'classes of Omniglot that are told apart', low=2)
  batch: int = field(20, 'points of a step', low=1)
  # Hyperparameters: traced, so that every value can be a lane.
  mu: float = field(4.0, 'norm of the means of XOR clusters', low=0)
  lr: float = field(0.5, 'step size η', low=0)
  momentum: float = field(0.0, 'momentum', low=0, high=1, high_open=True)
  weight_decay: float = field(0.0, 'weight decay', low=0)
  clip: float = field(0.0, 'largest norm of a gradient; 0: any', low=0)
  first_lr: float = field(1.0, 'multiplier of η of the first layer', low=0)
  last_lr: float = field(1.0, 'multiplier of η of the readout', low=0)
  bias_lr: float = field(1.0, 'multiplier of η of biases', low=0)
  first_alpha: float = field(1.0, 'multiplier of the first layer', low=0)
  last_alpha: float = field(1.0, 'multiplier of the output', low=0)
  bias_alpha: float = field(0.0, 'multiplier of biases; 0: none', low=0)
  ridge: float = field(1e-4, 'of kernel regression, over the mean K_ii', low=0)
  # What is recorded.
  drop_at: float = field(
    1.0, 'share of the steps after which η drops', low=0, high=1, low_open=True
  )
  drop: float = field(0.15, 'what it drops to, over what it was', low=0, high=1)
  steps: int = field(300, 'steps T', low=1)
  records: int = field(12, 'records over the run', low=1)
  seeds: int = field(2, 'seeds', low=1)
  fixed: ClassVar[tuple[str, ...]] = (
    *('steps', 'records', 'tests', 'drop', 'drop_at', 'task'),
  )

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    yield from super().check()
    if self.model == 'limit' and self.rule == 'adam':
      yield Problem(
        'rule',
        'adam',
        'sgd for model=limit: Adam does not close in the limit, it divides by '
        'a norm of every weight; the finite net takes it, model=pinet',
      )
    if self.normalised and self.activation not in ('relu', 'identity'):
      yield Problem(
        'normalised',
        True,
        f'False for activation={self.activation}: storage of norm 1 is for '
        'relu and identity, which are homogeneous',
      )
    if self.start == 'identities' and self.rank != self.inputs:
      yield Problem(
        'rank',
        self.rank,
        f'the dimension of the data, {self.inputs}: start=identities is square',
      )
    if self.model == 'pinet' and self.width < self.rank:
      yield Problem('width', self.width, f'at least rank = {self.rank}')
    if self.batch > self.examples:
      yield Problem('batch', self.batch, f'at most the {self.examples} points')

  @property
  def inputs(self) -> int:
    """The dimension of the data."""
    if self.task == 'xor':
      return self.d
    if self.task == 'modular':
      return 2 * self.modulus
    return 784 if self.task == 'omniglot_to_mnist' else 3072

  @property
  def examples(self) -> int:
    """Points that are trained on."""
    if self.task == 'modular':
      return max(1, round(self.fraction * self.modulus**2))
    if self.task == 'omniglot_to_mnist':
      return 17 * self.characters  # of twenty drawings three are judged on
    return self.points


@dataclasses.dataclass(frozen=True)
class Convergence(Run):
  """π-nets against their limit: all that decides the result of a run."""

  width: int = field(64, 'n, neurons a layer', low=1)
  activation: str = field('relu', 'φ', choices=ACTIVATIONS)
  depth: int = field(2, 'L, hidden layers', low=1)
  rank: int = field(4, 'r, directions of a layer', low=1)
  lr: float = field(0.3, 'step size, for every width', low=0)
  steps: int = field(4, 'steps, every one recorded', low=1)
  seeds: int = field(48, 'networks of a width', low=1)
  precision: str = field(
    'float64', 'of all numbers', choices=('float32', 'float64')
  )
  fixed: ClassVar[tuple[str, ...]] = ('steps',)

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    yield from super().check()
    if self.width < self.rank:
      yield Problem('width', self.width, f'at least rank = {self.rank}')


@dataclasses.dataclass(frozen=True)
class Maml(Run):
  """Few-shot learning: all that decides the result of a run."""

  model: str = field(
    'limit', 'limit: the π-limit; pinet, munet: of width n; ntk, gp: kernels',
    choices=('limit', 'pinet', 'munet', 'ntk', 'gp'),
  )  # fmt: skip
  task: str = field(
    'omniglot', 'drawings, or Gaussian classes that need no data',
    choices=('omniglot', 'gaussian'),
  )  # fmt: skip
  d: int = field(64, 'inputs of Gaussian classes', low=2)
  signal_rank: int = field(8, 'dimension in which they differ', low=1)
  depth: int = field(2, 'L, hidden layers', low=1)
  rank: int = field(200, 'r, directions of a layer', low=1)
  width: int = field(2048, 'n of finite networks', low=1)
  ways: int = field(5, 'classes in a task', low=2)
  shots: int = field(1, 'support points of a class', low=1)
  queries: int = field(1, 'query points of a class', low=1)
  tasks: int = field(8, 'tasks in an outer step', low=1)
  inner_steps: int = field(1, 'inner steps in training', low=1)
  eval_tasks: int = field(400, 'tasks that a seed is judged on', low=1)
  eval_steps: int = field(1, 'inner steps when it is judged', low=1)
  first_lr: float = field(0.4, 'multiplier of the rate of layer 1', low=0)
  meta_lr: float = field(32.0, 'outer step size', low=0)
  inner_lr: float = field(0.354, 'inner step size', low=0)
  clip: float = field(
    0.1, 'largest norm of the summed gradient', low=0, low_open=True
  )
  alpha: float = field(1.0, 'multiplier of the output', low=0, low_open=True)
  bias_alpha: float = field(1.414, 'multiplier of biases', low=0)
  cosine: bool = field(True, 'anneal the outer rate to 0')
  steps: int = field(400, 'outer steps', low=1)
  records: int = field(8, 'records over the run', low=1)
  seeds: int = field(1, 'seeds', low=1)
  fixed: ClassVar[tuple[str, ...]] = (
    *('steps', 'records', 'task', 'eval_tasks', 'eval_steps', 'd'),
  )

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    yield from super().check()
    if self.task == 'gaussian' and self.signal_rank > self.d:
      yield Problem('signal_rank', self.signal_rank, f'at most d = {self.d}')
    if self.task == 'omniglot' and self.shots + self.queries > 20:
      expected = f'at most {20 - self.shots}: 20 drawings of a character'
      yield Problem('queries', self.queries, expected)
    if self.model == 'pinet' and self.width < self.rank:
      yield Problem('width', self.width, f'at least rank = {self.rank}')


_CIFAR = Train(
  task='cifar10',
  points=3000,
  seeds=1,
  rank=200,
  batch=8,
  lr=1.0,
  clip=0.4,
  clip_each=True,
  weight_decay=1e-5,
  decay_scaled=False,
  bias_alpha=0.5,
  last_alpha=0.5,
  first_lr=0.1,
  last_lr=4.0,
  drop_at=0.8,
  steps=1500,
  records=5,
)
VARIANTS: Variants = {
  'quick': (
    'XOR clusters: the limit learns the features, the NTK lacks the points: '
    'a minute',
    Train(depth=1, sweep={'model': ('limit', 'pinet', 'ntk')}),
  ),
  'xor': (
    'the same with every model, deep and shallow, over seeds',
    Train(
      seeds=5,
      sweep={'model': MODELS, 'depth': (1, 2)},
    ),
  ),
  'far': (
    'XOR clusters in R^2000: the NTK is at chance, the limit is not',
    # A kernel has to tell d²/2 = 2·10⁶ products apart and has n = 5,000 points,
    # μ⁴n/d² = 0.19. Gradient descent sees the matrix (1/n) Σ y ξξᵀ d, in which
    # a mean counts μ²/2 = 6.1 and noise 2√(d/n) + d/n = 1.7; r²/2 = 800 << n
    # products of the first r directions cannot fit the points before. α₁ =
    # √(d/r) makes pre-activations of unit size.
    Train(
      d=2000, mu=3.5, points=5000, batch=100, depth=1, rank=40, lr=1.0,
      first_alpha=50**0.5, steps=400, records=8, seeds=1,
      sweep={'model': ('limit', 'ntk')},
    ),
  ),
  'modular': (
    'x + y mod p: where the NTK does not generalise',
    Train(
      task='modular',
      rank=22,
      batch=85,
      depth=1,
      lr=1.0,
      weight_decay=1e-3,
      steps=600,
      sweep={'model': ('limit', 'pinet', 'particles', 'ntk')},
    ),
  ),
  'convergence': (
    'rms error of π-nets over seeds falls as n^-1/2',
    Convergence(sweep={'width': (32, 100, 320, 1000)}),
  ),
  'depth': (
    'what a layer costs, and does: XOR clusters',
    Train(
      d=40, steps=800, records=40, seeds=1,
      sweep={'depth': (1, 2, 3, 4)},
    ),
  ),
  'rank': (
    'what a direction costs, and does: XOR clusters',
    Train(
      d=40, steps=800, records=40, seeds=1,
      sweep={'rank': (10, 20, 40, 80)},
    ),
  ),
  'cifar10': (
    'CIFAR-10 on the 4,000 exact images: limit, networks, kernels '
    '(--data_dir), minutes',
    dataclasses.replace(
      _CIFAR, sweep={'model': ('limit', 'pinet', 'munet', 'ntk', 'nngp')}
    ),
  ),
  'cifar10_full': (
    'the published recipe, 50 epochs of 50,000 images: days, resumable',
    dataclasses.replace(
      _CIFAR, task='cifar10_jpeg', points=50_000, tests=5_000, rank=400,
      steps=312_500, records=50,
    ),
  ),
  'transfer': (
    'features learnt on Omniglot characters, asked for MNIST digits '
    '(--data_dir)',
    Train(
      task='omniglot_to_mnist', rank=100, batch=20, lr=1.0, bias_alpha=0.5,
      tests=1000, points=300, steps=1000, records=5, seeds=1,
      sweep={'model': ('limit', 'munet', 'nngp')},
    ),
  ),
  'maml': (
    'few-shot learning of Gaussian classes by second-order MAML',
    Maml(
      task='gaussian', rank=64, depth=2, steps=300, meta_lr=1.0,
      inner_lr=1.0, clip=0.5, bias_alpha=0.0, width=512, first_lr=1.0,
      sweep={'model': ('limit', 'pinet', 'ntk')},
    ),
  ),
  'omniglot_maml': (
    'Omniglot 5-way 1-shot by second-order MAML (--data_dir)',
    Maml(sweep={'model': ('limit', 'pinet', 'munet', 'ntk')}),
  ),
  'omniglot_full': (
    'the published recipe, 50,000 outer steps: days, resumable',
    Maml(rank=400, steps=50_000, records=50, eval_tasks=1000),
  ),
}  # fmt: skip

get_config = variants(VARIANTS)
