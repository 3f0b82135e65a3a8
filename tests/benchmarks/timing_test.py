import os

import pytest

from benchmarks import timing


class _Clock:
  """A clock that stands still but for pretended work."""

  def __init__(self):
    self.now = 0.0
    self.order = []

  def __call__(self):
    return self.now

  def contestant(self, name, per_step, call=0.0, lanes=1):
    def run(steps):
      self.order.append(name)
      self.now += call + steps * per_step

    return timing.Contestant(name, run, lanes)


def test_a_step_is_timed_without_the_call():
  clock = _Clock()
  field = [clock.contestant('a', 1e-3, call=0.5), clock.contestant('b', 2.0)]
  a, b = timing.measure(field, rounds=3, seconds=0.1, clock=clock)
  assert a.median == pytest.approx(1e-3)
  assert a.call == pytest.approx(0.5)
  assert 100 <= a.steps <= 120
  assert (b.median, b.call, b.steps) == (pytest.approx(2.0), 0.0, 1)


def test_contestants_take_turns():
  clock = _Clock()
  field = [clock.contestant(name, 1.0) for name in 'ab']
  timing.measure(field, rounds=2, seconds=0.1, clock=clock)
  assert ''.join(clock.order).endswith('aabb' * 2)


def test_no_round_is_refused():
  with pytest.raises(ValueError, match='rounds is 0'):
    timing.measure([], rounds=0)


def test_a_fresh_process_has_the_threads_asked_for(monkeypatch):
  monkeypatch.setenv('NPROC', '7')
  assert timing.in_fresh_process('1', timing.one_thread)
  assert timing.in_fresh_process('all', os.getenv, 'NPROC') is None
  assert os.environ['NPROC'] == '7'
  with pytest.raises(ValueError, match="threads is '2'"):
    timing.in_fresh_process('2', timing.one_thread)
