"""Objects of a bucket: found, written and moved with few requests."""

import contextlib
import functools
import importlib.util
import logging
import os
from collections.abc import Iterator, Sequence
from concurrent import futures
from typing import Any

from etils import epath

__all__ = [
  'BucketError',
  'files',
  'filesystem',
  'move',
  'place',
  'read',
  'remote',
  'remove',
  'told',
  'upload',
  'write',
]


class BucketError(OSError):
  """A bucket that cannot be reached or refuses, in one line."""


# What reaches a kind of bucket: (package, extra that installs it).
_CLIENTS = {'gs': ('gcsfs', 'gcs'), 's3': ('s3fs', 's3')}
# Where the errors of these clients are from; few of them are OSErrors.
_ERRORS = {'gcsfs', 's3fs', 'fsspec', 'aiohttp', 'aiobotocore', 'botocore'}
_ERRORS |= {'google', 'requests', 'urllib3'}


def remote(path: epath.PathLike) -> bool:
  """Whether a path is in a bucket.

  >>> remote('gs://bucket/run'), remote('/home/run')
  (True, False)
  """
  return '://' in os.fspath(path)


def place(path: epath.PathLike) -> epath.Path:
  """A path whose storage can be used from here on.

  Args:
    path: Local path, or gs://BUCKET/... or s3://BUCKET/...

  Returns:
    The path.

  Raises:
    BucketError: If that kind of storage is not known or not installed.
  """
  if remote(path):
    _prepare(os.fspath(path).partition('://')[0])
  return epath.Path(path)


@functools.cache
def _prepare(scheme: str) -> None:
  """Makes all clients of this process see what others write."""
  if scheme not in _CLIENTS:
    wanted = ', '.join(f'{known}://' for known in _CLIENTS)
    raise BucketError(
      f'{scheme}:// is not supported: expected {wanted} or a local path'
    )
  package, extra = _CLIENTS[scheme]
  if not _installed(package):
    raise BucketError(
      f"{scheme}:// needs {package}: pip install 'training-dynamics[{extra}]'"
    )
  import fsspec.config

  # Listings are kept for ever by default: nothing that another client, or
  # another process, has written since would be found.
  options = fsspec.config.conf.setdefault(scheme, {})
  options['use_listings_cache'] = False
  # epath would take tensorflow, if that happens to be there, as its client.
  os.environ.setdefault('EPATH_USE_TF', 'false')
  # Raised as well; here it would be printed with a traceback.
  logging.getLogger(package).setLevel(logging.CRITICAL)


def _installed(package: str) -> bool:
  return importlib.util.find_spec(package) is not None


def filesystem(path: epath.PathLike) -> tuple[Any, str]:
  """The client of a bucket, and the path as it knows it.

  Args:
    path: A path in a bucket.

  Returns:
    (an `fsspec` filesystem, bucket/key).
  """
  from fsspec.core import url_to_fs

  fs, root = url_to_fs(os.fspath(place(path)))
  return fs, root.rstrip('/')


def files(path: epath.PathLike) -> list[str]:
  """All objects below a path: one request for a thousand of them.

  Args:
    path: A path in a bucket.

  Returns:
    Their paths, relative to it, sorted; none if there is nothing.
  """
  fs, root = filesystem(path)
  return sorted(p[len(root) + 1 :] for p in fs.find(root) if p != root)


def write(path: epath.PathLike, content: bytes) -> None:
  """Writes an object, whole or not at all, in one request.

  Args:
    path: A path in a bucket.
    content: What it is to hold.
  """
  fs, name = filesystem(path)
  fs.pipe_file(name, content)


def read(path: epath.PathLike) -> bytes | None:
  """An object in one request, None if it is not there.

  Args:
    path: A path in a bucket.
  """
  fs, name = filesystem(path)
  try:
    return fs.cat_file(name)
  except FileNotFoundError:
    return None


def upload(source: epath.PathLike, target: epath.PathLike) -> None:
  """Copies all files of a local folder into a bucket.

  Args:
    source: The folder.
    target: A path in a bucket.
  """
  fs, root = filesystem(target)
  fs.put(os.fspath(source).rstrip('/') + '/', root + '/', recursive=True)


def move(
  source: epath.PathLike,
  target: epath.PathLike,
  last: Sequence[str] = (),
  stay: str = '',
) -> None:
  """Moves all objects below a path; killed on its way, it has lost none.

  Args:
    source: A path in a bucket.
    target: Another one in it, where there is nothing.
    last: Objects that are removed after all others.
    stay: Objects whose paths begin with this stay, if it is not empty.
  """
  fs, root = filesystem(source)
  _, goal = filesystem(target)
  names = [n for n in files(source) if not (stay and n.startswith(stay))]
  if names:
    fs.copy([f'{root}/{n}' for n in names], [f'{goal}/{n}' for n in names])
  remove(source, last, stay)


def remove(
  path: epath.PathLike, last: Sequence[str] = (), stay: str = ''
) -> None:
  """Removes all objects below a path.

  Args:
    path: A path in a bucket.
    last: Objects that are removed after all others.
    stay: Objects whose paths begin with this stay, if it is not empty.
  """
  fs, root = filesystem(path)
  names = {n for n in files(path) if not (stay and n.startswith(stay))}
  # Not `rm` of a list, which takes [ and * in a name for a pattern.
  with futures.ThreadPoolExecutor(16) as many:
    for part in (names - set(last), names & set(last)):
      list(many.map(fs.rm_file, [f'{root}/{n}' for n in sorted(part)]))


@contextlib.contextmanager
def told(path: epath.PathLike) -> Iterator[None]:
  """Whatever the clients of a bucket raise inside, in one line.

  Args:
    path: The work directory; if it is local, nothing is changed.

  Raises:
    BucketError: In place of an error of a client.
  """
  try:
    yield
  except Exception as error:
    known = type(error).__module__.partition('.')[0] in _ERRORS
    if not remote(path) or not (known or isinstance(error, OSError)):
      raise
    if isinstance(error, BucketError):
      raise
    line = ' '.join(str(error).split()) or type(error).__name__
    missing = 'not found: ' if isinstance(error, FileNotFoundError) else ''
    where = '' if os.fspath(path) in line else f'{os.fspath(path)}: '
    raise BucketError(f'{where}{missing}{line[:300]}') from error
