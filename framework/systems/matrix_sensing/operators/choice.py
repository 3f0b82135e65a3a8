"""Which form of a measurement operator is fastest: a cost model of one step.

With p packed entries (n(n+1)/2 for symmetric matrices, n₁n₂ otherwise), items
of w bytes and B lanes that share the operator, one application of A*A is

    form               reads      flops        set-up
    svec, dense        2 m p w    4 m p B      none
    blocks (one pass)  m p w      4 m p B      none
    gram               p² w       2 p² B       2 m p² flops

and takes the longer of the two times. Few lanes are limited by the bandwidth
of whichever memory holds the operator, from about six lanes on the products
are matrix products and the arithmetic limits: m > p/2 favours gram in both.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from framework.systems.matrix_sensing.operators import forms
from framework.systems.matrix_sensing.operators.base import Operator
from framework.systems.matrix_sensing.operators.packing import packed_size

__all__ = ['Choice', 'choose', 'step_seconds']

# One core of an AVX-512 server, measured with one thread. Ratios between the
# forms depend on them only weakly; an accelerator has the same ordering.
_FLOPS_F64 = 46e9  # matrix product, float64; inversely as the item size
_L2_BANDWIDTH = 80e9  # bytes/s
_L3_BANDWIDTH = 60e9
_DRAM_BANDWIDTH = 28e9
_L3_BYTES = 32 << 20
# Reading each block once halves the traffic but reaches a smaller share of the
# bandwidth: what is left of the factor two.
_ONE_PASS_GAIN = 1.25


class Choice(NamedTuple):
  """A form of the operator and why it was taken."""

  form: Callable[..., Operator]  # from rows, shape and whether symmetric
  reason: str


class _Cost(NamedTuple):
  form: Callable[..., Operator]
  bytes_per_step: float
  seconds_per_step: float  # all lanes together
  setup_seconds: float
  memory: float

  def seconds(self, steps: float | None) -> float:
    """Seconds of a whole run; per step if it has no known end."""
    if steps is None:
      return self.seconds_per_step
    return self.setup_seconds + steps * self.seconds_per_step

  def __str__(self) -> str:
    return (
      f'{self.form.__name__} {self.bytes_per_step / 1e6:.3g} MB '
      f'and {self.seconds_per_step * 1e6:.3g} us'
    )


def choose(
  m: int,
  n1: int,
  n2: int,
  symmetric: bool,
  lanes: int,
  dtype_bytes: int = 8,
  memory_bytes: float = math.inf,
  steps: int | None = None,
  l2_cache_bytes: int = 1 << 20,
) -> Choice:
  """Picks the fastest form of a Gaussian-like operator for ℓ2 descent.

  Args:
    m: Measurements.
    n1: Rows of the measured matrix.
    n2: Columns.
    symmetric: Whether measurements and matrices are symmetric.
    lanes: Runs side by side on this one operator.
    dtype_bytes: Bytes of one entry, w.
    memory_bytes: Memory that the operator may take, set-up included.
    steps: Steps of the run, against which the set-up of gram is weighed; a run
      without end when None.
    l2_cache_bytes: Second-level cache of one core.

  Returns:
    One of `svec`, `dense`, `blocks`, `gram` and the numbers that decided.

  Raises:
    ValueError: If sizes are not positive, a symmetric problem is not square or
      no form fits into the memory.

  >>> choose(600, 20, 20, symmetric=True, lanes=1).form.__name__
  'gram'
  >>> choose(600, 20, 20, symmetric=True, lanes=1, steps=10).form.__name__
  'svec'
  >>> print(choose(2000, 100, 100, symmetric=True, lanes=1).reason)
  per step: svec 162 MB and 5.77e+03 us, blocks 80.8 MB and 4.62e+03 us,
  gram 204 MB and 7.29e+03 us; gram never pays off
  """
  sizes = {'m': m, 'n1': n1, 'n2': n2, 'lanes': lanes, 'bytes': dtype_bytes}
  for name, value in sizes.items():
    if value < 1:
      raise ValueError(f'{name} is {value}, expected an integer >= 1')
  if symmetric and n1 != n2:
    raise ValueError(f'symmetric matrices are square, got {n1} x {n2}')

  w = dtype_bytes
  p = packed_size(n1, n2, symmetric)
  stored = m * p * w

  def cost(form, read, flop, seconds_read, setup, memory):
    seconds = max(seconds_read, _arithmetic(lanes * flop, w))
    return _Cost(form, read, seconds, _arithmetic(setup, w), memory)

  def transfer(read, held):
    return _transfer(read, held, l2_cache_bytes)

  two_passes = transfer(2 * stored, stored)
  # In a cache there is no traffic to save.
  one_pass = two_passes / (_ONE_PASS_GAIN if stored > _L3_BYTES else 1)
  rows = forms.svec if symmetric else forms.dense
  gram_bytes = p * p * w
  costs = [
    cost(rows, 2 * stored, 4 * m * p, two_passes, 0, stored),
    cost(forms.blocks, stored, 4 * m * p, one_pass, 0, stored),
    cost(
      forms.gram,
      gram_bytes,
      2 * p * p,
      transfer(gram_bytes, gram_bytes),
      2 * m * p * p,
      gram_bytes + stored,  # it is built from the measurements
    ),
  ]
  fitting = [form for form in costs if form.memory <= memory_bytes]
  if not fitting:
    raise ValueError(
      f'{m} measurements of {p} entries take {stored / 1e9:.3g} GB, '
      f'expected at most {memory_bytes / 1e9:.3g} GB'
    )
  best = min(fitting, key=lambda form: form.seconds(steps))
  return Choice(best.form, _reason(costs, fitting, steps))


def step_seconds(
  read: float, held: float, flops: float, dtype_bytes: int
) -> float:
  """Seconds of something that reads and computes at once, on one core.

  Args:
    read: Bytes that it reads.
    held: Bytes of what it reads them from, which decide the memory.
    flops: Additions and multiplications.
    dtype_bytes: Bytes of one entry.

  Returns:
    The longer of the two times.
  """
  return max(_transfer(read, held), _arithmetic(flops, dtype_bytes))


def _transfer(read: float, held: float, l2_cache_bytes: int = 1 << 20) -> float:
  if held <= l2_cache_bytes:
    return read / _L2_BANDWIDTH
  if held <= _L3_BYTES:
    return read / _L3_BANDWIDTH
  return read / _DRAM_BANDWIDTH


def _arithmetic(flops: float, dtype_bytes: int) -> float:
  return flops * dtype_bytes / (8 * _FLOPS_F64)


def _reason(costs: list[_Cost], fitting: list[_Cost], steps: int | None) -> str:
  *others, gram = costs
  text = 'per step: ' + ', '.join(str(form) for form in costs)
  saved = min(form.seconds_per_step for form in others) - gram.seconds_per_step
  if saved <= 0:
    text += '; gram never pays off'
  else:
    break_even = math.ceil(gram.setup_seconds / saved)
    text += f'; gram pays off after {break_even} steps'
    text += '' if steps is None else f' of {steps}'
  if gram not in fitting:
    text += f', but takes {gram.memory / 1e9:.3g} GB to build'
  return text
