"""What decides a grokking run: traced numbers and compiled structure."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp

from framework.systems.grokking import losses, tasks

__all__ = ['Hp', 'Structure']

_CHOICES = {
  'task': ('modular', 'parity', 'table'),
  'operation': tasks.OPERATIONS,
  'encoding': tasks.ENCODINGS,
  'model': ('mlp', 'transformer', 'nanda'),
  'loss': ('softmax', 'stablemax'),
  'compute_dtype': ('float16', 'float32', 'float64'),
  'gradient': ('raw', 'perp', 'grokfast_ema', 'grokfast_ma', 'unit'),
  'optimizer': ('adamw', 'sgd'),
  'moments': ('scaled', 'plain'),
  'intervention': ('none', 'zero', 'stop'),
}


class Hp(NamedTuple):
  """Traced numbers; each can be a lane."""

  lr: Any = 0.005
  weight_decay: Any = 0.0
  beta1: Any = 0.9
  beta2: Any = 0.99
  eps: Any = 1e-25
  momentum: Any = 0.0  # of SGD
  logit_scale: Any = 1.0
  temperature: Any = 1.0
  smoothing: Any = 0.0
  init_scale: Any = 1.0  # factor of all weights at the start
  alpha: Any = 0.98  # decay of Grokfast's average
  lamb: Any = 2.0  # Grokfast's gain
  intervene_at: Any = 0  # first step of the intervention, an integer


@dataclasses.dataclass(frozen=True)
class Structure:
  """What is fixed in the compiled program.

  Raises:
    ValueError: If a size or a name is out of range, naming it.
  """

  task: str = 'modular'  # 'parity', or 'table': examples given as data
  modulus: int = 41
  operation: str = 'add'
  encoding: str = 'one_hot'  # 'binary'; 'token' for transformers
  lowest: int = 0  # smallest operand
  parity_k: int = 3
  parity_bits: int = 43
  rows: int = 2000  # of the parity task
  classes: int = 10  # of a table
  train: int | None = None  # rows of a table to train on, from its first
  train_from: int = 0  # that many rows; the rest is for testing
  train_fraction: float = 0.75
  model: str = 'mlp'
  widths: tuple[int, ...] = (200, 200)
  bias: bool = False
  dropout: float = 0.1  # of 'transformer'
  loss: str = 'softmax'
  compute_dtype: str = 'float32'
  gradient: str = 'raw'
  optimizer: str = 'adamw'
  rescale: bool = True  # of ⊥Grad
  window: int = 100  # of Grokfast's moving average
  matched: bool = False  # steps as long as those of the raw gradient
  moments: str = 'scaled'  # of Adam; 'plain' falls into the denormal trap
  intervention: str = 'none'
  dtype: Any = jnp.float32

  def __post_init__(self):
    """Refuses what cannot be built."""
    for name, known in _CHOICES.items():
      value = getattr(self, name)
      if value not in known:
        known = ', '.join(known)
        raise ValueError(f'{name} is {value!r}, expected one of {known}')
    if (self.model != 'mlp') != (self.encoding == 'token'):
      raise ValueError(
        f'encoding {self.encoding} with model {self.model}: transformers take '
        'tokens, an MLP one_hot or binary'
      )
    if self.model != 'mlp' and self.task != 'modular':
      raise ValueError(f'model {self.model} needs the modular task')
    losses.checked(self.compute_dtype)
    if self.task == 'modular':
      tasks.modular_table(self.modulus, lowest=self.lowest)
      tasks.train_size(self.table_rows, self.train_fraction)
    if self.task == 'parity':
      tasks.sparse_parity_check(self.parity_k, self.parity_bits, self.rows)
      tasks.train_size(self.rows, self.train_fraction)
    if self.task == 'table' and not 1 <= (self.train or 0) <= self.train_from:
      raise ValueError(
        f'train is {self.train}, expected 1 <= train <= {self.train_from}, the '
        'rows of the table to train on'
      )

  @property
  def table_rows(self) -> int:
    """Rows of the table, that of data left out."""
    if self.task == 'parity':
      return self.rows
    return (self.modulus - self.lowest) ** 2

  @property
  def outputs(self) -> int:
    """Number of classes."""
    if self.task == 'table':
      return self.classes
    return 2 if self.task == 'parity' else self.modulus
