"""Stopping politely: the first signal asks, the second exits at once."""

import os
import signal
import sys
import threading

__all__ = ['StopRequest']


class StopRequest:
  """SIGTERM and SIGINT as a question that the runner asks between chunks.

  Python runs its handlers when the main thread comes back from XLA, which one
  large operation can keep for minutes. So a thread of its own is told of each
  signal as it comes: it answers at once, and a second signal ends the process
  whatever is being computed.
  """

  def __init__(self) -> None:
    """Nothing is asked yet."""
    self._asked = False
    self._pipe: tuple[int, int] | None = None

  def __enter__(self) -> 'StopRequest':
    """Takes over SIGTERM and SIGINT; in a thread, which gets none, nothing."""
    self._before = {}
    if threading.current_thread() is threading.main_thread():
      self._pipe = os.pipe()
      os.set_blocking(self._pipe[1], False)
      self._woken = signal.set_wakeup_fd(
        self._pipe[1], warn_on_full_buffer=False
      )
      self._thread = threading.Thread(target=self._listen, daemon=True)
      self._thread.start()
      for number in (signal.SIGTERM, signal.SIGINT):
        # The wakeup is all that is wanted of it.
        self._before[number] = signal.signal(number, lambda *_: None)
    return self

  def __exit__(self, *error: object) -> None:
    """Gives them back."""
    for number, handler in self._before.items():
      signal.signal(number, handler)
    if self._pipe:
      signal.set_wakeup_fd(self._woken)
      read, write = self._pipe
      os.close(write)  # ends the thread
      self._thread.join()
      os.close(read)
      self._pipe = None

  def _listen(self) -> None:
    assert self._pipe
    while number := os.read(self._pipe[0], 1):
      self._answer(number[0])

  def _answer(self, number: int) -> None:
    if number not in (signal.SIGTERM, signal.SIGINT):
      return
    if self._asked:
      os._exit(128 + number)
    self._asked = True
    name = signal.Signals(number).name
    print(
      f'\n{name}: finishing this chunk, about a second unless one operation '
      'takes longer, then saving; once more exits at once',
      file=sys.stderr,
      flush=True,
    )

  def __call__(self) -> bool:
    """Whether a stop has been asked for."""
    return self._asked
