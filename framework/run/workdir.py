"""The work directory of a run: config.json, run.json, a lock; atomic writes."""

import json
import os
import platform
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import logging
from etils import epath

from framework.run import bucket
from framework.run import environment as environment_lib

__all__ = ['Workdir', 'WorkdirError', 'write_bytes', 'write_text']


class WorkdirError(Exception):
  """A work directory that cannot be used, in one line."""


def write_text(path: epath.PathLike, text: str) -> None:
  """Writes a whole file or nothing, as UTF-8.

  Args:
    path: Local path or bucket.
    text: The content.
  """
  write_bytes(path, text.encode())


def write_bytes(path: epath.PathLike, content: bytes) -> None:
  """Writes a whole file or nothing: to a neighbour first, then renamed.

  Args:
    path: Local path, or bucket, where every object is whole.
    content: The content.
  """
  if bucket.remote(path):
    bucket.write(path, content)
    return
  path = epath.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.parent / f'.{path.name}.partial'
  partial.write_bytes(content)
  partial.replace(path)


def _text(path: epath.Path) -> str | None:
  """What a file holds, None when there is none."""
  if bucket.remote(path):
    content = bucket.read(path)
    return None if content is None else content.decode()
  return path.read_text() if path.exists() else None


class Workdir:
  """One run's directory."""

  def __init__(self, path: epath.PathLike):
    """Names the directory; touches nothing.

    Args:
      path: Local path or bucket.

    Raises:
      BucketError: If that kind of storage is not known or not installed.
    """
    self.path = bucket.place(path)
    self._lock: Any = None
    self._lease: bucket.Lease | None = None

  def stored(self) -> dict[str, Any] | None:
    """What config.json holds, None when there is none.

    Raises:
      WorkdirError: If it is there and cannot be read.
    """
    path = self.path / 'config.json'
    text = _text(path)
    if text is None:
      return None
    try:
      found = json.loads(text)
      found['hash'], found['config']  # both must be there
      return found
    except (ValueError, KeyError, TypeError) as error:
      raise WorkdirError(f'{path} is damaged: {error}') from None

  def claim(
    self,
    identity: Mapping[str, Any],
    resume: str,
    differences: Callable[[Any, Any], Sequence[str]],
    environment: Mapping[str, Any] | None = None,
  ) -> bool:
    """Takes the directory for a run of this identity.

    Args:
      identity: {'experiment', 'hash', 'config'}; written to config.json.
      resume: 'auto' goes on with a run of the same identity; 'must' wants one
        there; 'never' moves an old run aside and starts afresh.
      differences: (old config, new config) -> lines, for the message.
      environment: `environment.identity()`, written to config.json; not
        compared when None, or with a run that was begun without.

    Returns:
      Whether an earlier run goes on.

    Raises:
      WorkdirError: If the directory holds another run, or one whose bits could
        not be right in this environment, or something else, or is in use by
        another process, or cannot be written.
    """
    try:
      with bucket.told(self.path):
        return self._claim(identity, resume, differences, environment)
    except bucket.BucketError as error:
      raise WorkdirError(f'cannot write in {error}') from None
    except OSError as error:
      reason = error.strerror or error
      raise WorkdirError(f'cannot write in {self.path}: {reason}') from None

  def _claim(self, identity, resume, differences, environment) -> bool:
    if self.path.exists() and not self.path.is_dir():
      raise WorkdirError(f'{self.path} is not a directory')
    old = self.stored()
    if old is None and self.path.exists():
      names = [p.name for p in self.path.iterdir()]
      strangers = [n for n in names if n not in _OWN and not _of_lock(n)]
      if strangers:
        raise WorkdirError(
          f'{self.path} holds {", ".join(sorted(strangers)[:3])} but no '
          'config.json: not the work directory of a run'
        )
    if resume == 'must' and old is None:
      raise WorkdirError(f'--resume=must, but there is no run in {self.path}')
    if self.path.exists():
      self.lock()  # after what is refused, which leaves nothing behind
      old = self.stored()
    if old is not None and resume == 'never':
      self._move_aside()
      old = None
    if old is not None:
      before = old.pop('environment', {})
      # By content too: the file may have been edited since.
      if old != json.loads(json.dumps(identity)):
        lines = '; '.join(differences(old['config'], identity['config']))
        raise WorkdirError(
          f'{self.path} holds a run of another config ({lines}): choose '
          'another --workdir, or --resume=never to start afresh'
        )
      self._compare(before, environment or {})
    if not bucket.remote(self.path):
      self.path.mkdir(parents=True, exist_ok=True)
    self.lock()
    if old is None:
      extra = {'environment': environment} if environment else {}
      self.write('config.json', {**identity, **extra})
    return old is not None

  def _compare(self, before: Mapping, now: Mapping) -> None:
    """Refuses, or says, that a run is to go on in another environment."""
    exact, close = environment_lib.changes(before, json.loads(json.dumps(now)))
    if exact:
      raise WorkdirError(
        f'{self.path} holds a run that drew other numbers or rounded otherwise '
        f'({"; ".join(exact)}): set that as it was, or --resume=never to start '
        'afresh'
      )
    if close:
      logging.warning(
        'the run in %s goes on in another environment (%s): its last bits may '
        'differ from there',
        self.path,
        '; '.join(close),
      )

  def _move_aside(self) -> None:
    number = 1
    while self._old(number).exists():
      number += 1
    if bucket.remote(self.path):
      # The lock stays; config.json is what makes the rest a run.
      bucket.move(
        self.path,
        self._old(number),
        last=['config.json'],
        stay=bucket.PREFIX,
      )
      return
    self.unlock()
    self.path.rename(self._old(number))

  def _old(self, number: int) -> epath.Path:
    return self.path.parent / f'{self.path.name}.old-{number}'

  def lock(self) -> None:
    """Makes sure that no other process writes here.

    The directory is let go of by `unlock`, or when this object is no more.

    Raises:
      WorkdirError: Naming the process that does.
    """
    if self._lock is not None:
      return
    if bucket.remote(self.path):
      lease = bucket.Lease(self.path)
      try:
        lease.take()
      except bucket.Held as error:
        raise WorkdirError(f'{self.path} is in use by {error}') from None
      self._lease = lease
      self._lock = weakref.finalize(self, lease.release)
      self._lock.atexit = False  # too late for a request; it ends by itself
      return
    import fcntl

    number = os.open(self.path / '.lock', os.O_RDWR | os.O_CREAT, 0o666)
    try:
      fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      owner = os.read(number, 1000).decode().strip() or 'another process'
      os.close(number)
      raise WorkdirError(f'{self.path} is in use by {owner}') from None
    os.truncate(number, 0)
    os.write(number, f'process {os.getpid()} on {platform.node()}'.encode())
    self._lock = weakref.finalize(self, os.close, number)

  def unlock(self) -> None:
    """Lets go of the directory."""
    if self._lock is not None:
      self._lock()
      self._lock = self._lease = None

  def confirm(self) -> None:
    """Makes sure that this process still holds the directory.

    Raises:
      WorkdirError: If it was not heard for so long (suspended, or without a
        network) that another process has taken over.
    """
    taker = self._lease.lost_to() if self._lease else ''
    if taker:
      raise WorkdirError(
        f'{self.path} was taken over by {taker}, since this process was not '
        f'heard for {bucket.HOLD:g} s'
      )

  def discard(self) -> None:
    """Removes everything, of a run that has computed nothing."""
    if bucket.remote(self.path):
      bucket.remove(self.path, stay=bucket.PREFIX)
      self.unlock()
      return
    self.unlock()
    self.path.rmtree(missing_ok=True)

  def write(self, name: str, content: Mapping[str, Any] | str) -> None:
    """Writes a text or JSON file, whole or not at all."""
    self.confirm()
    if not isinstance(content, str):
      content = json.dumps(content, indent=2, sort_keys=True) + '\n'
    write_text(self.path / name, content)

  def read(self, name: str) -> dict[str, Any]:
    """A JSON file, {} when it is not there."""
    text = _text(self.path / name)
    return {} if text is None else json.loads(text)


# What a run killed before it had a config.json may leave.
_OWN = {'.lock', 'log.txt', '.config.json.partial'}


def _of_lock(name: str) -> bool:
  return name.startswith(bucket.PREFIX)
