import importlib.util
import json
import subprocess
import sys

from benchmarks import xor_grokking as bench

OURS = {bench.OURS, bench.EXPLICIT, bench.NUMPY_GRAM}
TORCH = {bench.TORCH, bench.CLOSED, bench.TORCH_GRAM}


def test_quick_run_completes_and_reports_every_row(tmp_path):
  out = tmp_path / 'out.json'
  done = subprocess.run(
    [
      *(sys.executable, '-m', 'benchmarks.xor_grokking', '--quick'),
      *('--size=10x40x8', f'--out={out}'),
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  results = json.loads(out.read_text())
  has_torch = importlib.util.find_spec('torch') is not None
  for table in results['tables']:
    names = {row['name'] for row in table['rows']}
    assert names == OURS | (TORCH if has_torch else set())
  for target in results['targets']:
    assert (target['met'] is None) == (not has_torch)


def test_a_malformed_size_is_refused_in_one_line():
  done = subprocess.run(
    [sys.executable, '-m', 'benchmarks.xor_grokking', '--size=20x600'],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode != 0
  assert "size is '20x600', expected n x p x m" in done.stdout + done.stderr
  assert 'Traceback' not in done.stderr
