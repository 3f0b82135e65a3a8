"""Whether a store fits, asked before anything is computed."""

import math
import os

import jax
from jaxtyping import PyTree

__all__ = ['available', 'check', 'size']


def size(shapes: PyTree) -> int:
  """Bytes of arrays, or of their shapes.

  >>> import jax.numpy as jnp
  >>> size([jnp.zeros((2, 3), jnp.float32)])
  24
  """
  leaves = jax.tree.leaves(shapes)
  return sum(math.prod(x.shape) * x.dtype.itemsize for x in leaves)


def available() -> int:
  """Bytes of the memory that arrays lie in; 0 if nobody knows.

  >>> available() >= 0
  True
  """
  stats = jax.local_devices()[0].memory_stats()
  if stats and stats.get('bytes_limit'):
    return int(stats['bytes_limit']) * jax.local_device_count()
  try:
    return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
  except (AttributeError, OSError, ValueError):  # not every system has them
    return 0


def check(shapes: PyTree, name: str) -> None:
  """Refuses arrays for which there is no room.

  Args:
    shapes: Arrays or their shapes.
    name: What they are.

  Raises:
    ValueError: With the bytes they take and those there are.

  >>> import jax.numpy as jnp
  >>> check(jax.ShapeDtypeStruct((10**9, 10**6), jnp.float32), 'the store')
  Traceback (most recent call last):
  ValueError: the store takes 4000000.0 GB, expected at most the ... GB of
  memory: fewer steps, a smaller batch or rank, or rows in bfloat16
  """
  need, have = size(shapes), available()
  if have and need > have:
    raise ValueError(
      f'{name} takes {need / 1e9:.1f} GB, expected at most the '
      f'{have / 1e9:.1f} GB of memory: fewer steps, a smaller batch or rank, '
      'or rows in bfloat16'
    )
