"""The benchmark's peers arrive at its numbers; tiny sizes."""

import pytest

from benchmarks import spectrum


@pytest.mark.slow
def test_peers_agree_and_lines_are_told():
  found = {
    'table': spectrum.table(True),
    'recursion': spectrum.recursion(True),
    'bootstrap': spectrum.bootstrap(True),
  }
  assert len(spectrum.report(found)) == 3
