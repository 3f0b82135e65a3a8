import json
import subprocess
import sys

from benchmarks import word2vec as bench
from benchmarks import word2vec_peers as peers


def test_quick_run_completes_and_reports_every_row(tmp_path):
  out = tmp_path / 'out.json'
  done = subprocess.run(
    [sys.executable, '-m', 'benchmarks.word2vec', '--quick', f'--out={out}'],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  results = json.loads(out.read_text())
  want = {bench.LIMIT, bench.DOUBLE}
  want |= {f'ours, width {S}' for S in bench.WIDTHS}
  if not peers.torch_missing():
    want |= {bench.TORCH_LOOP, bench.TORCH_ROWS}
  if not peers.c_missing():
    want |= {bench.C_LOOP, bench.C_FAST, bench.C_HALF}
  if not peers.gensim_missing():
    want |= {bench.GENSIM}
  assert {row['name'] for row in results['rows']} == want
  for found in results['targets']:
    assert (found['met'] is None) == (found['name'] not in want)
