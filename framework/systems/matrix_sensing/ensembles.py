"""Truths, measurement matrices and noise, drawn at random.

    y_i = <A_i, M>,   M = U diag(s) Vᵀ,   E ‖A(Z)‖² = ‖Z‖_F².

References:
  Recht, Fazel, Parrilo (2010), Guaranteed minimum-rank solutions of linear
  matrix equations via nuclear norm minimization.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Key

from framework.maths import draws, linalg

__all__ = [
  'Truth',
  'gaussian',
  'geometric_spectrum',
  'linear_spectrum',
  'low_rank',
  'matrix',
  'outliers',
  'symmetric_gaussian',
]


class Truth(NamedTuple):
  """The matrix that was measured, in factors: M = U diag(s) Vᵀ."""

  U: Float[Array, 'n1 r']  # orthonormal columns
  s: Float[Array, ' r']  # singular values, not increasing
  V: Float[Array, 'n2 r']  # orthonormal columns; U again if M is symmetric


def matrix(truth: Truth) -> Float[Array, 'n1 n2']:
  """M = U diag(s) Vᵀ."""
  return (truth.U * truth.s[None, :]) @ truth.V.T


def gaussian(
  key: Key[Array, ''],
  m: int,
  n1: int,
  n2: int,
  dtype: DTypeLike = jnp.float32,
) -> Float[Array, 'm n1*n2']:
  """Measurement matrices with independent entries N(0, 1/m), one a row.

  Args:
    key: Random key.
    m: Measurements.
    n1: Rows of a measurement matrix.
    n2: Columns.
    dtype: Floating-point type.

  Returns:
    Row i is A_i, flattened row after row.

  >>> gaussian(jax.random.key(0), 5, 3, 2).shape
  (5, 6)
  """
  return jax.random.normal(key, (m, n1 * n2), dtype) / m**0.5


def symmetric_gaussian(
  key: Key[Array, ''], m: int, n: int, dtype: DTypeLike = jnp.float32
) -> Float[Array, 'm p']:
  """Symmetric measurement matrices A_i = (B_i + B_iᵀ)/(2√m), packed by svec.

  With B_i of entries N(0, 1), a diagonal entry of A_i has variance 1/m and one
  off the diagonal 2/(4m) = 1/(2m); svec multiplies the latter by √2. So the
  packed entries are independent N(0, 1/m), and are drawn as such.

  Args:
    key: Random key.
    m: Measurements.
    n: Rows of a measurement matrix.
    dtype: Floating-point type.

  Returns:
    Row i is svec(A_i), p = n(n+1)/2.

  >>> symmetric_gaussian(jax.random.key(0), 5, 3).shape
  (5, 6)
  """
  return jax.random.normal(key, (m, n * (n + 1) // 2), dtype) / m**0.5


def linear_spectrum(r: int, kappa: Float[ArrayLike, '']) -> Float[Array, ' r']:
  """Evenly spaced singular values from σ_1 = 1 down to σ_r = 1/κ.

      σ_i = 1 - (1 - 1/κ) (i-1)/(r-1)

  Args:
    r: Rank.
    kappa: Condition number κ ≥ 1; may be traced. Without effect at r = 1.

  Returns:
    The singular values, not increasing.

  Raises:
    ValueError: If r or a number κ is below 1.

  >>> print(linear_spectrum(3, 2.0))
  [1.   0.75 0.5 ]
  """
  kappa, position = _spaced(r, kappa)
  return 1 - (1 - 1 / kappa) * position


def geometric_spectrum(
  r: int, kappa: Float[ArrayLike, '']
) -> Float[Array, ' r']:
  """Singular values from σ_1 = 1 to σ_r = 1/κ, each the same part of the last.

      σ_i = κ^(-(i-1)/(r-1))

  Args:
    r: Rank.
    kappa: Condition number κ ≥ 1; may be traced. Without effect at r = 1.

  Returns:
    The singular values, not increasing.

  Raises:
    ValueError: If r or a number κ is below 1.

  >>> print(geometric_spectrum(3, 4.0))
  [1.   0.5  0.25]
  """
  kappa, position = _spaced(r, kappa)
  return kappa**-position


def _spaced(
  r: int, kappa: Float[ArrayLike, '']
) -> tuple[Float[Array, ''], Float[Array, ' r']]:
  """κ as an array, and (i-1)/(r-1)."""
  if r < 1:
    raise ValueError(f'rank is {r}, expected an integer >= 1')
  if isinstance(kappa, int | float) and not kappa >= 1:
    raise ValueError(f'kappa is {kappa}, expected a number >= 1')
  kappa = jnp.asarray(kappa, jnp.result_type(float))
  return kappa, jnp.arange(r, dtype=kappa.dtype) / max(r - 1, 1)


def low_rank(
  key: Key[Array, ''],
  n1: int,
  n2: int,
  sigma: Float[Array, ' r'],
  symmetric: bool,
) -> Truth:
  """A target with given singular values and Haar-distributed singular vectors.

  Args:
    key: Random key.
    n1: Rows.
    n2: Columns.
    sigma: Singular values.
    symmetric: Whether V = U, so that M is positive semidefinite.

  Returns:
    The target in factors.

  Raises:
    ValueError: If the rank exceeds a side or a symmetric target is not square.

  >>> truth = low_rank(jax.random.key(0), 4, 4, jnp.array([1.0, 0.5]), True)
  >>> truth.U is truth.V, round(float(jnp.trace(matrix(truth))), 5)
  (True, 1.5)
  """
  sigma = jnp.asarray(sigma)
  r = sigma.shape[0]
  if r > min(n1, n2):
    raise ValueError(f'rank is {r}, expected at most {min(n1, n2)}')
  if symmetric and n1 != n2:
    raise ValueError(f'symmetric matrices are square, got {n1} x {n2}')
  left, right = jax.random.split(key)
  U = _haar(left, n1, r, sigma.dtype)
  V = U if symmetric else _haar(right, n2, r, sigma.dtype)
  return Truth(U, sigma, V)


def _haar(
  key: Key[Array, ''], n: int, r: int, dtype: DTypeLike
) -> Float[Array, 'n r']:
  Q, R = linalg.qr(draws.normal(key, (n, r), dtype))
  # QR is unique, and Q Haar, only once the diagonal of R is made positive.
  return Q * jnp.where(jnp.diag(R) < 0, -1, 1).astype(dtype)[None, :]


def outliers(
  key: Key[Array, ''], m: int, hp: Any, dtype: DTypeLike = jnp.float32
) -> Float[Array, ' m']:
  """Noise that spoils a fraction of the measurements and leaves the others.

  Each measurement is spoilt with probability `hp.outliers`, by N(0, 10²) in
  units in which A_i has unit variance; here as everywhere divided by √m.

  Args:
    key: Random key.
    m: Measurements.
    hp: Hyperparameters, of which the fraction `outliers` is used.
    dtype: Floating-point type.

  Returns:
    The noise s of y = A(M) + s.

  >>> from types import SimpleNamespace
  >>> print(outliers(jax.random.key(0), 4, SimpleNamespace(outliers=0.0)))
  [0. 0. 0. 0.]
  """
  spoilt = jax.random.bernoulli(key, hp.outliers, (m,))
  size = jax.random.normal(jax.random.fold_in(key, 1), (m,), dtype)
  return jnp.where(spoilt, 10 * size / jnp.sqrt(m), 0.0)
