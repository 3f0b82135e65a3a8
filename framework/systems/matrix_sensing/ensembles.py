"""Measurements and targets of matrix sensing, drawn or read.

    y_i = <A_i, M>,   M = U diag(s) Vᵀ,   E ‖A(Z)‖² = ‖Z‖_F².

References:
  Recht, Fazel, Parrilo (2010), Guaranteed minimum-rank solutions of linear
  matrix equations via nuclear norm minimization.
"""

import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Key

from framework.maths import linalg

__all__ = [
  'Truth',
  'from_matrix',
  'gaussian',
  'low_rank',
  'matrix',
  'read_target',
  'spectrum',
  'symmetric_gaussian',
]

_ASYMMETRY = 1e-6  # |M - Mᵀ| relative to |M| that counts as rounding


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


def spectrum(
  r: int, kappa: Float[ArrayLike, ''], kind: str = 'linear'
) -> Float[Array, ' r']:
  """Singular values from σ_1 = 1 down to σ_r = 1/κ.

      linear     σ_i = 1 - (1 - 1/κ) (i-1)/(r-1)
      geometric  σ_i = κ^(-(i-1)/(r-1))

  Args:
    r: Rank.
    kappa: Condition number κ ≥ 1; may be traced. Without effect at r = 1.
    kind: 'linear' or 'geometric'.

  Returns:
    The singular values, not increasing.

  Raises:
    ValueError: If the kind is unknown, or r or a number κ is below 1.

  >>> print(spectrum(3, 2.0), spectrum(3, 4.0, 'geometric'))
  [1.   0.75 0.5 ] [1.   0.5  0.25]
  """
  if r < 1:
    raise ValueError(f'rank is {r}, expected an integer >= 1')
  if isinstance(kappa, int | float) and not kappa >= 1:
    raise ValueError(f'kappa is {kappa}, expected a number >= 1')
  kappa = jnp.asarray(kappa, jnp.result_type(float))
  position = jnp.arange(r, dtype=kappa.dtype) / max(r - 1, 1)
  if kind == 'linear':
    return 1 - (1 - 1 / kappa) * position
  if kind == 'geometric':
    return kappa**-position
  raise ValueError(f"spectrum is {kind!r}, expected 'linear' or 'geometric'")


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
  Q, R = linalg.qr(jax.random.normal(key, (n, r), dtype))
  # QR is unique, and Q Haar, only once the diagonal of R is made positive.
  return Q * jnp.where(jnp.diag(R) < 0, -1, 1).astype(dtype)[None, :]


def from_matrix(
  M: np.ndarray, r: int | None = None, symmetric: bool | None = None
) -> Truth:
  """Factors a given matrix; on the host, not for traced code.

  Args:
    M: The target.
    r: Rank to keep, the best approximation; the numerical rank when None.
    symmetric: Whether to take M as symmetric positive semidefinite; when None,
      whether it is.

  Returns:
    The target in factors, V = U if symmetric.

  Raises:
    ValueError: If M is not a finite matrix, r is out of range, or `symmetric`
      is asked of a matrix that is not symmetric positive semidefinite.

  >>> truth = from_matrix(np.diag([2.0, 1.0, 0.0]))
  >>> print(truth.s, truth.U is truth.V)
  [2. 1.] True
  """
  M = np.asarray(M)
  if M.ndim != 2 or M.size == 0:
    raise ValueError(f'target has shape {M.shape}, expected a matrix')
  if not np.isfinite(M).all():
    bad = M.size - np.isfinite(M).sum()
    raise ValueError(f'target has {bad} entries that are not finite')
  wide = M.astype(np.float64)
  refusal = _not_psd(wide)
  if symmetric is None:
    symmetric = refusal is None
  if symmetric and refusal is not None:
    raise ValueError(refusal)

  if symmetric:
    s, U = np.linalg.eigh((wide + wide.T) / 2)
    s, U = np.maximum(s[::-1], 0), U[:, ::-1]
    V = U
  else:
    U, s, Vt = np.linalg.svd(wide, full_matrices=False)
    V = Vt.T
  dtype = M.dtype if np.issubdtype(M.dtype, np.floating) else np.float64
  if r is None:
    noise = s[0] * max(M.shape) * np.finfo(dtype).eps
    r = max(int((s > noise).sum()), 1)
  if not 1 <= r <= s.size:
    raise ValueError(f'rank is {r}, expected 1 to {s.size}')
  U, s, V = (jnp.asarray(x.astype(dtype)) for x in (U[:, :r], s[:r], V[:, :r]))
  return Truth(U, s, U if symmetric else V)


def _not_psd(M: np.ndarray) -> str | None:
  """Why M is not symmetric positive semidefinite; None if it is."""
  if M.shape[0] != M.shape[1]:
    return f'symmetric matrices are square, got {M.shape[0]} x {M.shape[1]}'
  size = np.abs(M).max()
  skew = np.abs(M - M.T).max()
  if skew > _ASYMMETRY * size:
    return f'target is not symmetric: |M - Mᵀ| reaches {skew:.3g}'
  lowest = np.linalg.eigvalsh((M + M.T) / 2)[0]
  if lowest < -_ASYMMETRY * size:
    return (
      'target is not positive semidefinite: its most negative eigenvalue is '
      f'{lowest:.6g}'
    )
  return None


def read_target(path: str | pathlib.Path) -> np.ndarray:
  """Reads a matrix of one's own from a file.

  Args:
    path: .npy, .csv (commas, no header), or an image .png, .jpg, .jpeg, which
      becomes greyscale in [0, 1].

  Returns:
    A finite two-dimensional array of float64.

  Raises:
    ValueError: If the file cannot be read or holds no finite matrix.
  """
  path = pathlib.Path(path)
  readers = {'.npy': _read_npy, '.csv': _read_csv}
  readers |= dict.fromkeys(['.png', '.jpg', '.jpeg'], _read_image)
  if path.suffix.lower() not in readers:
    raise ValueError(f'cannot read {path}: expected one of {sorted(readers)}')
  try:
    target = readers[path.suffix.lower()](path)
  except (OSError, ValueError, SyntaxError, EOFError) as error:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    raise ValueError(f'cannot read {path}: {line}') from error
  if target.ndim != 2 or target.size == 0:
    raise ValueError(f'{path} has shape {target.shape}, expected a matrix')
  if not np.isfinite(target).all():
    bad = target.size - np.isfinite(target).sum()
    raise ValueError(f'{path} has {bad} entries that are not finite')
  return target


def _read_npy(path: pathlib.Path) -> np.ndarray:
  return np.load(path, allow_pickle=False).astype(np.float64)


def _read_csv(path: pathlib.Path) -> np.ndarray:
  return np.loadtxt(path, delimiter=',', ndmin=2, dtype=np.float64)


def _read_image(path: pathlib.Path) -> np.ndarray:
  from matplotlib import image  # heavy, and needed only here

  pixels = image.imread(path)
  if np.issubdtype(pixels.dtype, np.integer):
    pixels = pixels / np.iinfo(pixels.dtype).max
  pixels = pixels.astype(np.float64)
  if pixels.ndim == 2:
    return pixels
  if pixels.shape[-1] < 3:
    return pixels[..., 0]
  return pixels[..., :3] @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
