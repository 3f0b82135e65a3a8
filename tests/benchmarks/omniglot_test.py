import json
import subprocess
import sys

import pytest

from benchmarks import omniglot as bench


@pytest.mark.slow
def test_quick_run_completes_and_reports_every_row(tmp_path):
  out = tmp_path / 'out.json'
  done = subprocess.run(
    [sys.executable, '-m', 'benchmarks.omniglot', '--quick', f'--out={out}'],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  results = json.loads(out.read_text())
  assert set(results['tables']) == set(bench.CASES)
  for rows in results['tables'].values():
    assert [row['name'] for row in rows] == [bench.OURS, 'as defined']
