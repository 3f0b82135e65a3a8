"""Random arrays that compile quickly: drawn in one row, then shaped.

XLA on CPU unrolls a generator over short trailing axes: under `vmap`, a normal
array of shape (8, 10) takes ten times as long to compile as one of 80 numbers,
which are the same numbers.
"""

import math
from typing import Any

import jax
from jaxtyping import Array, Float, Key

__all__ = ['normal', 'uniform']


def normal(
  key: Key[Array, ''], shape: tuple[int, ...], dtype: Any = float
) -> Float[Array, '...']:
  """Standard normal numbers: those of `jax.random.normal`, bit for bit.

  Args:
    key: A key.
    shape: The shape.
    dtype: float32 or float64.

  Returns:
    An array of that shape.

  >>> key = jax.random.key(0)
  >>> bool((normal(key, (2, 3)) == jax.random.normal(key, (2, 3))).all())
  True
  """
  row = jax.random.normal(key, (math.prod(shape),), dtype)
  # Or the √2 in it is multiplied with a scale first, or not, depending on what
  # is compiled together.
  return jax.lax.optimization_barrier(row).reshape(shape)


def uniform(
  key: Key[Array, ''],
  shape: tuple[int, ...],
  dtype: Any = float,
  minval: Any = 0.0,
  maxval: Any = 1.0,
) -> Float[Array, '...']:
  """Uniform numbers: those of `jax.random.uniform`, bit for bit.

  Args:
    key: A key.
    shape: The shape.
    dtype: float32 or float64.
    minval: Lower end, included; a number.
    maxval: Upper end, left out; a number.

  Returns:
    An array of that shape.
  """
  row = jax.random.uniform(key, (math.prod(shape),), dtype, minval, maxval)
  return row.reshape(shape)
