"""Infinite width: one variant a table or figure.

python -m experiments.infinite_width --config=:VARIANT

Three configs, by what is trained: `FewShot`, `Word2vec`, `Convergence`.
"""

import dataclasses
import re
from collections.abc import Iterable
from typing import Any, ClassVar

from framework.config import Problem, Run, Variants, field, variants

KERNELS = ('linear', 'gp', 'ntk')
LIMITS = (
  *('linear_sgd', 'linear_fomaml', 'linear_maml2'),
  *('tanh', 'erf', 'gelu'),
  *('linear_L2', 'linear_L3'),
  *('tanh_L2', 'relu_L2'),
)
SYNTHETIC = 'analogies'  # the corpus that is drawn


def width_of(model: str) -> int | None:
  """The width of a finite model, None of a limit.

  >>> width_of('w32'), width_of('limit')
  (32, None)
  """
  return int(model[1:]) if re.fullmatch(r'w[1-9]\d*', model) else None


def _open(doc: str, **bounds: Any) -> Any:
  return field(None, f'{doc}; open: what suits task and model', **bounds)


@dataclasses.dataclass(frozen=True)
class FewShot(Run):
  """MAML: all that decides the result of a run. Fields of `Hp` can be lanes."""

  # What is fixed in the compiled program.
  task: str = field(
    'gaussian',
    'gaussian: classes that differ in a subspace; omniglot: drawings',
    choices=('gaussian', 'omniglot'),
  )
  model: str = field(
    'limit', 'limit, wN (width N), or the kernels linear, gp, ntk'
  )
  d: int = field(64, 'inputs of Gaussian classes', low=2)
  rank: int = field(8, 'dimension of the subspace of Gaussian classes', low=1)
  ways: int = field(5, 'classes in a task', low=2)
  shots: int = field(1, 'support points of a class', low=1)
  queries: int = field(1, 'query points of a class', low=1)
  tasks: int = field(16, 'tasks in an outer step', low=1)
  inner_steps: int = field(1, 'inner steps in training', low=1)
  order: int = field(
    1, '2 differentiates through the inner steps', choices=(1, 2)
  )
  judged: str = field(
    'test',
    'characters that accuracy is measured on: validation to choose by',
    choices=('test', 'validation'),
  )
  eval_tasks: int = field(400, 'tasks that a seed is judged on', low=1)
  eval_steps: int = field(20, 'inner steps when it is judged', low=1)
  capacity: int = field(
    0, 'rows that a kernel has room for; 0: as many as it appends', low=0
  )
  kernel_precision: str = field(
    'float64', 'of kernels, at most precision', choices=('float32', 'float64')
  )
  # Hyperparameters: traced, so that every value can be a lane.
  meta_lr: float | None = _open('outer step size', low=0)
  inner_lr: float | None = _open('inner step size', low=0)
  clip: float = field(
    0.5, 'largest norm of the summed gradient', low=0, low_open=True
  )
  weight_decay: float = field(0.0, 'weight decay', low=0)
  momentum: float = field(
    0.0, 'momentum of networks', low=0, high=1, high_open=True
  )
  sigma1: float | None = _open('of first weights', low=0)
  sigma2: float | None = _open('of second weights', low=0)
  alpha: float = field(1.0, 'multiplier of the output', low=0, low_open=True)
  bias_alpha: float | None = _open('multiplier of biases', low=0)
  var_w: float | None = _open("kernels' variance of weights", low=0)
  var_b: float | None = _open("kernels' variance of biases", low=0)
  var_v: float | None = _open("kernels' variance of readouts", low=0)
  signal: float = field(
    1.0, 'standard deviation of class means in the subspace', low=0
  )
  # What is recorded.
  steps: int = field(250, 'outer steps', low=1)
  records: int = field(10, 'records over the run', low=1)
  seeds: int = field(3, 'seeds', low=1)
  precision: str = field(
    'float64', 'of all other numbers', choices=('float32', 'float64')
  )
  fixed: ClassVar[tuple[str, ...]] = (
    *('steps', 'records', 'task', 'eval_tasks', 'eval_steps'),
    *('d', 'capacity', 'judged'),
  )

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    yield from super().check()
    yield from _known(self.model, ('limit', *KERNELS), 'w128')
    if self.model in KERNELS:
      if self.order == 2:
        yield Problem('order', 2, f'1 for model={self.model}')
      need = self.steps * self.tasks * self.ways * self.queries
      if self.capacity and self.task == 'omniglot':
        expected = '0 for task=omniglot: no rows are appended'
        yield Problem('capacity', self.capacity, expected)
      elif 0 < self.capacity < need:
        yield Problem(
          'capacity',
          self.capacity,
          f'0, or at least the {need} rows it appends',
        )
    if self.task == 'gaussian' and self.judged != 'test':
      yield Problem('judged', self.judged, 'test for task=gaussian')
    if self.task == 'gaussian' and self.rank > self.d:
      yield Problem('rank', self.rank, f'at most d = {self.d}')
    if self.task == 'omniglot' and self.shots + self.queries > 20:
      yield Problem(
        'queries',
        self.queries,
        f'at most {20 - self.shots}: 20 drawings of a character',
      )
    idle = ('signal', 'rank') if self.task == 'omniglot' else ()
    for path in idle:
      if path in self.sweep:
        expected = f'an axis that task={self.task} looks at'
        yield Problem(f'sweep.{path}', path, expected)


