"""The benchmark of devices runs every program, and says what it compares."""

import subprocess
import sys

import numpy as np
import pytest

from benchmarks import devices


def test_a_table_compares_with_an_earlier_run():
  row = {
    'name': 'one',
    'lanes': 4,
    'seconds': 8e-6,
    'a_lane': 2e-6,
    'product': 0.5,
    'moved': None,
    'torch_a_lane': 6e-6,
  }
  earlier = {'rows': [{'name': 'one', 'a_lane': 2e-5}]}
  text = devices.table(
    'a device', {'flops': 1e12, 'bytes': 1e9}, [row], earlier
  )
  assert text.splitlines()[-1] == '| one | 4 | 2 | 50 % |  | 10 | 3 |'


@pytest.mark.slow
def test_smoke():
  """Every program at a tiny size; seconds of such steps may be noise."""
  peak, rows, absent = devices.measure(devices.SMOKE, 1, 0.0)
  names = [row['name'] for row in rows]
  assert len(set(names)) == len(rows) == 9
  assert all(np.isfinite(row['a_lane']) for row in rows)
  assert np.isfinite(list(peak.values())).all()
  assert absent or sum(row['torch_a_lane'] is not None for row in rows) == 5
  text = devices.table('a device', peak, rows)
  assert all(name in text for name in names)


@pytest.mark.slow
def test_an_earlier_run_that_cannot_be_read_is_refused_in_one_line():
  done = subprocess.run(
    [sys.executable, '-m', 'benchmarks.devices', '--smoke', '--cpu=nowhere'],
    capture_output=True,
    text=True,
    check=False,
  )
  assert (
    done.returncode != 0 and "cpu is 'nowhere'" in done.stdout + done.stderr
  )
