"""Targets of one's own: a matrix from a file, factored; on the host."""

import pathlib

import jax.numpy as jnp
import numpy as np

from framework.systems.matrix_sensing.ensembles import Truth

__all__ = ['from_matrix', 'read']

_ASYMMETRY = 1e-6  # |M - Mᵀ| relative to |M| that counts as rounding


def from_matrix(
  M: np.ndarray, r: int | None = None, symmetric: bool | None = None
) -> Truth:
  """Factors a given matrix as a truth to be recovered.

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


def read(path: str | pathlib.Path) -> np.ndarray:
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
