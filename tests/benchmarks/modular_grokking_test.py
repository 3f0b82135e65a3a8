import importlib.util
import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_quick_run_completes_and_reports_every_row(tmp_path):
  out = tmp_path / 'out.json'
  done = subprocess.run(
    [
      *(sys.executable, '-m', 'benchmarks.modular_grokking', '--quick'),
      *('--modulus=7', '--lanes=2', f'--out={out}'),
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  tables = json.loads(out.read_text())['tables']
  torch = importlib.util.find_spec('torch') is not None
  for table in tables:
    names = {row['name'] for row in table['rows']}
    assert 'ours' in names and ('torch' in names) == torch
    if torch:
      assert table['weights_that_differ'] <= 0.02
  assert {'ours, 2 seeds, map', 'ours, 2 seeds, vmap'} <= {
    row['name'] for row in tables[0]['rows']
  }
