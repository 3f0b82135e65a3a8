"""Measurements: a picture with holes and errors in it, or a file of one's own.

Everything here is on the host; what is random is drawn by the first seed, so
that all methods see the same.
"""

import functools
import os
import pathlib
import zipfile
import zlib
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from configs.robust_recovery import Picture as Config
from experiments.robust_recovery.images import rows as rows_lib
from framework.config import ConfigError, Problem
from framework.systems import matrix_sensing as ms
from framework.systems.matrix_sensing import operators

__all__ = ['Data', 'explained', 'load', 'problem']

_BLOCK_BYTES = 1 << 28  # of a dense A: above, in blocks of this size


def _room() -> int:
  """Bytes that a dense A may take in memory: a quarter of it."""
  return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 4


class Data(NamedTuple):
  """The known data and, of a picture, the truth to be found."""

  shape: tuple[Any, ...]  # (n1, n2)
  y: np.ndarray  # (m,), as given
  rows: np.ndarray | None  # places of y, in order; None: A is dense
  columns: np.ndarray | None
  A: np.ndarray | None  # (m, n1 n2); a map of the disk where it can be one
  M: Any  # the picture, or None
  spoilt: np.ndarray | None  # (m,): which of y are wrong
  square: float = 1.0  # mean square of the entries of A

  @property
  def unit(self) -> float:
    """One unit of a residual of y, in those of e = √m z.

    e is in units in which A_i has entries of unit variance, so that it is as
    large as the error of the matrix.
    """
    if self.A is None:
      return float(np.sqrt(self.shape[0] * self.shape[1]))
    return self.square**-0.5

  @property
  def scale(self) -> float:
    """About ‖M‖_F: from the median, which errors do not move."""
    middle = float(np.median(np.abs(self.y))) * self.unit / 0.6745
    # More than half of the entries of a picture may be black.
    return middle or float(np.sqrt(np.mean(self.y**2))) * self.unit or 1.0


def load(config: Config) -> Data:
  """The measurements of a config.

  Raises:
    ConfigError: If a file cannot be used, in one line.
  """
  return _load(_Fixed(*(getattr(config, x) for x in _Fixed._fields)))


# Of files that are none, or are cut off.
_UNREADABLE = (
  OSError,
  ValueError,
  KeyError,
  EOFError,
  zipfile.BadZipFile,
  zlib.error,
)


class _Fixed(NamedTuple):
  """The fields that decide the measurements."""

  measurements: str | None
  target: str | None
  pixels: int
  first_seed: int
  observed: float
  outliers: float


@functools.lru_cache(maxsize=4)
def _load(config: _Fixed) -> Data:
  if config.measurements is not None:
    try:
      return _own(config.measurements)
    except _UNREADABLE as error:
      line = (str(error).splitlines() or [''])[0]
      raise ConfigError(
        [Problem('config.measurements', f'cannot use it: {line}', '')]
      ) from None
  M = _picture(config)
  rng = np.random.default_rng(config.first_seed)
  known = rng.random(M.shape) < config.observed
  known.flat[0] = True  # an empty set has no shape
  rows, columns = np.nonzero(known)
  y = M[rows, columns]
  spoilt = rng.random(y.shape) < config.outliers
  y = np.where(spoilt, rng.integers(0, 2, y.shape).astype(float), y)
  return Data(M.shape, y, rows, columns, None, M, spoilt)


