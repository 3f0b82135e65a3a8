"""The commands for a TPU pod, and the loop around them."""

import shlex
import subprocess
import sys

import pytest

from framework.launch import tpu_pod as launch_tpu
from tests.launch.process_test import ROOT

EXPERIMENT = 'experiments.matrix_sensing'
WORDS = ['--config=:phase', '--workdir=gs://b/run', '--sweep=alpha=0.1;k=3,4']


def test_every_worker_installs_and_runs_the_same():
  install, run = launch_tpu.commands('pod', 'z-a', '.', EXPERIMENT, WORDS)
  ssh = ['gcloud', 'compute', 'tpus', 'tpu-vm', 'ssh', 'pod']
  assert install[:6] == run[:6] == ssh
  assert {'--zone=z-a', '--worker=all'} < set(install) & set(run)
  assert install[-1] == "--command=pip install '.[tpu]'"
  # The shell there sees the words as they were given here.
  line = run[-1].removeprefix('--command=while python3 ').split('; code=')[0]
  said = subprocess.run(
    ['bash', '-c', f'echo {line}'], capture_output=True, text=True, check=True
  ).stdout.strip()
  assert said == ' '.join(
    ['-m experiments.matrix_sensing', '--distributed=on', *WORDS]
  )


def test_a_repository_can_be_the_source():
  source = 'git+https://example.org/x.git'
  install, _ = launch_tpu.commands('p', 'z', source, EXPERIMENT, WORDS)
  assert install[-1].endswith(f"'training-dynamics[tpu] @ {source}'")


@pytest.mark.parametrize('last', [0, 1, 3])
def test_the_loop_ends_with_the_code_that_is_not_75(tmp_path, last):
  """Preempted twice; then another end."""
  script = tmp_path / 'run.sh'
  script.write_text(
    f'echo >> {tmp_path}/log; [ $(wc -l < {tmp_path}/log) -lt 3 ] && exit 75; '
    f'exit {last}'
  )
  loop = launch_tpu.retry(['bash', str(script)])
  assert subprocess.run(['bash', '-c', loop]).returncode == last
  assert len((tmp_path / 'log').read_text().splitlines()) == 3


@pytest.mark.parametrize(
  'experiment, words, message',
  [
    ('nosuch', WORDS, "there is no module 'nosuch', expected one that laun"),
    ('no.such', WORDS, "there is no module 'no.such'"),
    (EXPERIMENT, [], '--workdir is None, expected gs://BUCKET'),
    (EXPERIMENT, ['--workdir=/x'], '--workdir is /x, expected gs://'),
  ],
)
def test_slips_are_one_line(experiment, words, message):
  with pytest.raises(ValueError, match='^' + message):
    launch_tpu.commands('p', 'z', '.', experiment, words)


def test_it_prints_and_does_no_more():
  words = [sys.executable, '-m', 'framework.launch.tpu_pod', '--tpu=p']
  words += ['--zone=z', EXPERIMENT, '--', *WORDS]
  done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
  made = launch_tpu.commands('p', 'z', '.', EXPERIMENT, WORDS)
  assert done.stdout.splitlines() == [shlex.join(c) for c in made]
  assert done.returncode == 0, done.stderr
