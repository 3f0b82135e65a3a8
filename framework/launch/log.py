"""log.txt: for whoever asks in a year how these results came about."""

import contextlib
import logging as python_logging
import time
from collections.abc import Iterator

from absl import logging
from etils import epath

from framework.run import bucket
from framework.run.workdir import write_text

__all__ = ['NAME', 'kept']

NAME = 'log.txt'
_FORMAT = '%(asctime)s %(levelname)-7s %(message)s'


@contextlib.contextmanager
def kept(directory: epath.PathLike) -> Iterator[None]:
  """Adds to log.txt what the framework logs inside this context.

  The terminal goes on showing only what it showed before.

  Args:
    directory: The work directory, a local path or a bucket; it must exist.
  """
  path = epath.Path(directory) / NAME
  logger, terminal = logging.get_absl_logger(), logging.get_absl_handler()
  remote = bucket.remote(path)
  handler = (
    _Object(path)
    if remote
    else python_logging.FileHandler(path, encoding='utf-8')
  )
  handler.setFormatter(python_logging.Formatter(_FORMAT))
  handler.addFilter(_ours)
  # A full disk is said by what writes results; the log must not hide it.
  handler.handleError = lambda record: None  # type: ignore[method-assign]
  levels, shown = (logger.level, terminal.level), logger.getEffectiveLevel()
  terminal.setLevel(max(shown, terminal.level))
  logger.setLevel(min(shown, python_logging.INFO))
  logger.addHandler(handler)
  try:
    yield
  finally:
    logger.removeHandler(handler)
    logger.setLevel(levels[0])
    terminal.setLevel(levels[1])
    with contextlib.suppress(OSError):
      handler.close()


_EVERY = 30.0  # seconds between two writes of a log in a bucket


class _Object(python_logging.Handler):
  """Keeps a log in a bucket: its object is written anew every half minute."""

  def __init__(self, path: epath.Path):
    super().__init__()
    self._path, self._written = path, -_EVERY
    self._text = path.read_text() if path.exists() else ''

  def emit(self, record: python_logging.LogRecord) -> None:
    """Keeps a line."""
    self._text += f'{self.format(record)}\n'
    if time.monotonic() - self._written > _EVERY:
      self._write()

  def close(self) -> None:
    """Writes what is not written."""
    super().close()
    self._write()

  def _write(self) -> None:
    self._written = time.monotonic()
    # A bucket that fails is said by what writes results.
    with contextlib.suppress(Exception):
      write_text(self._path, self._text)


def _ours(record: python_logging.LogRecord) -> bool:
  """Whether it is of the framework, or a warning of anybody."""
  return (
    record.levelno >= python_logging.WARNING or 'framework' in record.pathname
  )