def _picture(config: _Fixed) -> np.ndarray:
  """The picture in [0, 1], averaged down to the size that is asked for."""
  path = config.target
  if path is None:
    from matplotlib import cbook  # a photograph that is always there

    path = cbook.get_sample_data('grace_hopper.jpg', asfileobj=False)
  try:
    M = ms.targets.read(str(path))
  except ValueError as error:
    raise ConfigError([Problem('config.target', str(error), '')]) from None
  block = -(-max(M.shape) // config.pixels)
  n1, n2 = (n // block for n in M.shape)
  M = M[: n1 * block, : n2 * block].reshape(n1, block, n2, block).mean((1, 3))
  low, high = M.min(), M.max()
  return (M - low) / (high - low if high > low else 1.0)


def _own(path: str) -> Data:
  """Reads A (m, n1, n2), (m, n1·n2) with shape, or rows and columns, and y."""
  if not zipfile.is_zipfile(path):
    raise ValueError('it is no npz file')
  with np.load(pathlib.Path(path), allow_pickle=False) as file:
    found = {name: file[name] for name in file.files if name != 'A'}
    if 'A' in file.files:
      found['A'] = rows_lib.mapped(pathlib.Path(path), 'A')
  if 'y' not in found:
    raise ValueError(f'it has no y, but {", ".join(found) or "nothing"}')
  y = found['y'].astype(np.float64)
  if y.ndim != 1 or not y.size:
    raise ValueError(f'y has shape {y.shape}, expected (m,)')
  if not np.isfinite(y).all():
    raise ValueError(f'{np.sum(~np.isfinite(y))} of y are not finite')
  shape: tuple[Any, ...] = tuple(int(n) for n in found.get('shape', ()))
  if 'rows' in found and 'columns' in found:
    rows, columns = found['rows'], found['columns']
    if rows.shape != y.shape or columns.shape != y.shape:
      raise ValueError(
        f'rows {rows.shape} and columns {columns.shape} do not match y '
        f'{y.shape}'
      )
    if not all(np.issubdtype(x.dtype, np.integer) for x in (rows, columns)):
      raise ValueError('rows and columns are to be integers')
    shape = shape or (int(rows.max()) + 1, int(columns.max()) + 1)
    order = np.lexsort((columns, rows))
    # Checked here, so that what is wrong is one line.
    operators.structured.masked(
      rows[order], columns[order], (shape[0], shape[1])
    )
    return Data(shape, y[order], rows[order], columns[order], None, None, None)
  if 'A' not in found:
    raise ValueError('it has neither A nor rows and columns')
  A = found['A']
  if A.dtype.kind not in 'biuf':
    raise ValueError(f'A is of {A.dtype}, expected numbers')
  if A.ndim == 3:
    shape, A = A.shape[1:], A.reshape(len(A), -1)
  if A.ndim != 2 or len(A) != y.size:
    raise ValueError(
      f'A has shape {found["A"].shape} and y {y.shape}: expected (m, n1, n2) '
      'and (m,)'
    )
  side = round(A.shape[1] ** 0.5)
  shape = shape or (side, side)
  if len(shape) != 2 or shape[0] * shape[1] != A.shape[1]:
    raise ValueError(
      f'A has rows of {A.shape[1]} numbers, no {" x ".join(map(str, shape))} '
      'matrices: give shape'
    )
  square, bad = rows_lib.mean_square(A, _BLOCK_BYTES)
  if bad:
    raise ValueError(f'{bad} entries of A are not finite')
  if not square:
    raise ValueError('A is zero')
  return Data(shape, y, None, None, A, None, None, square)


def explained(data: Data, F: np.ndarray, G: np.ndarray) -> np.ndarray:
  """A(FGᵀ), in the units of y; on the host."""
  if data.A is None:
    return np.sum(F[data.rows] * G[data.columns], axis=1)
  return rows_lib.products(data.A, (F @ G.T).ravel(), _BLOCK_BYTES)


def problem(data: Data, dtype: np.dtype) -> tuple[ms.Problem, str]:
  """The measurements as a problem of size about one, and the operator's note.

  Args:
    data: Measurements.
    dtype: Of the computation.

  Returns:
    (problem with y, what the operator is and why).
  """
  m = data.y.size
  y = jnp.array(data.y * data.unit / data.scale / m**0.5, dtype)
  if data.A is None:
    rows, columns = np.asarray(data.rows), np.asarray(data.columns)
    operator, why = operators.structured.completion(rows, columns, data.shape)
  elif data.A.size * dtype.itemsize > _room():
    scale = data.unit / m**0.5
    source = rows_lib.Source(data.A, scale, _BLOCK_BYTES)
    operator = rows_lib.Streamed(data.shape, False, source)
    why = (
      f'streamed: {data.A.size * dtype.itemsize / 1e9:.3g} GB are more than a '
      f'quarter of the memory, {_BLOCK_BYTES / 1e6:.3g} MB at a time'
    )
  else:
    A = jnp.array(np.asarray(data.A, dtype) * (data.unit / m**0.5))
    block = max(_BLOCK_BYTES // (A.shape[1] * A.dtype.itemsize), 1)
    if block < m:
      operator = operators.blocks(A, data.shape, False, block)
      why = f'blocks: {A.nbytes / 1e9:.3g} GB, {block} measurements each'
    else:
      operator = operators.dense(A, data.shape, False)
      why = 'dense: they fit'
  M = None if data.M is None else jnp.array(data.M / data.scale, dtype)
  return ms.Problem(operator, None, M, jnp.sum(y**2), y=y), why
