import itertools
import re
import sys

import pytest

from framework.run import progress as lib
from framework.run.progress import Progress


@pytest.fixture
def clock(monkeypatch):
  """A clock that stands still until it is told otherwise."""

  class Clock:
    now = 100.0

    def __call__(self):
      return self.now

  found = Clock()
  monkeypatch.setattr(lib.time, 'monotonic', found)
  return found


def test_a_line_says_share_rate_and_time_left(clock, capfd):
  progress = Progress('log')
  progress.begin(1000)
  progress.resume_clock()
  clock.now += 2
  progress.advanced(100, 'k=4')
  text = capfd.readouterr().err
  assert text == ' 10.0%  50 lane-steps/s  ETA estimating  k=4\n'


def test_the_rate_leaves_out_what_came_before_and_compilation(clock, capfd):
  progress = Progress('log', every_secs=0)
  progress.begin(1000, done=500)
  clock.now += 60  # compilation of the first block
  progress.resume_clock()
  clock.now += 1
  progress.advanced(50)
  progress.stop_clock()
  clock.now += 60  # and of the second
  progress.resume_clock()
  clock.now += 1
  progress.advanced(50)
  *_, last = capfd.readouterr().err.splitlines()
  assert last == ' 60.0%  50 lane-steps/s  ETA estimating'


def test_lines_become_rarer_down_to_the_limit(clock, capfd):
  progress = Progress('log', every_secs=30)
  progress.begin(10**6)
  progress.resume_clock()
  said = []
  for second in range(150):
    clock.now += 1
    progress.advanced(1)
    if capfd.readouterr().err:
      said.append(second)
  gaps = [b - a for a, b in itertools.pairwise(said)]
  assert said[0] == 0 and gaps == [1, 3, 9, 27, 30, 30, 30]


def test_none_says_nothing(clock, capfd):
  progress = Progress('none')
  progress.begin(10)
  progress.resume_clock()
  progress.advanced(10)
  progress.end()
  assert capfd.readouterr() == ('', '')


def test_a_bar_reaches_its_end(capfd):
  progress = Progress('bar')
  progress.begin(200, done=100)
  progress.resume_clock()
  progress.advanced(40, 'k=4')
  progress.advanced(60, 'k=5')
  progress.end()
  text = capfd.readouterr().err
  assert re.search(r'k=5: 100%.*200', text)


@pytest.mark.parametrize('tty, lines', [(True, False), (False, True)])
def test_auto_is_a_bar_on_a_terminal_only(tty, lines, monkeypatch, capfd):
  monkeypatch.setattr(sys.stderr, 'isatty', lambda: tty, raising=False)
  progress = Progress('auto')
  progress.begin(10)
  progress.resume_clock()
  progress.advanced(5)
  progress.end()
  assert ('lane-steps/s' in capfd.readouterr().err) == lines


def test_ending_before_the_beginning():
  Progress('bar').end()


def test_an_unknown_style_is_refused():
  with pytest.raises(ValueError, match="progress is 'loud', expected auto"):
    Progress('loud')


@pytest.mark.parametrize(
  'seconds, text',
  [
    (0, '0:00'),
    (59.6, '1:00'),
    (3599.4, '59:59'),
    (3599.6, '1:00:00'),
    (1e30, '99:59:59'),
    (float('inf'), '99:59:59'),
  ],
)
def test_duration(seconds, text):
  assert lib.duration(seconds) == text
