"""The benchmark's ways are of one run; tiny sizes."""

import pytest

from benchmarks import runner


@pytest.mark.slow
@pytest.mark.parametrize('size', runner.TINY, ids=lambda size: size.name)
def test_ways_agree_and_targets_are_judged(size):
  found = runner.measured(size, 1)
  assert found['of it written'][1] < found['runner'][1]
  assert runner.report(size, found).count('(asked') == 3
