"""Stopping politely: the first signal asks, the second exits at once."""

import os
import signal
import sys
import threading
from types import FrameType

__all__ = ['StopRequest']


class StopRequest:
  """SIGTERM and SIGINT as a question that the runner asks between chunks."""

  def __init__(self) -> None:
    """Nothing is asked yet."""
    self._asked = False

  def __enter__(self) -> 'StopRequest':
    """Takes over SIGTERM and SIGINT; in a thread, which gets none, nothing."""
    self._before = {}
    if threading.current_thread() is threading.main_thread():
      for number in (signal.SIGTERM, signal.SIGINT):
        self._before[number] = signal.signal(number, self._handle)
    return self

  def __exit__(self, *error: object) -> None:
    """Gives them back."""
    for number, handler in self._before.items():
      signal.signal(number, handler)

  def _handle(self, number: int, frame: FrameType | None) -> None:
    del frame
    if self._asked:
      os._exit(128 + number)
    self._asked = True
    name = signal.Signals(number).name
    print(
      f'\n{name}: finishing this chunk, then saving; once more exits at once',
      file=sys.stderr,
      flush=True,
    )

  def __call__(self) -> bool:
    """Whether a stop has been asked for."""
    return self._asked
