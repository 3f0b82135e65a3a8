"""Progress of a run: a bar on a terminal, a line now and then elsewhere."""

import sys
import time

import jax
from absl import logging

__all__ = ['Progress', 'duration']


class Progress:
  """Says how far a run is, how fast, and when it will be done.

  Only process 0 speaks. The unit is one step of one lane.
  """

  def __init__(self, style: str = 'auto', every_secs: float = 30.0):
    """Chooses how to speak.

    Args:
      style: 'bar', 'log' (lines, at first often, then every `every_secs`),
        'none', or 'auto': a bar on a terminal, lines elsewhere.
      every_secs: Seconds between lines.
    """
    if style not in ('auto', 'bar', 'log', 'none'):
      raise ValueError(
        f'progress is {style!r}, expected auto, bar, log or none'
      )
    if style == 'auto':
      style = 'bar' if sys.stderr.isatty() else 'log'
    self._style = style
    self._every = every_secs
    self._bar = None

  def begin(self, total: int, done: int = 0) -> None:
    """Says how much there is and how much was already there (a resume)."""
    if jax.process_index() != 0:
      self._style = 'none'
    self._total, self._done, self._first = max(total, 1), done, done
    self._last = time.monotonic()
    self._worked, self._since = 0.0, None
    self._chunks = 0
    self._wait = 0.0  # until the next line: at once, then ever more rarely
    if self._style == 'bar':
      from tqdm import tqdm

      self._bar = tqdm(
        total=self._total,
        initial=done,
        unit='step',
        unit_scale=True,
        dynamic_ncols=True,
      )

  def stop_clock(self) -> None:
    """Compilation and set-up begin: they say nothing about the rate."""
    if self._since is not None:
      self._worked += time.monotonic() - self._since
    self._since = None

  def resume_clock(self) -> None:
    """Steps begin."""
    self._since = time.monotonic()

  def advanced(self, lane_steps: int, label: str = '') -> None:
    """A chunk is done."""
    self._done += lane_steps
    if self._bar is not None:
      self._bar.set_description_str(label, refresh=False)
      self._bar.update(lane_steps)
    now = time.monotonic()
    self._chunks += 1
    if now - self._last >= self._wait:
      self._last = now
      self._wait = min(max(1.0, 3 * self._wait), self._every)
      running = 0.0 if self._since is None else now - self._since
      rate = (self._done - self._first) / max(self._worked + running, 1e-9)
      left = duration((self._total - self._done) / max(rate, 1e-9))
      line = (
        f'{100 * self._done / self._total:5.1f}%  {rate:.3g} lane-steps/s  '
        # The first chunks are short and say little about the rate.
        f'ETA {left if self._chunks > 2 else "estimating"}  {label}'
      ).rstrip()
      logging.info('%s', line)
      if self._style == 'log':
        print(line, file=sys.stderr, flush=True)

  def end(self) -> None:
    """The run is over, or has stopped."""
    if self._bar is not None:
      self._bar.close()


def duration(seconds: float) -> str:
  """Seconds as h:mm:ss or m:ss.

  >>> duration(75), duration(3661)
  ('1:15', '1:01:01')
  """
  whole = round(min(seconds, 359999))
  hours, rest = divmod(whole, 3600)
  minutes, secs = divmod(rest, 60)
  if hours:
    return f'{hours}:{minutes:02}:{secs:02}'
  return f'{minutes}:{secs:02}'
