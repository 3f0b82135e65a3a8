"""Checkpoints in a bucket: one object each.

    <directory>/<step>     an npz: the leaves by number, as bytes, and the facts

An object is there whole or not at all, so it needs no temporary name, no
rename and no mark that it is complete; it is written in one request, read in
one, and a kill leaves nothing behind.
"""

import io
import json
from collections.abc import Mapping
from concurrent import futures
from typing import Any

import jax
import numpy as np
from etils import epath

from framework.run.bucket.objects import files, filesystem, told

__all__ = ['Saved']

_FACTS = 'facts'


class Saved:
  """The checkpoints below one path of a bucket, as files on a disk would be.

  With several processes, all of them call everything: process 0 writes, and all
  see the same steps.
  """

  def __init__(self, directory: epath.PathLike, keep: int):
    """Lists what is there.

    Args:
      directory: A path in a bucket.
      keep: How many of the newest to keep, >= 1.
    """
    self._fs, self._root = filesystem(directory)
    self._directory, self._keep = directory, keep
    self._writer = futures.ThreadPoolExecutor(1)
    self._writing: futures.Future | None = None
    self._opened: tuple[int, dict[str, np.ndarray]] | None = None
    self._steps = sorted(int(s) for s in files(directory) if s.isdigit())

  def steps(self) -> list[int]:
    """The steps that can be restored, and the one being written, sorted."""
    return list(self._steps)

  def save(
    self, step: int, leaves: Mapping[str, np.ndarray], facts: Mapping[str, Any]
  ) -> None:
    """Writes in the background, once the one before is written.

    Args:
      step: Its number, larger than those before.
      leaves: Arrays, copied before it returns.
      facts: JSON-able.
    """
    # Copied before it returns: who gave them may write over them. As bytes, for
    # numpy's format does not know the types of machine learning.
    parts = {n: np.frombuffer(x.tobytes(), np.uint8) for n, x in leaves.items()}
    parts[_FACTS] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    self._finish()
    self._steps.append(step)
    old = self._steps[: -self._keep]
    self._steps = self._steps[-self._keep :]
    if jax.process_index() == 0:
      self._writing = self._writer.submit(self._write, step, parts, old)

  def _write(self, step: int, parts: Mapping, old: list[int]) -> None:
    file = io.BytesIO()
    np.savez(file, **parts)
    self._fs.pipe_file(self._at(step), file.getvalue())
    for one in old:
      self._fs.rm_file(self._at(one))

  def facts(self, step: int) -> dict[str, Any]:
    """The facts of a step, unverified."""
    return json.loads(self._open(step)[_FACTS].tobytes())

  def read(
    self, step: int, wanted: Mapping[str, np.ndarray]
  ) -> dict[str, np.ndarray]:
    """The leaves of a step, unverified.

    Args:
      step: Its number.
      wanted: Arrays of the shapes and types to be read.

    Returns:
      Arrays by the same names.
    """
    found = self._open(step)
    return {
      name: np.frombuffer(found[name].tobytes(), x.dtype).reshape(x.shape)
      for name, x in wanted.items()
    }

  def _open(self, step: int) -> dict[str, np.ndarray]:
    """All of an object; the last one is kept."""
    if self._opened is None or self._opened[0] != step:
      with told(self._directory):
        content = self._fs.cat_file(self._at(step))
      with np.load(io.BytesIO(content), allow_pickle=False) as found:
        self._opened = step, {name: found[name] for name in found.files}
    return self._opened[1]

  def set_aside(self, step: int, place: epath.Path) -> None:
    """Moves a step to another path.

    Args:
      step: Its number.
      place: Where to; process 0 moves it.
    """
    if jax.process_index() == 0:
      _, goal = filesystem(place)
      self._fs.cp_file(self._at(step), goal)
      self._fs.rm_file(self._at(step))
    self._steps.remove(step)

  def wait(self) -> None:
    """Returns, in all processes, once all is written."""
    self._finish()
    if jax.process_count() > 1:
      from jax.experimental import multihost_utils

      multihost_utils.sync_global_devices('checkpoints are written')

  def _finish(self) -> None:
    writing, self._writing = self._writing, None
    if writing is not None:
      writing.result()

  def close(self) -> None:
    """Lets go of the thread that writes."""
    self._writer.shutdown()

  def _at(self, step: int) -> str:
    return f'{self._root}/{step}'
