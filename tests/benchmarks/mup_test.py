import importlib.util
import json
import subprocess
import sys

from benchmarks import mup as bench


def test_quick_run_completes_and_reports_every_row(tmp_path):
  out = tmp_path / 'out.json'
  done = subprocess.run(
    [
      *(sys.executable, '-m', 'benchmarks.mup', '--quick', f'--out={out}'),
      *('--size=20x3x50', '--widths=8,16'),
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  results = json.loads(out.read_text())
  has_torch = importlib.util.find_spec('torch') is not None
  assert {t['case'] for t in results['tables']} == set(bench.TARGETS)
  for table in results['tables']:
    names = {row['name'] for row in table['rows']}
    peers = {bench.PLAIN, bench.ALGEBRA} if has_torch else set()
    assert names == {bench.OURS} | peers
  for target in results['targets']:
    assert (target['met'] is None) == (not has_torch)
  assert results['check']['wall_seconds'] > 0


def test_a_malformed_size_is_refused_in_one_line():
  done = subprocess.run(
    [sys.executable, '-m', 'benchmarks.mup', '--size=20x600'],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode != 0
  assert "size is '20x600', expected d x tasks x rows" in (
    done.stdout + done.stderr
  )
  assert 'Traceback' not in done.stderr
