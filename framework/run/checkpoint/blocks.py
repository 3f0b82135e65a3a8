"""Large arrays as blocks that are stored once, under their own SHA-256.

A state that grows by rows is mostly what it was at the last checkpoint. Of an
array of 16 MiB and more a checkpoint names the blocks it is made of, and only
those that no kept checkpoint has are written: it costs what was appended. A
block is whole or not there, and is verified by its name when it is read.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping

import numpy as np
from etils import epath

__all__ = ['Blocks']

_LARGE = 16 << 20  # bytes from which an array is split
_SIZE = 4 << 20  # bytes of a block

Names = Mapping[str, list[str]]  # {array: its blocks}


class Blocks:
  """The blocks below a folder of a disk."""

  def __init__(self, directory: epath.Path):
    """Looks at nothing yet.

    Args:
      directory: The folder; made when there is something to put there.
    """
    self._directory = directory

  def put(
    self, arrays: Mapping[str, np.ndarray], write: bool = True
  ) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """Stores what is large.

    Args:
      arrays: By name.
      write: Whether this process writes; all of them name.

    Returns:
      (arrays that are small, names of the blocks of the others).

    Raises:
      OSError: If the disk fails.
    """
    small, names = {}, {}
    for name, x in arrays.items():
      if x.nbytes < _LARGE:
        small[name] = x
        continue
      flat = np.ascontiguousarray(x).reshape(-1).view(np.uint8)
      names[name] = [
        self._put(flat[i : i + _SIZE], write)
        for i in range(0, flat.size, _SIZE)
      ]
    return small, names

  def _put(self, block: np.ndarray, write: bool) -> str:
    data = block.tobytes()
    name = hashlib.sha256(data).hexdigest()
    path = self._directory / name
    if write and not path.exists():
      self._directory.mkdir(parents=True, exist_ok=True)
      partial = self._directory / f'{name}.{os.getpid()}.partial'
      with partial.open('wb') as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
      partial.rename(path)
    return name

  def get(self, names: Names, like: Mapping[str, np.ndarray]):
    """Reads arrays.

    Args:
      names: Their blocks, as `put` returned them.
      like: Arrays of their shapes and types.

    Returns:
      The arrays by name.

    Raises:
      ValueError: If a block is not what its name says.
      OSError: If one is not there.
    """
    found = {}
    for name, blocks in names.items():
      x = np.empty(like[name].shape, like[name].dtype)
      flat, at = x.reshape(-1).view(np.uint8), 0
      for block in blocks:
        data = (self._directory / block).read_bytes()
        if hashlib.sha256(data).hexdigest() != block:
          raise ValueError(f'block {block[:12]} of array {name} has changed')
        flat[at : at + len(data)] = np.frombuffer(data, np.uint8)
        at += len(data)
      if at != flat.size:
        raise ValueError(f'blocks of array {name} hold {at} of {flat.size} B')
      found[name] = x
    return found

  def keep(self, used: Iterable[str]) -> None:
    """Removes every block but those that are used.

    Args:
      used: Names of blocks.
    """
    if not self._directory.exists():
      return
    wanted = set(used)
    for path in self._directory.iterdir():
      if path.name not in wanted:
        path.unlink(missing_ok=True)
