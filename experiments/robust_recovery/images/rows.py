"""Dense measurements A (m, n1 n2), a row each: in memory, or left on the disk.

A file of `np.savez` holds its arrays as they are, so A can be mapped instead of
read, and goes through memory in blocks of rows.
"""

import dataclasses
import pathlib
import struct
import zipfile
from collections.abc import Iterator

import jax
import numpy as np

from framework.systems.matrix_sensing.operators.base import pytree
from framework.systems.matrix_sensing.operators.structured.factored import (
  Factored,
)

__all__ = ['Source', 'Streamed', 'mapped', 'mean_square', 'products']

_NAME_LENGTHS = 26  # where they are in the header of a member of a zip file


def mapped(path: pathlib.Path, name: str) -> np.ndarray:
  """An array of an npz file, on the disk if it is not compressed.

  Args:
    path: The file.
    name: The array.

  Returns:
    A read-only map of it; an array, read whole, where it is compressed.

  Raises:
    ValueError: If it holds no numbers.
  """
  with zipfile.ZipFile(path) as archive:
    member = archive.getinfo(f'{name}.npy')
  if member.compress_type != zipfile.ZIP_STORED:
    with np.load(path, allow_pickle=False) as found:
      return found[name]
  with open(path, 'rb') as file:
    file.seek(member.header_offset + _NAME_LENGTHS)
    file.seek(sum(struct.unpack('<HH', file.read(4))), 1)
    version = np.lib.format.read_magic(file)
    read = {
      (1, 0): np.lib.format.read_array_header_1_0,
      (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
      raise ValueError(f'{name} has the npy format {version}')
    shape, columns_first, dtype = read(file)
    if dtype.kind not in 'biuf':
      raise ValueError(f'{name} is of {dtype}, expected numbers')
    order = 'F' if columns_first else 'C'
    return np.memmap(path, dtype, 'r', file.tell(), shape, order)


def _blocks(
  A: np.ndarray, block_bytes: int
) -> Iterator[tuple[slice, np.ndarray]]:
  """(which rows, these rows in float64)."""
  size = max(block_bytes // (8 * A.shape[1]), 1)
  for begin in range(0, len(A), size):
    part = slice(begin, min(begin + size, len(A)))
    yield part, np.asarray(A[part], np.float64)


def mean_square(A: np.ndarray, block_bytes: int) -> tuple[float, int]:
  """The mean of the squares of all entries, and how many are not finite."""
  total, bad = 0.0, 0
  for _, rows in _blocks(A, block_bytes):
    total += float(np.vdot(rows, rows))
    bad += int(np.sum(~np.isfinite(rows)))
  return total / A.size, bad


def products(A: np.ndarray, x: np.ndarray, block_bytes: int) -> np.ndarray:
  """A x."""
  return np.concatenate([rows @ x for _, rows in _blocks(A, block_bytes)])


class Source:
  """scale · A, a block of rows at a time; one object is one set of rows."""

  def __init__(self, A: np.ndarray, scale: float, block_bytes: int):
    self.A, self.scale, self.block_bytes = A, scale, block_bytes

  def forward(self, x: jax.Array) -> np.ndarray:
    """Scaled A x."""
    scaled = self.scale * np.asarray(x)
    found = products(self.A, scaled, self.block_bytes)
    return found.astype(scaled.dtype)

  def adjoint(self, z: jax.Array) -> np.ndarray:
    """Scaled Aᵀ z."""
    scaled, total = self.scale * np.asarray(z), np.zeros(self.A.shape[1])
    for part, rows in _blocks(self.A, self.block_bytes):
      total += scaled[part] @ rows
    return total.astype(scaled.dtype)


@pytree()
@dataclasses.dataclass(frozen=True)
class Streamed(Factored):
  """The operator of rows on the disk, which are read twice a step.

  A step waits for the disk anyway: calling the host from within it, which a
  small step must not, costs nothing here.
  """

  source: Source

  @property
  def size(self) -> int:
    """Measurements m."""
    return len(self.source.A)

  def forward(self, Z):
    """A(Z)."""
    out = jax.ShapeDtypeStruct((self.size,), Z.dtype)
    return jax.pure_callback(
      self.source.forward, out, Z.reshape(-1), vmap_method='sequential'
    )

  def adjoint(self, z):
    """A*(z)."""
    out = jax.ShapeDtypeStruct((self.source.A.shape[1],), z.dtype)
    D = jax.pure_callback(self.source.adjoint, out, z, vmap_method='sequential')
    return D.reshape(self.shape)

  def forward_factors(self, F, G):
    """A(FGᵀ)."""
    return self.forward(F @ G.T)

  def adjoint_products(self, z, F, G):
    """(D G, DᵀF) with D = A*(z)."""
    D = self.adjoint(z)
    return D @ G, D.T @ F

  @property
  def bytes_per_normal(self) -> int:
    """Bytes of the operator that one A*A has to read."""
    return 2 * self.source.A.nbytes
