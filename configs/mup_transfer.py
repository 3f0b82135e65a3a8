"""Finite-width muP: one variant a figure.

python -m experiments.mup_transfer --config=:VARIANT
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

from framework.config import Problem, Run, Variants, field, variants

# Fields that a task does not look at: axes that would do nothing.
_IDLE = {
  'teacher': ('case', 'heads', 'context', 'corpus', 'characters'),
  'mnist': ('case', 'heads', 'context', 'corpus', 'characters'),
  'text': ('case', 'rows', 'activation'),
  'regression': (
    *('rule', 'weight_decay', 'momentum', 'zero_readout'),
    *('rows', 'batch', 'fixed_batch', 'evaluated'),
    *('heads', 'context', 'corpus', 'characters'),
  ),
}


@dataclasses.dataclass(frozen=True)
class Config(Run):
  """All that decides the result of a run. Fields of `Hp` can be lanes."""

  # What is fixed in the compiled program.
  task: str = field(
    'teacher',
    'teacher: classes of a random network; mnist: digits; text: the next '
    'character (a transformer); regression: abc-parametrisations on four '
    'points',
    choices=('teacher', 'mnist', 'text', 'regression'),
  )
  width: int = field(128, 'n, neurons a layer', low=1)
  base_width: int = field(64, 'width at which muP is SP', low=1)
  optimizer: str = field('adam', 'of all weights', choices=('sgd', 'adam'))
  depth: int = field(2, 'hidden layers or blocks', low=1)
  activation: str = field(
    'relu',
    "φ of perceptrons; gelu is its approximation by tanh, flax's own",
    choices=('relu', 'tanh', 'gelu', 'linear'),
  )
  heads: int = field(4, 'heads of the transformer', low=1)
  context: int = field(32, 'characters that it sees', low=1)
  rows: int = field(4096, 'points to learn', low=64)
  batch: int = field(64, 'rows of a step', low=1)
  fixed_batch: bool = field(False, 'the same batch at every step')
  evaluated: int = field(1024, 'training rows that the loss is taken on', low=1)
  zero_readout: bool = field(True, 'whether the readout starts at zero')
  corpus: str = field(
    'wiki-0',
    'text that is learnt',
    choices=(
      'wiki-0',
      'wiki-1',
      'wiki-2',
      'wiki-3',
      'wiki-dense',
      'factbook',
      'classics',
    ),
  )
  characters: int = field(1_000_000, 'of the corpus, from the first', low=1000)
  # Hyperparameters: traced, so that every value can be a lane.
  lr: float | None = field(
    None,
    'η at the base width; open: 0.5 with sgd, 0.01 with adam, which a '
    'coordinate check needs to be large',
    low=0,
    low_open=True,
  )
  rule: int = field(
    1,
    '0 SP; 1, 2, 3 muP by Table 8, 3, 9; 4 no readout multiplier, 5 Adam rate '
    'not scaled, 6 fan-in and fan-out swapped',
    low=0,
    high=6,
  )
  weight_decay: float = field(0.0, 'λ', low=0)
  momentum: float = field(0.0, 'of SGD', low=0, high=1, high_open=True)
  case: int = field(0, 'which parametrisation of task=regression', low=0)
  # What is recorded.
  steps: int = field(100, 'steps T', low=1)
  records: int = field(10, 'records', low=1)
  dense: int = field(3, 'steps up to which every one is recorded', low=0)
  seeds: int = field(2, 'seeds', low=1)
  fixed: ClassVar[tuple[str, ...]] = (
    *('steps', 'records', 'dense'),
    *('task', 'depth', 'base_width'),
  )

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    yield from super().check()
    if self.task == 'text':
      for name in ('width', 'base_width'):
        for value in self.axis(name):
          if value % self.heads:
            yield Problem(name, value, f'a multiple of heads = {self.heads}')
      if self.characters < 2 * self.context:
        least = 2 * self.context
        yield Problem('characters', self.characters, f'at least {least}')
    if self.task in ('teacher', 'mnist') and self.rows < self.batch:
      yield Problem('rows', self.rows, f'at least batch = {self.batch}')
    if self.task == 'mnist' and self.rows > 60_000:
      yield Problem('rows', self.rows, 'at most the 60000 training images')
    # Among other rules, for Adam as well, it is swept over and not looked at.
    if self.optimizer == 'sgd' and self.rule == 5 and 'rule' not in self.sweep:
      yield Problem('rule', 5, 'another for sgd: it is a mistake of Adam')
    idle = _IDLE[self.task]
    if self.axis('optimizer') == ('adam',):
      idle = (*idle, 'momentum')
    for name in self.sweep:
      if name in idle:
        expected = f'an axis that task={self.task} looks at'
        yield Problem(f'sweep.{name}', name, expected)


def _powers(low: int, high: int) -> tuple[float, ...]:
  """Factors of two."""
  return tuple(2.0**k for k in range(low, high + 1))


_WIDTHS = (64, 128, 256, 512, 1024)
_ABC_WIDTHS = (128, 256, 512, 1024, 2048)
_MNIST: dict[str, Any] = {
  'task': 'mnist',
  'rows': 20_000,
  'steps': 200,
  'records': 20,
  'seeds': 4,
}
_TEACHER: dict[str, Any] = {'steps': 120, 'records': 24, 'seeds': 4}
_DICHOTOMY_OF: dict[str, Any] = {
  'task': 'regression',
  'activation': 'tanh',
  'steps': 3,
  'records': 1,
  'dense': 0,
  'precision': 'float64',
}

VARIANTS: Variants = {
  'quick': (
    'SP and muP from width 32 to 256: coordinates and best learning rates',
    Config(
      base_width=32,
      sweep={
        'width': (32, 64, 128, 256),
        'rule': (0, 1),
        'lr': _powers(-11, -4),
      },
    ),
  ),
  'coord_check': (
    'sizes of activations from width 64 to 2048, and three classic mistakes',
    Config(
      depth=3,
      fixed_batch=True,
      evaluated=64,
      steps=3,
      records=3,
      seeds=5,
      sweep={
        'width': (64, 128, 256, 512, 1024, 2048),
        'optimizer': ('sgd', 'adam'),
        'rule': (0, 1, 4, 5, 6),
      },
    ),
  ),
  'transfer': (
    'TP5 Figure 1: loss against learning rate, Adam on MNIST, widths to 1024',
    Config(
      **_MNIST,
      sweep={'width': _WIDTHS, 'rule': (0, 1), 'lr': _powers(-12, -5)},
    ),
  ),
  'transfer_sgd': (
    'the same with SGD',
    Config(
      **_MNIST,
      optimizer='sgd',
      sweep={'width': _WIDTHS, 'rule': (0, 1), 'lr': _powers(-7, 1)},
    ),
  ),
  'transfer_teacher': (
    'the same with Adam on the classes of a random network, 64 inputs',
    Config(
      **_TEACHER,
      sweep={'width': _WIDTHS, 'rule': (0, 1), 'lr': _powers(-12, -5)},
    ),
  ),
  'transfer_teacher_sgd': (
    'the same with SGD',
    Config(
      **_TEACHER,
      optimizer='sgd',
      sweep={'width': _WIDTHS, 'rule': (0, 1), 'lr': _powers(-5, 2)},
    ),
  ),
  'transfer_text': (
    'the same with Adam and a transformer on characters, widths 32 to 256',
    Config(
      task='text',
      base_width=32,
      batch=16,
      evaluated=128,
      steps=200,
      records=20,
      dense=0,
      sweep={
        'width': (32, 64, 128, 256),
        'rule': (0, 1),
        'lr': _powers(-11, -4),
      },
    ),
  ),
  'dichotomy': (
    'exponents of function and feature change over a lattice of (a, b, c)',
    Config(
      **_DICHOTOMY_OF,
      optimizer='sgd',
      lr=0.3,
      seeds=32,  # f(0), of a kernel of the order of one, differs by seed
      sweep={'width': _ABC_WIDTHS, 'case': tuple(range(34))},
    ),
  ),
  'dichotomy_adam': (
    'the same with Adam',
    Config(
      **_DICHOTOMY_OF,
      lr=0.03,
      seeds=8,
      sweep={'width': _ABC_WIDTHS, 'case': tuple(range(29))},
    ),
  ),
}

get_config = variants(VARIANTS)
