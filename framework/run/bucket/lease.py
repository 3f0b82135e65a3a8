"""A lock in a bucket: a numbered object, made by one process, kept renewed.

    <work directory>/.lock-<number>

Who holds the directory is who made the object of the highest number. It can be
made only by one (it is written on the condition that it is not there), and the
highest is never removed, so no number is given twice. Its holder writes into it
every few seconds. One that has not done so for a minute, or was a process of
this host that has ended, is dead: the next number may be taken. Nobody's clock
is compared with another's.
"""

import contextlib
import json
import os
import platform
import threading
import time
from typing import Any

from absl import logging
from etils import epath

from framework.run.bucket.objects import filesystem

__all__ = ['PREFIX', 'Held', 'Lease']

PREFIX = '.lock-'
HOLD = (
  60.0  # seconds without a renewal after which the holder is taken for dead
)
RENEW = 10.0  # seconds between renewals


class Held(Exception):
  """The lock belongs to another process: its name."""


class Lease:
  """The lock of one directory, held from `take` to `release`."""

  def __init__(self, directory: epath.PathLike):
    """Names the lock; asks nothing.

    Args:
      directory: A path in a bucket.
    """
    self._fs, self._root = filesystem(directory)
    self._directory = os.fspath(directory)
    self._number = self._renewed = 0
    self._lost = ''
    self._end = threading.Event()
    self._renewing: threading.Thread | None = None

  def take(self) -> None:
    """Becomes the holder, waiting to see whether the last one is alive.

    Raises:
      Held: If it is, or if another process is faster.
    """
    numbers = self._numbers()
    if numbers:
      self._outwait(numbers[-1])
    self._number = max(numbers, default=0) + 1
    try:
      self._write(mode='create')
    except FileExistsError:
      raise Held(self._holder(self._number)) from None
    newest = self._numbers()[-1]
    if newest != self._number:
      # Came so late that its number had been used and removed already.
      self._fs.rm_file(self._at(self._number))
      raise Held(self._holder(newest))
    for old in numbers:
      with contextlib.suppress(FileNotFoundError):
        self._fs.rm_file(self._at(old))
    self._renewing = threading.Thread(target=self._renew, daemon=True)
    self._renewing.start()

  def lost_to(self) -> str:
    """The process that has taken over because this one was not heard, or ''."""
    return self._lost

  def release(self) -> None:
    """Lets go; if that cannot be written, it is found out in a minute."""
    self._end.set()
    if self._renewing is not None:
      self._renewing.join()
    if not self._lost:
      try:
        self._write(released=True)
      except Exception as error:  # of many kinds, by client
        logging.warning('the lock of %s stays: %s', self._directory, error)

  def _renew(self) -> None:
    while not self._end.wait(RENEW):
      try:
        newest = self._numbers()[-1]
        if newest != self._number:
          self._lost = self._holder(newest)
          return
        self._renewed += 1
        self._write()
      except Exception as error:  # the network may come back
        logging.warning(
          'the lock of %s is not renewed: %s', self._directory, error
        )

  def _outwait(self, number: int) -> None:
    """Returns once a holder has let go or is dead."""
    first = self._read(number)
    alive = _alive(first)
    if first.get('released') or alive is False:
      return
    if alive:
      raise Held(first['name'])
    logging.warning(
      '%s is held by %s: waiting up to %g s to see whether it is alive',
      self._directory,
      first['name'],
      HOLD,
    )
    until = time.monotonic() + HOLD
    while time.monotonic() < until:
      time.sleep(RENEW / 10)
      now = self._read(number)
      if now.get('released'):
        return
      if now != first:
        raise Held(now['name'])
    logging.warning('%s has not been heard: going on', first['name'])

  def _numbers(self) -> list[int]:
    """The numbers there are, sorted."""
    start = f'{self._root}/{PREFIX}'
    names = [p[len(start) :] for p in self._fs.find(self._root, prefix=PREFIX)]
    return sorted(int(n) for n in names if n.isdigit())

  def _at(self, number: int) -> str:
    return f'{self._root}/{PREFIX}{number}'

  def _holder(self, number: int) -> str:
    return self._read(number)['name']

  def _read(self, number: int) -> dict[str, Any]:
    try:
      found = json.loads(self._fs.cat_file(self._at(number)))
      return {'name': 'another process', **found}
    except (FileNotFoundError, ValueError, TypeError):
      return {'name': 'another process'}

  def _write(self, mode: str = 'overwrite', released: bool = False) -> None:
    content = {
      'name': f'process {os.getpid()} on {platform.node()}',
      'pid': os.getpid(),
      'born': _born(os.getpid()),
      'host': _host(),
      'renewed': self._renewed,
      'released': released,
    }
    text = json.dumps(content).encode()
    self._fs.pipe_file(self._at(self._number), text, mode=mode)


def _host() -> str:
  """Where a process number means one process; empty if that is not known."""
  try:
    with open('/proc/sys/kernel/random/boot_id') as file:
      boot = file.read().strip()
    return f'{boot} {os.readlink("/proc/self/ns/pid")}'
  except OSError:
    return ''


def _born(pid: Any) -> str:
  """When a process of this host began, '' if there is none (any more)."""
  try:
    with open(f'/proc/{int(pid)}/stat') as file:
      facts = file.read().rpartition(')')[2].split()
  except (OSError, ValueError, TypeError):
    return ''
  return '' if facts[0] == 'Z' else facts[19]


def _alive(holder: dict[str, Any]) -> bool | None:
  """Whether a holder lives, None if that cannot be seen from this host."""
  if not _host() or holder.get('host') != _host():
    return None
  # Numbers of processes are used again, with another beginning.
  return _born(holder.get('pid')) == holder.get('born')
