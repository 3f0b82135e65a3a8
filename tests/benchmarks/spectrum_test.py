"""The benchmark's peers arrive at its numbers; tiny sizes."""

import pytest

from benchmarks import spectrum


@pytest.mark.slow
def test_peers_agree_and_lines_are_told():
  found = {
    'table': spectrum.table(True, 1),
    'recursion': spectrum.recursion(True, 1),
    'bootstrap': spectrum.bootstrap(True, 1),
  }
  assert len(spectrum.report(found)) == 3
