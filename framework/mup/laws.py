"""How the deviation that an initialiser draws with depends on the shape.

Not at all ('constant'), or as fan_in^-1/2, fan_out^-1/2 or
((fan_in + fan_out)/2)^-1/2, where an initialiser takes the last axis for the
output, the last but one for the input, and all others for a field that belongs
to both. Which of them is found exactly: jax draws the same numbers for every
shape of as many entries, so that ratios between shapes are ratios of standard
deviations.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

__all__ = ['LAWS', 'UNKNOWN', 'Drawn', 'drawn', 'factor', 'law_of']

LAWS = ('constant', 'fan_in', 'fan_out', 'fan_avg')
UNKNOWN = 'unknown'


class Drawn(NamedTuple):
  """An initialiser, seen from outside."""

  law: str  # one of LAWS, or UNKNOWN
  size: (
    float  # root mean square of 64 entries, which tells two of one law apart
  )


def factor(law: str, fan_in: float, fan_out: float) -> float:
  """The deviation by a law, up to a number.

  Args:
    law: One of `LAWS`.
    fan_in: Of the shape, the field included.
    fan_out: The same.

  Returns:
    1, fan_in^-1/2, fan_out^-1/2 or ((fan_in + fan_out)/2)^-1/2.

  >>> factor('fan_in', 4, 16), factor('fan_avg', 4, 28)
  (0.5, 0.25)
  """
  fan = {
    'constant': 1.0,
    'fan_in': fan_in,
    'fan_out': fan_out,
    'fan_avg': (fan_in + fan_out) / 2,
  }[law]
  return fan**-0.5


def law_of(initializer: Callable[..., Any], rank: int = 2) -> str:
  """How the standard deviation of an initialiser depends on the shape.

  Args:
    initializer: (key, shape, dtype) -> array, as those of flax.
    rank: How many axes the tensor has.

  Returns:
    One of `LAWS`; 'unknown' if it is none of them, or not defined for tensors
    of any size.

  >>> law_of(nn.initializers.lecun_normal())
  'fan_in'
  >>> law_of(nn.Embed(2, 2).embedding_init)  # one over the root of the features
  'fan_out'
  """
  return drawn(initializer, rank).law


def drawn(initializer: Callable[..., Any], rank: int = 2) -> Drawn:
  """The law of an initialiser, and the size of what it draws.

  Args:
    initializer: (key, shape, dtype) -> array.
    rank: How many axes the tensor has.

  Returns:
    `Drawn`.

  >>> drawn(nn.initializers.constant(3.0))
  Drawn(law='constant', size=3.0)
  """
  try:
    return _drawn(initializer, rank)
  except TypeError:  # not hashable, so not to be remembered
    return _drawn.__wrapped__(initializer, rank)


@functools.lru_cache(maxsize=256)
def _drawn(initializer, rank: int) -> Drawn:
  # All 64 entries along one axis, and a square of the last two.
  shapes = [(*(1,) * i, 64, *(1,) * (rank - i - 1)) for i in range(rank)]
  if rank > 1:
    shapes.append((*(1,) * (rank - 2), 8, 8))
  try:
    draws = [_numbers(initializer, shape) for shape in shapes]
    ratios = [_ratio(x, draws[-1]) for x in draws]
    found = [
      law
      for law in (LAWS if rank > 1 else LAWS[:1])
      if np.allclose(ratios, _expected(law, shapes), rtol=1e-4, atol=0)
    ]
    if found == ['constant'] and rank == 2:
      # in x out was the same so far: its root shows where there is a field.
      field = _numbers(initializer, (4, 4, 4))
      found = found if _ratio(field, draws[-1]) == 1 else []
  except Exception:  # whatever a user's does when a shape does not suit it
    return Drawn(UNKNOWN, 0.0)
  size = float(np.sqrt(np.mean(draws[-1] ** 2)))
  return Drawn(found[0] if found else UNKNOWN, size)


def _numbers(initializer, shape: tuple[int, ...]) -> np.ndarray:
  # Also while something else is being traced.
  with jax.ensure_compile_time_eval():
    drawn = nn.unbox(initializer(jax.random.key(0), shape, jnp.float32))
    return np.asarray(drawn, np.float64).ravel()


def _expected(law: str, shapes: list[tuple[int, ...]]) -> np.ndarray:
  """Deviations by a law, those of the last shape being 1."""
  sizes = np.array([factor(law, *_fans(shape)) for shape in shapes])
  return sizes / sizes[-1]


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
  """Fan-in and fan-out of a shape, as initialisers see it."""
  if len(shape) < 2:
    return 1, 1
  return math.prod(shape[:-1]), math.prod(shape) // shape[-2]


def _ratio(x: np.ndarray, y: np.ndarray) -> float:
  """The number that x is times y; NaN if there is none."""
  if np.array_equal(x, y):
    return 1.0
  with np.errstate(divide='ignore', invalid='ignore'):
    middle = float(np.median(x / y))
  fits = np.allclose(x, middle * y, rtol=1e-4, atol=0)
  return middle if fits and np.isfinite(middle) else np.nan
