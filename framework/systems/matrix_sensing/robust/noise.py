"""Noise of measurements, drawn: (key, m, hp, dtype) -> s of y = A(M) + s.

All sizes are in units in which A_i has entries of unit variance, so that
<A_i, M> is about ‖M‖_F; here as everywhere s is divided by √m. What corrupts a
share of the measurements takes it from hp.outliers, its size from hp.size.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, DTypeLike, Float, Key

__all__ = ['dense', 'heavy_tailed', 'outliers', 'sign_aligned']


def outliers(
  key: Key[Array, ''], m: int, hp: Any, dtype: DTypeLike = jnp.float32
) -> Float[Array, ' m']:
  """Symmetric outliers: each measurement with probability p, N(0, size²).

  Args:
    key: Random key.
    m: Measurements.
    hp: Hyperparameters, of which `outliers` (p) and `size` are used.
    dtype: Floating-point type.

  Returns:
    The noise.

  >>> from types import SimpleNamespace
  >>> hp = SimpleNamespace(outliers=0.0, size=10.0)
  >>> print(outliers(jax.random.key(0), 3, hp))
  [0. 0. 0.]
  """
  size = jax.random.normal(jax.random.fold_in(key, 1), (m,), dtype)
  return jnp.where(_spoilt(key, m, hp), _unit(hp.size, m, dtype) * size, 0)


def dense(
  key: Key[Array, ''], m: int, hp: Any, dtype: DTypeLike = jnp.float32
) -> Float[Array, ' m']:
  """Gaussian noise N(0, size²) in every measurement; as `outliers`."""
  return _unit(hp.size, m, dtype) * jax.random.normal(key, (m,), dtype)


def heavy_tailed(
  key: Key[Array, ''], m: int, hp: Any, dtype: DTypeLike = jnp.float32
) -> Float[Array, ' m']:
  """Cauchy noise of scale `size`, without a variance or a mean; as above."""
  return _unit(hp.size, m, dtype) * jax.random.cauchy(key, (m,), dtype)


def sign_aligned(
  key: Key[Array, ''],
  m: int,
  hp: Any,
  dtype: DTypeLike = jnp.float32,
  *,
  clean: Float[Array, ' m'],
) -> Float[Array, ' m']:
  """An adversary: each with probability p, s_i = −size · sign <A_i, M>.

  All that are spoilt speak for −M with one voice. The sub-gradient at the truth
  is p √(2/π) M/‖M‖ at most outweighed by the clean (1 − p): beyond p = ½ the
  truth is no minimum any more.

  Args:
    key: Random key.
    m: Measurements.
    hp: Hyperparameters, of which `outliers` (p) and `size` are used.
    dtype: Floating-point type.
    clean: A(M).

  Returns:
    The noise.
  """
  away = -_unit(hp.size, m, dtype) * jnp.sign(clean)
  return jnp.where(_spoilt(key, m, hp), away, 0)


def _spoilt(key: Key[Array, ''], m: int, hp: Any) -> Bool[Array, ' m']:
  # By comparison, so that a larger share spoils more of the same draw.
  return jax.random.uniform(key, (m,)) < hp.outliers


def _unit(size: Any, m: int, dtype: DTypeLike) -> Float[Array, '']:
  return jnp.asarray(size, dtype) / jnp.sqrt(jnp.asarray(m, dtype))
