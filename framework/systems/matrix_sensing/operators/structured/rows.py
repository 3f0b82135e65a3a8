"""Random dense measurements: (key, m, shape, symmetric, dtype) -> operator."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Key

from framework.systems.matrix_sensing import ensembles
from framework.systems.matrix_sensing.operators import forms
from framework.systems.matrix_sensing.operators.packing import packed_size

__all__ = ['draw_rademacher', 'draw_rows']


def draw_rows(
  key: Key[Array, ''],
  m: int,
  shape: tuple[int, int],
  symmetric: bool,
  dtype: DTypeLike = jnp.float32,
) -> forms.Dense | forms.Svec:
  """Gaussian measurements, stored as they are.

  Args:
    key: Random key.
    m: Measurements.
    shape: (n₁, n₂).
    symmetric: Whether A_i is symmetric, and packed.
    dtype: Floating-point type.

  Returns:
    The operator.
  """
  if symmetric:
    A = ensembles.symmetric_gaussian(key, m, shape[0], dtype)
    return forms.svec(A, shape, True)
  return forms.dense(ensembles.gaussian(key, m, *shape, dtype), shape, False)


def draw_rademacher(
  key: Key[Array, ''],
  m: int,
  shape: tuple[int, int],
  symmetric: bool,
  dtype: DTypeLike = jnp.float32,
) -> forms.Dense | forms.Svec:
  """Measurements of entries ±1/√m; of symmetric A_i the packed ones are.

  Off the diagonal a symmetric A_i then has ±1/√2m: its moments up to the second
  are those of `symmetric_gaussian`.

  Args:
    key: Random key.
    m: Measurements.
    shape: (n₁, n₂).
    symmetric: Whether A_i is symmetric, and packed.
    dtype: Floating-point type.

  Returns:
    The operator.
  """
  p = packed_size(*shape, symmetric)
  A = jax.random.rademacher(key, (m, p), dtype) / m**0.5
  return (forms.svec if symmetric else forms.dense)(A, shape, symmetric)
