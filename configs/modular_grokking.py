"""Grokking at the edge of numerical stability: one variant a figure.

python -m experiments.modular_grokking --config=:VARIANT
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

from framework.config import Problem, Run, Variants, field, variants

# What a method sets; all else is as the config has it.
METHODS: dict[str, dict[str, Any]] = {
  'custom': {},
  'ce16': {'compute_dtype': 'float16'},
  'ce32': {},
  'ce64': {'compute_dtype': 'float64'},
  'stablemax': {'loss': 'stablemax', 'compute_dtype': 'float64'},
  'perp': {'gradient': 'perp'},
  'perp_unscaled': {'gradient': 'perp', 'rescale': False},
  'perp_matched': {'gradient': 'perp', 'matched': True},
  'perp_stablemax': {
    'gradient': 'perp',
    'loss': 'stablemax',
    'compute_dtype': 'float64',
  },
  'perp_sgd': {
    'gradient': 'perp',
    'optimizer': 'sgd',
    'loss': 'stablemax',
    'compute_dtype': 'float64',
    'momentum': 0.8,
    'lr': 10.0,
  },
  'grokfast_ema': {'gradient': 'grokfast_ema'},
  'grokfast_ema_matched': {'gradient': 'grokfast_ema', 'matched': True},
  'grokfast_ma': {'gradient': 'grokfast_ma', 'lamb': 5.0},
  'grokfast_ma_matched': {
    'gradient': 'grokfast_ma',
    'lamb': 5.0,
    'matched': True,
  },
  'hot': {'temperature': 10.0},
  'smoothed': {'smoothing': 0.1},
  'stopped': {'compute_dtype': 'float64', 'intervention': 'stop'},
  'zeroed': {'compute_dtype': 'float64', 'intervention': 'zero'},
  'decayed': {'weight_decay': 1.0},
}
# Fields that only the method `custom` leaves to the config.
_OWN = {
  'loss': 'softmax',
  'compute_dtype': 'float32',
  'gradient': 'raw',
  'optimizer': 'adamw',
  'rescale': True,
  'matched': False,
  'intervention': 'none',
}


@dataclasses.dataclass(frozen=True)
class Config(Run):
  """All that decides the result of a run."""

  # What is fixed in the compiled program.
  method: str = field(
    'ce32',
    'loss, its precision and the filter of the gradient by name; custom for '
    'those of the fields below',
    choices=tuple(METHODS),
  )
  loss: str = field('softmax', 'of custom', choices=('softmax', 'stablemax'))
  compute_dtype: str = field(
    'float32',
    'arithmetic of the loss (custom)',
    choices=('float16', 'float32', 'float64'),
  )
  gradient: str = field(
    'raw',
    'filter of the gradient (custom)',
    choices=('raw', 'perp', 'grokfast_ema', 'grokfast_ma', 'unit'),
  )
  optimizer: str = field('adamw', 'of custom', choices=('adamw', 'sgd'))
  rescale: bool = field(True, '⊥Grad keeps the norm of the gradient (custom)')
  matched: bool = field(False, 'steps as long as unfiltered ones (custom)')
  intervention: str = field(
    'none',
    'stop: no gradient of the correct class, zero: its logit times 0 (custom)',
    choices=('none', 'stop', 'zero'),
  )
  task: str = field(
    'modular', 'what is learnt', choices=('modular', 'parity', 'mnist')
  )
  modulus: int = field(41, 'p of x ∘ y mod p', low=2, high=1000)
  operation: str = field('add', 'x ∘ y', choices=('add', 'subtract', 'product'))
  encoding: str = field(
    'one_hot',
    'of pairs; transformers take tokens',
    choices=('one_hot', 'binary', 'token'),
  )
  lowest: int = field(0, 'smallest operand', low=0)
  parity_k: int = field(3, 'bits that count', low=1)
  parity_bits: int = field(43, 'bits in all', low=1, high=62)
  rows: int = field(2000, 'bit strings', low=2)
  mnist_train: int = field(200, 'images to train on', low=1, high=10_000)
  mnist_test: int = field(2000, 'images to test on', low=1, high=10_000)
  split: str | None = field(
    None,
    'npz file with a stored split <task>_train_idx; drawn when none',
    file=True,
  )
  train_fraction: float = field(
    0.75, 'share of the table to train on', low=0, high=1, low_open=True
  )
  model: str = field(
    'mlp',
    'the network: transformer is the authors’, nanda that of Nanda et al.',
    choices=('mlp', 'transformer', 'nanda'),
  )
  width: int = field(200, 'units of each hidden layer', low=1)
  layers: int = field(2, 'hidden layers', low=0)
  bias: bool = field(False, 'whether the layers of the MLP have biases')
  dropout: float = field(
    0.1, 'of the transformer, in training', low=0, high=1, high_open=True
  )
  window: int = field(100, 'gradients in the moving average', low=1)
  moments: str = field(
    'scaled',
    'of Adam: of 2^40 g, or plain, which underflow',
    choices=('scaled', 'plain'),
  )
  # Hyperparameters: traced, so that every value can be a lane.
  lr: float = field(0.005, 'learning rate', low=0, low_open=True)
  weight_decay: float = field(0.0, 'decoupled weight decay', low=0)
  beta1: float = field(0.9, 'β_1 of Adam', low=0, high=1, high_open=True)
  beta2: float = field(0.99, 'β_2 of Adam', low=0, high=1, high_open=True)
  eps: float = field(1e-25, 'ε of Adam', low=0, low_open=True)
  momentum: float = field(0.0, 'of SGD', low=0, high=1, high_open=True)
  logit_scale: float = field(
    1.0, 'factor c of the logits; lr is divided by c²', low=0, low_open=True
  )
  temperature: float = field(1.0, 'T of the softmax', low=0, low_open=True)
  smoothing: float = field(0.0, 'ε of label smoothing', low=0, high=1)
  init_scale: float = field(
    1.0, 'factor of all weights at the start', low=0, low_open=True
  )
  alpha: float = field(
    0.98, 'decay of Grokfast’s average', low=0, high=1, high_open=True
  )
  lamb: float = field(2.0, 'gain λ of Grokfast', low=0)
  intervene_at: int = field(0, 'first step of the intervention', low=0)
  # What is recorded.
  steps: int = field(300, 'steps T', low=1)
  records: int = field(30, 'records, evenly spaced', low=1)
  seeds: int = field(4, 'seeds (split and start)', low=1)
  precision: str = field(
    'float32',
    'float64 switches 64-bit types on, which a float64 loss needs; parameters '
    'stay float32',
    choices=('float32', 'float64'),
  )
  fixed: ClassVar[tuple[str, ...]] = (
    'steps',
    'records',
    'split',
    'task',
    'model',
    'modulus',
  )

  def check(self) -> Iterable[Problem]:
    """Rules that join fields."""
    yield from super().check()
    if self.method != 'custom':
      for name, default in _OWN.items():
        if getattr(self, name) != default or name in self.sweep:
          yield Problem(
            name, getattr(self, name), f'method custom, not {self.method}'
          )
    methods = self.axis('method')
    for name in self.sweep:
      if any(name in METHODS.get(method, {}) for method in methods):
        yield Problem(f'sweep.{name}', name, 'an axis that no method sets')
    dtypes = {
      METHODS[m].get('compute_dtype', self.compute_dtype)
      for m in methods
      if m in METHODS
    } | set(self.sweep.get('compute_dtype', ()))
    if 'float64' in dtypes and self.precision != 'float64':
      yield Problem(
        'precision', self.precision, 'float64, which a float64 loss needs'
      )
    if (self.model == 'mlp') == (self.encoding == 'token'):
      yield Problem(
        'encoding',
        self.encoding,
        'one_hot or binary with an MLP, token with a transformer',
      )
    if self.model != 'mlp' and self.task != 'modular':
      yield Problem('model', self.model, f'mlp for the task {self.task}')
    if self.task == 'parity' and self.parity_k > self.parity_bits:
      yield Problem(
        'parity_k', self.parity_k, f'at most parity_bits = {self.parity_bits}'
      )
    if self.split and self.task == 'mnist':
      yield Problem('split', self.split, 'none for mnist, whose split is drawn')


# The paper's own size; mod 41 is a small form of it.
_PAPER = {'modulus': 113, 'train_fraction': 0.4}

VARIANTS: Variants = {
  'quick': (
    'mod 41: ⊥Grad generalises in 100 steps, AdamW memorises',
    Config(
      steps=160,
      records=16,
      seeds=4,
      sweep={'method': ('ce32', 'perp')},
    ),
  ),
  'collapse': (
    'Figs 2, 4: the precision of the softmax decides how far CE gets',
    Config(
      width=100,
      train_fraction=0.85,
      lr=0.002,
      steps=6000,
      records=30,
      seeds=5,
      precision='float64',
      sweep={'method': ('ce16', 'ce32', 'ce64')},
    ),
  ),
  'stablemax': (
    'Figs 1, 4: StableMax groks without regularisation, CE does not',
    Config(
      width=100,
      lr=0.02,
      beta2=0.999,
      steps=24_000,
      records=96,
      seeds=5,
      precision='float64',
      sweep={'method': ('ce32', 'stablemax')},
    ),
  ),
  'perp_grad': (
    'Figs 1, 6: ⊥Grad generalises without the delay',
    Config(
      steps=500,
      records=50,
      seeds=5,
      precision='float64',
      sweep={'method': ('ce32', 'perp', 'perp_unscaled', 'perp_stablemax')},
    ),
  ),
  'weight_decay': (
    'Fig 6: weight decay groks, later; CE without it does not in 8000 steps',
    Config(
      width=100,
      lr=0.01,
      beta2=0.999,
      steps=8000,
      records=80,
      seeds=5,
      sweep={'weight_decay': (0.0, 0.1, 0.3, 1.0)},
    ),
  ),
  'interventions': (
    'Figs 5, 15, 16: collapse by hand, temperature, label smoothing',
    Config(
      width=100,
      train_fraction=0.85,
      lr=0.002,
      steps=6000,
      records=30,
      seeds=4,
      intervene_at=2000,
      precision='float64',
      sweep={
        'method': ('ce32', 'ce64', 'stopped', 'zeroed', 'hot', 'smoothed')
      },
    ),
  ),
  'time_to_grok': (
    'when runs generalise: survival curves over many seeds',
    Config(
      steps=600,
      records=60,
      seeds=32,
      sweep={'method': ('ce32', 'decayed', 'perp')},
    ),
  ),
  'matched': (
    'Grokfast and ⊥Grad at the step lengths of plain AdamW',
    Config(
      steps=600,
      records=60,
      seeds=8,
      sweep={
        'method': (
          'ce32',
          'grokfast_ema',
          'grokfast_ema_matched',
          'perp',
          'perp_matched',
        ),
        'weight_decay': (0.0, 1.0),
      },
    ),
  ),
  'sparse_parity': (
    'Fig 4: StableMax learns the parity of 3 bits among 43',
    Config(
      task='parity',
      train_fraction=0.5,
      bias=True,
      lr=0.01,
      beta2=0.999,
      steps=8000,
      records=80,
      seeds=4,
      precision='float64',
      sweep={'method': ('ce32', 'stablemax')},
    ),
  ),
  'mnist': (
    'MNIST, 200 images: ⊥Grad and StableMax from a large start (real data)',
    Config(
      task='mnist',
      bias=True,
      lr=0.001,
      beta2=0.999,
      eps=1e-8,
      init_scale=8.0,
      steps=4000,
      records=40,
      seeds=4,
      precision='float64',
      sweep={'method': ('ce32', 'stablemax', 'perp')},
    ),
  ),
  'transformer': (
    'Fig 6b: a one-layer transformer on tokens',
    Config(
      model='nanda',
      encoding='token',
      lr=0.001,
      beta2=0.98,
      eps=1e-8,
      steps=600,
      records=30,
      seeds=2,
      sweep={'method': ('ce32', 'perp')},
    ),
  ),
  'paper': (
    'mod 113, 40 %: CE in three precisions (20,000 steps)',
    Config(
      **_PAPER,
      lr=5e-4,
      eps=1e-30,
      steps=20_000,
      records=100,
      seeds=1,
      precision='float64',
      sweep={'method': ('ce16', 'ce32', 'ce64')},
    ),
  ),
  'paper_perp': (
    'mod 113, 40 %: ⊥Grad and AdamW (300 steps)',
    Config(
      **_PAPER,
      lr=0.01,
      beta2=0.999,
      eps=1e-8,
      steps=300,
      records=30,
      seeds=2,
      sweep={'method': ('ce32', 'perp')},
    ),
  ),
  'paper_stablemax': (
    'mod 113, 40 %: StableMax (80,000 steps, hours)',
    Config(
      **_PAPER,
      lr=0.01,
      beta2=0.999,
      steps=80_000,
      records=160,
      seeds=1,
      precision='float64',
      sweep={'method': ('stablemax',)},
    ),
  ),
}


get_config = variants(VARIANTS)