@dataclasses.dataclass(frozen=True)
class Word2vec(Run):
  """word2vec: all that decides the result of a run."""

  # What is fixed in the compiled program.
  corpus: str = field(
    SYNTHETIC,
    'analogies: drawn sentences; or texts such as wiki-0+wiki-1, one after the '
    'other',
  )
  model: str = field(
    'limit',
    'limit, limit_2v (the same in rows of 2V), kernel (frozen), wN (width N)',
  )
  words: int = field(60_000, 'length of drawn sentences', low=17)
  questions: int = field(2000, 'asked about drawn sentences', low=1)
  min_count: int = field(5, 'least occurrences of a word of a text', low=1)
  vocabulary: int = field(
    0, 'most words of a text, the most frequent; 0: all', low=0
  )
  window: int = field(8, 'most words of context on either side', low=1)
  negatives: int = field(25, 'sampled words', low=1)
  subsample: float = field(
    0.0, 'words more frequent are dropped at times; 0: none', low=0
  )
  chunk: int = field(1000, 'words of a step: a sentence', low=2)
  epochs: int = field(2, 'how often the text is read', low=1)
  eval_words: int = field(500, 'words that the loss is observed on', low=1)
  # Hyperparameters: traced, so that every value can be a lane.
  lr: float = field(0.05, 'step size at the first word', low=0)
  weight_decay: float = field(0.001, 'of a row when it is touched', low=0)
  # What is recorded.
  records: int = field(12, 'records over the run', low=1)
  seeds: int = field(3, 'seeds', low=1)

  fixed: ClassVar[tuple[str, ...]] = (
    *('corpus', 'words', 'questions', 'min_count', 'vocabulary'),
    *('window', 'negatives', 'subsample', 'chunk', 'epochs'),
    *('eval_words', 'records'),
  )

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    yield from super().check()
    yield from _known(self.model, ('limit', 'limit_2v', 'kernel'), 'w64')
    if self.corpus == SYNTHETIC and self.subsample > 0:
      expected = f'0 with corpus={SYNTHETIC}'
      yield Problem('subsample', self.subsample, expected)


