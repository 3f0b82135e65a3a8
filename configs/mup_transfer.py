"""Finite-width muP: one variant a figure.

python -m experiments.mup_transfer --config=:VARIANT
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from framework.config import Problem, field

_TRAINING = ('lr', 'rule', 'weight_decay', 'momentum')
_DICHOTOMY = ('lr', 'case')
_LARGE_RATES = {'sgd': 0.5, 'adam': 0.01}


@dataclasses.dataclass(frozen=True)
class Config:
  """All that decides the result of a run. Fields of `Hp` can be lanes."""

  variant: str = field(
    'quick',
    'which claims and figures are made of the results',
    choices=(
      'quick',
      'coord_check',
      'transfer',
      'transfer_sgd',
      'transfer_text',
      'transfer_teacher',
      'transfer_teacher_sgd',
      'dichotomy',
      'dichotomy_adam',
    ),
  )
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
    'relu', 'φ of perceptrons', choices=('relu', 'tanh', 'gelu', 'linear')
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
  first_seed: int = field(0, 'the first of them', low=0)
  precision: str = field(
    'float32', 'of all numbers', choices=('float32', 'float64')
  )
  sweep: Mapping[str, tuple] = field({}, 'the grid')

  def resolved(self) -> 'Config':
    """With what was left open filled in."""
    if self.lr is not None:
      return self
    return dataclasses.replace(self, lr=_LARGE_RATES[self.optimizer])

  @property
  def hp_fields(self) -> tuple[str, ...]:
    """Fields that are lanes of this task."""
    return _DICHOTOMY if self.task == 'regression' else _TRAINING

  def check(self) -> Iterable[Problem]:
    """Rules across fields."""
    if self.task == 'text':
      for name in ('width', 'base_width'):
        for value in self.sweep.get(name, (getattr(self, name),)):
          if value % self.heads:
            yield Problem(name, value, f'a multiple of heads = {self.heads}')
      if self.characters < 2 * self.context:
        yield Problem(
          'characters', self.characters, f'at least {2 * self.context}'
        )
    if self.task in ('teacher', 'mnist') and self.rows < self.batch:
      yield Problem('rows', self.rows, f'at least batch = {self.batch}')
    if self.task == 'mnist' and self.rows > 60_000:
      yield Problem('rows', self.rows, 'at most the 60000 training images')
    # Among other rules, for Adam as well, it is swept over and not looked at.
    if self.optimizer == 'sgd' and self.rule == 5 and 'rule' not in self.sweep:
      yield Problem('rule', 5, 'another for sgd: it is a mistake of Adam')
    for name in self.sweep:
      if name in (
        'steps',
        'records',
        'dense',
        'seeds',
        'first_seed',
        'precision',
        'variant',
        'sweep',
        'task',
        'depth',
        'base_width',
      ):
        yield Problem(f'sweep.{name}', name, f'an axis other than {name}')
      elif name in {*_TRAINING, *_DICHOTOMY} - {*self.hp_fields}:
        fields = ', '.join(self.hp_fields)
        yield Problem(
          f'sweep.{name}', name, f'one of {fields} for task={self.task}'
        )


def _powers(low: int, high: int) -> tuple[float, ...]:
  """Factors of two."""
  return tuple(2.0**k for k in range(low, high + 1))


_WIDTHS = (64, 128, 256, 512, 1024)
_ABC_WIDTHS = (128, 256, 512, 1024, 2048)
_MNIST = {
  'task': 'mnist',
  'rows': 20_000,
  'steps': 200,
  'records': 20,
  'seeds': 4,
}
_TEACHER = {'steps': 120, 'records': 24, 'seeds': 4}
_DICHOTOMY_OF = {
  'task': 'regression',
  'activation': 'tanh',
  'steps': 3,
  'records': 1,
  'dense': 0,
  'seeds': 8,
  'lr': 0.3,
  'precision': 'float64',
}

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
  'quick': (
    'SP and muP from width 32 to 256: coordinates and best learning rates',
    {
      'base_width': 32,
      'sweep': {
        'width': (32, 64, 128, 256),
        'rule': (0, 1),
        'lr': _powers(-11, -4),
      },
    },
  ),
  'coord_check': (
    'sizes of activations from width 64 to 2048, and three classic mistakes',
    {
      'depth': 3,
      'fixed_batch': True,
      'evaluated': 64,
      'steps': 3,
      'records': 3,
      'seeds': 5,
      'sweep': {
        'width': (64, 128, 256, 512, 1024, 2048),
        'optimizer': ('sgd', 'adam'),
        'rule': (0, 1, 4, 5, 6),
      },
    },
  ),
  'transfer': (
    'TP5 Figure 1: loss against learning rate, Adam on MNIST, widths to 1024',
    {
      **_MNIST,
      'sweep': {'width': _WIDTHS, 'rule': (0, 1), 'lr': _powers(-12, -5)},
    },
  ),
  'transfer_sgd': (
    'the same with SGD',
    {
      **_MNIST,
      'optimizer': 'sgd',
      'sweep': {'width': _WIDTHS, 'rule': (0, 1), 'lr': _powers(-7, 1)},
    },
  ),
  'transfer_teacher': (
    'the same with Adam on the classes of a random network, 64 inputs',
    {
      **_TEACHER,
      'sweep': {'width': _WIDTHS, 'rule': (0, 1), 'lr': _powers(-12, -5)},
    },
  ),
  'transfer_teacher_sgd': (
    'the same with SGD',
    {
      **_TEACHER,
      'optimizer': 'sgd',
      'sweep': {'width': _WIDTHS, 'rule': (0, 1), 'lr': _powers(-5, 2)},
    },
  ),
  'transfer_text': (
    'the same with Adam and a transformer on characters, widths 32 to 256',
    {
      'task': 'text',
      'base_width': 32,
      'batch': 16,
      'evaluated': 128,
      'steps': 200,
      'records': 20,
      'dense': 0,
      'sweep': {
        'width': (32, 64, 128, 256),
        'rule': (0, 1),
        'lr': _powers(-11, -4),
      },
    },
  ),
  'dichotomy': (
    'exponents of function and feature change over a lattice of (a, b, c)',
    _DICHOTOMY_OF
    | {
      'optimizer': 'sgd',
      'seeds': 32,  # f(0), of a kernel of the order of one, differs by seed
      'sweep': {'width': _ABC_WIDTHS, 'case': tuple(range(34))},
    },
  ),
  'dichotomy_adam': (
    'the same with Adam',
    _DICHOTOMY_OF
    | {
      'lr': 0.03,
      'sweep': {'width': _ABC_WIDTHS, 'case': tuple(range(29))},
    },
  ),
}


def get_config(variant: str = 'quick') -> Config:
  """The config of a variant.

  Args:
    variant: One of `VARIANTS`.

  Returns:
    A `Config`.

  Raises:
    ValueError: If there is no such variant.
  """
  if variant not in VARIANTS:
    raise ValueError(f'no variant {variant!r}; there are {", ".join(VARIANTS)}')
  return Config(variant=variant, **VARIANTS[variant][1])
