"""Stopping politely: the first signal asks, the second exits at once."""

import os
import signal
import sys
from types import FrameType

__all__ = ['StopRequest']


class StopRequest:
  """SIGTERM and SIGINT as a question that the runner asks between chunks."""

  def __init__(self) -> None:
    """Nothing is asked yet."""
    self._asked = False

  def install(self) -> 'StopRequest':
    """Takes over SIGTERM and SIGINT (main thread only)."""
    for number in (signal.SIGTERM, signal.SIGINT):
      signal.signal(number, self._handle)
    return self

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
