"""Progress of a run: a bar on a terminal, a line now and then elsewhere."""

import sys
import time

import jax

__all__ = ['Progress', 'duration']


class Progress:
  """Says how far a run is, how fast, and when it will be done.

  Only process 0 speaks. The unit is one step of one lane.
  """

  def __init__(self, style: str = 'auto', every_secs: float = 30.0):
    """Chooses how to speak.

    Args:
      style: 'bar', 'log' (a line at the first chunk, then every `every_secs`),
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
    self._began = self._last = time.monotonic()
    self._spoken = False
    if self._style == 'bar':
      from tqdm import tqdm

      self._bar = tqdm(
        total=self._total,
        initial=done,
        unit='step',
        unit_scale=True,
        dynamic_ncols=True,
      )

  def advanced(self, lane_steps: int, label: str = '') -> None:
    """A chunk is done."""
    self._done += lane_steps
    if self._bar is not None:
      self._bar.set_description_str(label, refresh=False)
      self._bar.update(lane_steps)
    now = time.monotonic()
    due = not self._spoken or now - self._last >= self._every
    if self._style == 'log' and due:
      self._last, self._spoken = now, True
      rate = (self._done - self._first) / max(now - self._began, 1e-9)
      left = (self._total - self._done) / max(rate, 1e-9)
      print(
        f'{100 * self._done / self._total:5.1f}%  {rate:.3g} lane-steps/s  '
        f'ETA {duration(left)}  {label}'.rstrip(),
        file=sys.stderr,
        flush=True,
      )

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
