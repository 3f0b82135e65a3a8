"""Where real data lies, checked by content.

A file is looked for in `root`, else in the folder that the environment variable
TRAINING_DYNAMICS_DATA names, else in the user's cache, where it is downloaded
to if its address is known. Its SHA-256 is checked every time.
"""

import hashlib
import os
import pathlib
import urllib.error
import urllib.request
from typing import NamedTuple

__all__ = ['VARIABLE', 'DataError', 'File', 'folder', 'locate', 'there']

VARIABLE = 'TRAINING_DYNAMICS_DATA'
_TIMEOUT = 30.0  # seconds without a byte


class DataError(ValueError):
  """A file that is not there or not what it should be, in one line."""


class File(NamedTuple):
  """A file and what it may contain."""

  name: str  # below the root, such as 'mnist/mnist.npz'
  sha256: tuple[str, ...]  # of every version that can be read
  url: str = ''  # where one of them can be had; '' if nowhere


def folder(root: str | os.PathLike | None = None) -> pathlib.Path:
  """The folder that data is looked for in.

  Args:
    root: The folder; None for TRAINING_DYNAMICS_DATA, and without that
      `training-dynamics/data` in the user's cache.

  Returns:
    A path, whether it exists or not.

  >>> folder('/data').as_posix()
  '/data'
  """
  given = root or os.environ.get(VARIABLE)
  if given:
    return pathlib.Path(given).expanduser()
  cache = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  return pathlib.Path(cache) / 'training-dynamics' / 'data'


def there(file: File, root: str | os.PathLike | None = None) -> bool:
  """Whether a file is on disk; its content is not looked at.

  >>> there(File('no/such.npz', ()), '/nowhere')
  False
  """
  return any(path.is_file() for path in _places(file, root))


def locate(file: File, root: str | os.PathLike | None = None) -> pathlib.Path:
  """The path of a file that has been checked.

  Args:
    file: What to look for, as `root/name` or as the last part of its name in
      `root` itself.
    root: As in `folder`; where one is given nothing is downloaded.

  Returns:
    Its path.

  Raises:
    DataError: In one line that says where was looked and what to do, if it is
      not there, cannot be had, or has another content.

  >>> locate(File('toy/toy.npz', ()), '/nowhere')
  Traceback (most recent call last):
  framework.data.store.DataError: no toy.npz in /nowhere/toy or /nowhere: put it
  there, or name its folder with --data_dir or TRAINING_DYNAMICS_DATA
  """
  places = _places(file, root)
  for path in places:
    if path.is_file():
      return _checked(path, file)
  where = f'no {places[0].name} in ' + ' or '.join(
    str(path.parent) for path in places
  )
  advice = f'put it there, or name its folder with --data_dir or {VARIABLE}'
  if not file.url or root or os.environ.get(VARIABLE):
    raise DataError(f'{where}: {advice}')
  try:
    _download(file.url, places[0])
  except OSError as error:
    reason = getattr(error, 'reason', None) or error
    raise DataError(
      f'{where} and {file.url} cannot be had ({reason}): {advice}'
    ) from None
  return _checked(places[0], file)


def _places(file: File, root) -> list[pathlib.Path]:
  base = folder(root)
  full = base / file.name
  return list(dict.fromkeys([full, base / full.name]))


def _checked(path: pathlib.Path, file: File) -> pathlib.Path:
  found = hashlib.sha256(path.read_bytes()).hexdigest()
  if found not in file.sha256:
    known = ' or '.join(f'{x[:12]}...' for x in file.sha256)
    raise DataError(
      f'{path} has SHA-256 {found[:12]}..., expected {known}: fetch it again'
    )
  return path


def _download(url: str, path: pathlib.Path) -> None:
  """Whole or not at all."""
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
  try:
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
      partial.write_bytes(answer.read())
    partial.replace(path)
  finally:
    partial.unlink(missing_ok=True)
