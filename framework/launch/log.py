"""log.txt: for whoever asks in a year how these results came about."""

import contextlib
import logging as python_logging
from collections.abc import Iterator

from absl import logging
from etils import epath

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
  remote = '://' in str(path)
  handler = (
    _Lines() if remote else python_logging.FileHandler(path, encoding='utf-8')
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
    if isinstance(handler, _Lines):  # objects in a bucket are written whole
      before = path.read_text() if path.exists() else ''
      path.write_text(before + ''.join(f'{line}\n' for line in handler.lines))


class _Lines(python_logging.Handler):
  """Keeps formatted lines."""

  def __init__(self) -> None:
    super().__init__()
    self.lines: list[str] = []

  def emit(self, record: python_logging.LogRecord) -> None:
    """Keeps one."""
    self.lines.append(self.format(record))


def _ours(record: python_logging.LogRecord) -> bool:
  """Whether it is of the framework, or a warning of anybody."""
  return (
    record.levelno >= python_logging.WARNING or 'framework' in record.pathname
  )
