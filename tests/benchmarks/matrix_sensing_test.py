import importlib.util
import json
import subprocess
import sys

from benchmarks import matrix_sensing_report as report

ROWS = {
  report.OURS,
  report.OURS_LANES,
  report.OURS_SINGLE,
  'numpy, svec + Gram',
  f'numpy, svec + Gram, {report.LANES} lanes',
  'numpy, flat, two GEMV',
  'numpy, loop over measurements',
}
TORCH = {report.TORCH, f'{report.TORCH}, {report.LANES} lanes'}
TORCH_GRAM = {f'torch, svec + Gram, {n} lanes' for n in (1, report.LANES)}


def test_quick_run_completes_and_reports_every_row(tmp_path):
  out = tmp_path / 'out.json'
  done = subprocess.run(
    [
      *(sys.executable, '-m', 'benchmarks.matrix_sensing', '--quick'),
      *('--sizes=6x30x2', '--threads=1', f'--out={out}'),
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  results = json.loads(out.read_text())
  assert {'cpu', 'cores', 'jax', 'torch'} <= set(results['machine'])
  has_torch = importlib.util.find_spec('torch') is not None
  (table,) = results['threads']['1']
  times = {row['name']: row['median'] for row in table['rows']}
  torch = TORCH | TORCH_GRAM if has_torch else set()
  assert set(times) == ROWS | torch
  assert has_torch or table['absent'] == dict.fromkeys(TORCH, 'not installed')
  assert sum('GEMV' in limit['name'] for limit in table['limits']) == 2
  assert all(limit['median'] for limit in table['limits'])
  for name in ROWS | TORCH:
    assert name in done.stdout
  # No target is set for a problem of this size.
  assert [target['met'] for target in results['targets']] == [None] * 5
  assert done.stdout.count('not measured') == 5


def test_a_malformed_size_is_refused_in_one_line():
  done = subprocess.run(
    [sys.executable, '-m', 'benchmarks.matrix_sensing', '--sizes=20x600'],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode != 0
  assert "size is '20x600', expected n x m x k" in done.stdout + done.stderr
  assert 'Traceback' not in done.stderr
