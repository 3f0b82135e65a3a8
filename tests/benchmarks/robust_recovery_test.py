import json
import subprocess
import sys

import pytest

from benchmarks import robust_recovery, robust_recovery_peers


@pytest.mark.slow
def test_quick_run_completes_and_judges_every_target(tmp_path):
  out = tmp_path / 'out.json'
  done = subprocess.run(
    [
      *(sys.executable, '-m', 'benchmarks.robust_recovery', '--quick'),
      *('--rounds=2', f'--out={out}'),
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  found = json.loads(out.read_text())['found']
  judged = [what for what, *_ in robust_recovery.verdicts(found)]
  torch = robust_recovery_peers.has_torch()
  assert len(judged) == len(robust_recovery.TARGETS) - 2 * (not torch)
  assert 'completion moves' in done.stdout
