import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import attention_svm as bench
from benchmarks import attention_svm_peers as peers
from benchmarks import timing


def test_quick_run_completes_and_reports_every_row(tmp_path):
  out = tmp_path / 'out.json'
  done = subprocess.run(
    [
      *(sys.executable, '-m', 'benchmarks.attention_svm', '--quick'),
      f'--out={out}',
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  found = json.loads(out.read_text())
  there = {
    name: importlib.util.find_spec(name) is not None
    for name in ('torch', 'cvxpy', *peers.DIRECT)
  }
  torch = {bench.LOOP, bench.BATCHED, bench.CLOSED} if there['torch'] else set()
  cvxpy = {bench.CVXPY} if there['cvxpy'] else set()
  for table in found['tables']:
    names = {row['name'] for row in table['rows']}
    if table['task'] in bench.FORMS:
      assert names == {bench.OURS, bench.OURS_AUTO} | torch
    else:
      direct = {
        name
        for package, (name, _) in peers.DIRECT.items()
        if there[package] and table['task'] == 'frobenius'
      }
      assert names == {bench.SOLVER} | cvxpy | direct
  assert found['many']['finite'] == 1


def test_what_does_something_else_is_not_timed():
  one = timing.Contestant('one', lambda steps: np.ones((1, 2)))
  two = timing.Contestant('two', lambda steps: np.full((1, 2), 1.1))
  with pytest.raises(ValueError, match=r'two differs from one by 1\.0e-01'):
    bench.agree([one, two], 1, 1e-3)