@dataclasses.dataclass(frozen=True)
class Convergence(Run):
  """Networks against limits: all that decides the result of a run."""

  # What is fixed in the compiled program.
  limit: str = field(
    'linear_sgd',
    'linear_*: one linear layer under SGD, MAML of first and of second order; '
    'tanh, erf, gelu (exact, u Φ(u)): one layer, quadrature; linear_L*: deep '
    'linear; *_L2: two layers, particles',
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
  precision: str = field(
    'float64', 'of all numbers', choices=('float32', 'float64')
  )
  fixed: ClassVar[tuple[str, ...]] = ('steps', 'nodes', 'particles', 'batches')


def _known(
  model: str, names: tuple[str, ...], example: str
) -> Iterable[Problem]:
  if model not in names and width_of(model) is None:
    expected = f'{", ".join(names)} or a width such as {example}'
    yield Problem('model', model, expected)


_OMNIGLOT: dict[str, Any] = {
  'task': 'omniglot',
  'tasks': 32,
  'kernel_precision': 'float32',
}
VARIANTS: Variants = {
  'quick': (
    'the limit learns features, its kernels do not: Gaussian classes, a minute',
    FewShot(
      seeds=2,
      steps=200,
      records=5,
      eval_tasks=300,
      sweep={'model': ('limit', 'w512', 'linear', 'gp', 'ntk')},
    ),
  ),
  'feature_learning': (
    'the same over widths, with error bars',
    FewShot(
      seeds=5,
      eval_tasks=1000,
      sweep={
        'model': (
          *('limit', 'w8', 'w32', 'w128', 'w512'),
          *('linear', 'gp', 'ntk'),
        )
      },
    ),
  ),
  'omniglot_quick': (
    'Omniglot 5-way 1-shot in two minutes: the limit above its kernels',
    FewShot(
      **_OMNIGLOT,
      steps=200,
      records=4,
      seeds=1,
      eval_tasks=500,
      sweep={'model': ('limit', 'w512', 'linear', 'gp', 'ntk')},
    ),
  ),
  'omniglot_maml': (
    'Figure of Omniglot MAML: widths, limit and kernels at the full recipe',
    FewShot(
      **_OMNIGLOT,
      steps=10_000,
      records=20,
      seeds=4,
      eval_tasks=2000,
      sweep={
        'model': (
          *('limit', 'w2', 'w8', 'w32', 'w128', 'w512', 'w2048', 'w8192'),
          *KERNELS,
        )
      },
    ),
  ),
  'omniglot_kernels': (
    'no learning rate lets a kernel learn from tasks',
    FewShot(
      **_OMNIGLOT,
      judged='validation',
      steps=300,
      records=3,
      seeds=1,
      eval_tasks=2000,
      sweep={
        'model': KERNELS,
        'inner_lr': (0.1, 0.4, 1.0),
        'meta_lr': (0.001, 0.01, 0.1, 1.0, 10.0),
      },
    ),
  ),
  'omniglot_order': (
    'first-order MAML can climb its own loss, second order does not',
    FewShot(
      **_OMNIGLOT,
      steps=1000,
      records=20,
      seeds=8,
      eval_tasks=500,
      sweep={
        'model': ('limit', 'w2', 'w8', 'w32', 'w128', 'w512'),
        'order': (1, 2),
      },
    ),
  ),
  'word2vec': (
    'word analogies over widths, in the limit and with frozen features, on '
    'drawn sentences: minutes',
    Word2vec(
      seeds=5,
      sweep={
        'model': (
          *('w16', 'w64', 'w256', 'w1024'),
          *('limit', 'kernel', 'limit_2v'),
        )
      },
    ),
  ),
  'word2vec_text': (
    'the same on a text, by the published questions; --config.corpus, '
    '.vocabulary=0, .epochs=15 and .lr as far as there is memory and time',
    Word2vec(
      corpus='wiki-dense+factbook',
      vocabulary=5000,
      subsample=1e-4,
      epochs=5,
      records=5,
      seeds=1,
      sweep={'model': ('w16', 'w64', 'w256', 'w1024', 'limit', 'kernel')},
    ),
  ),
  'word2vec_paper': (
    'the same at the published size: 17 million words, 74,000 of them '
    'different; the limit takes 44 GB',
    Word2vec(
      corpus='wiki-0+wiki-1+wiki-2+wiki-3',
      subsample=1e-4,
      epochs=15,
      records=15,
      seeds=1,
      sweep={'model': ('w64', 'w256', 'w1024', 'kernel', 'limit')},
    ),
  ),
  'convergence': (
    'rms error over seeds falls as n^-1/2, for every limit',
    Convergence(sweep={'limit': LIMITS, 'width': (32, 100, 320, 1000)}),
  ),
}

get_config = variants(VARIANTS)
