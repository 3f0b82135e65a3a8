"""The work directory of a run: config.json, run.json, a lock; atomic writes."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from etils import epath

__all__ = ['Workdir', 'WorkdirError', 'facts', 'write_text']


class WorkdirError(Exception):
  """A work directory that cannot be used, in one line."""


def write_text(path: epath.PathLike, text: str) -> None:
  """Writes a whole file or nothing: to a neighbour first, then renamed.

  Args:
    path: Local path or bucket.
    text: The content.
  """
  path = epath.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.parent / f'.{path.name}.partial'
  partial.write_text(text)
  partial.replace(path)


class Workdir:
  """One run's directory."""

  def __init__(self, path: epath.PathLike):
    """Names the directory; touches nothing.

    Args:
      path: Local path or bucket.
    """
    self.path = epath.Path(path)
    self._lock: Any = None

  def stored(self) -> dict[str, Any] | None:
    """What config.json holds, None when there is none.

    Raises:
      WorkdirError: If it is there and cannot be read.
    """
    path = self.path / 'config.json'
    if not path.exists():
      return None
    try:
      found = json.loads(path.read_text())
      found['hash'], found['config']  # both must be there
      return found
    except (ValueError, KeyError, TypeError) as error:
      raise WorkdirError(f'{path} is damaged: {error}') from None

  def claim(
    self, identity: Mapping[str, Any], resume: str, differences
  ) -> bool:
    """Takes the directory for a run of this identity.

    Args:
      identity: {'experiment', 'hash', 'config'}; written to config.json.
      resume: 'auto' goes on with a run of the same identity; 'must' wants one
        there; 'never' moves an old run aside and starts afresh.
      differences: (old config, new config) -> lines, for the message.

    Returns:
      Whether an earlier run goes on.

    Raises:
      WorkdirError: If the directory holds another run, or something else, or
        is in use by another process, or cannot be written.
    """
    try:
      return self._claim(identity, resume, differences)
    except OSError as error:
      reason = error.strerror or error
      raise WorkdirError(f'cannot write in {self.path}: {reason}') from None

  def _claim(self, identity, resume, differences) -> bool:
    if self.path.exists() and not self.path.is_dir():
      raise WorkdirError(f'{self.path} is not a directory')
    if self.path.exists():
      self.lock()
    old = self.stored()
    if old is None and self.path.exists():
      strangers = [p.name for p in self.path.iterdir() if p.name not in _OWN]
      if strangers:
        raise WorkdirError(
          f'{self.path} holds {", ".join(sorted(strangers)[:3])} but no '
          'config.json: not the work directory of a run'
        )
    if resume == 'must' and old is None:
      raise WorkdirError(f'--resume=must, but there is no run in {self.path}')
    if old is not None and resume == 'never':
      self._move_aside()
      old = None
    # By content too: the file may have been edited since.
    if old is not None and old != json.loads(json.dumps(identity)):
      lines = '; '.join(differences(old['config'], identity['config']))
      raise WorkdirError(
        f'{self.path} holds a run of another config ({lines}): choose another '
        '--workdir, or --resume=never to start afresh'
      )
    self.path.mkdir(parents=True, exist_ok=True)
    self.lock()
    if old is None:
      self.write('config.json', identity)
    return old is not None

  def _move_aside(self) -> None:
    number = 1
    while self._old(number).exists():
      number += 1
    self.unlock()
    self.path.rename(self._old(number))

  def _old(self, number: int) -> epath.Path:
    return self.path.parent / f'{self.path.name}.old-{number}'

  def lock(self) -> None:
    """Makes sure that no other process writes here (local paths only).

    Raises:
      WorkdirError: Naming the process that does.
    """
    if self._lock is not None or '://' in str(self.path):
      return
    import fcntl

    self._lock = open(self.path / '.lock', 'a+')  # noqa: SIM115
    try:
      fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      self._lock.seek(0)
      owner = self._lock.read().strip() or 'another process'
      self._lock.close()
      self._lock = None
      raise WorkdirError(f'{self.path} is in use by {owner}') from None
    self._lock.truncate(0)
    self._lock.write(f'process {os.getpid()} on {platform.node()}')
    self._lock.flush()

  def unlock(self) -> None:
    """Lets go of the directory."""
    if self._lock is not None:
      self._lock.close()
      self._lock = None

  def write(self, name: str, content: Mapping[str, Any] | str) -> None:
    """Writes a text or JSON file, whole or not at all."""
    if not isinstance(content, str):
      content = json.dumps(content, indent=2, sort_keys=True) + '\n'
    write_text(self.path / name, content)

  def read(self, name: str) -> dict[str, Any]:
    """A JSON file, {} when it is not there."""
    path = self.path / name
    return json.loads(path.read_text()) if path.exists() else {}


# What a run killed before it had a config.json may leave.
_OWN = {'.lock', 'log.txt', '.config.json.partial'}


def facts(argv: Sequence[str]) -> dict[str, Any]:
  """Where and with what a run is computed, for run.json.

  Args:
    argv: The command line.

  Returns:
    Versions, devices, git state, argv, start time.
  """
  import jax

  packages = (
    'jax',
    'jaxlib',
    'flax',
    'optax',
    'chex',
    'orbax-checkpoint',
    'numpy',
    'training-dynamics',
  )
  devices = jax.devices()
  return {
    'argv': list(argv),
    'started': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()),
    'python': sys.version.split()[0],
    'versions': {p: _version(p) for p in packages},
    'platform': devices[0].platform,
    'device_kind': devices[0].device_kind,
    'devices': len(devices),
    'processes': jax.process_count(),
    'x64': bool(jax.config.values['jax_enable_x64']),
    'prng': str(jax.config.values['jax_default_prng_impl']),
    'git': _git(),
  }


def _version(package: str) -> str:
  try:
    return metadata.version(package)
  except metadata.PackageNotFoundError:
    return 'not installed'


def _git() -> str:
  """Commit of the source, with '+changes' if it is not clean."""
  here = os.path.dirname(os.path.abspath(__file__))
  git = ['git', '-C', here]
  try:
    run = {'capture_output': True, 'text': True, 'check': True, 'timeout': 10}
    head = subprocess.run([*git, 'rev-parse', 'HEAD'], **run).stdout.strip()
    state = subprocess.run([*git, 'status', '--porcelain'], **run).stdout
    return head + ('+changes' if state.strip() else '')
  except (OSError, subprocess.SubprocessError):
    return 'unknown'
