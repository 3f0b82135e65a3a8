"""Processes: killed at random moments, stopped politely, started twice."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from framework.run import results
from tests.run import jobs

ROOT = pathlib.Path(__file__).parents[2]
COMMAND = [
  sys.executable,
  '-m',
  'experiments.matrix_sensing',
  '--config.n=14',
  '--config.m=120',
  '--config.steps=30000',
  '--sweep=setting=population,sensing;k=3,5',
  '--seeds=3',
  '--checkpoint_every_secs=0.3',
  '--progress=none',
]


def start(workdir: pathlib.Path, *more: str) -> subprocess.Popen:
  environment = {
    **os.environ,
    'JAX_PLATFORMS': 'cpu',
    'PYTHONPATH': str(ROOT),
    'NPROC': '1',
  }
  return subprocess.Popen(
    [*COMMAND, f'--workdir={workdir}', *more],
    cwd=ROOT,
    env=environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def finish(process: subprocess.Popen) -> tuple[int, str]:
  out, _ = process.communicate(timeout=300)
  return process.returncode, out


def wait_for(path: pathlib.Path, process: subprocess.Popen) -> None:
  deadline = time.monotonic() + 120
  while not path.exists():
    assert process.poll() is None, process.communicate()[0]
    assert time.monotonic() < deadline
    time.sleep(0.02)


def assert_same(left: pathlib.Path, right: pathlib.Path) -> None:
  a, b = results.open(left), results.open(right)
  assert set(a) == set(b)
  for name in a:
    assert a[name].dims == b[name].dims
    np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)
  assert jobs.last_state(left) == jobs.last_state(right)
  for name in ('claims.json', 'results.csv'):
    assert (left / name).read_bytes() == (right / name).read_bytes()


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory) -> tuple[pathlib.Path, float]:
  workdir = tmp_path_factory.mktemp('runs') / 'undisturbed'
  process = start(workdir)
  wait_for(workdir / 'run.json', process)
  began = time.monotonic()
  code, out = finish(process)
  assert code == 0, out
  return workdir, time.monotonic() - began


def kills(undisturbed, tmp_path, count: int, seed: int) -> None:
  """Kills a run `count` times, each time on its way, then lets it finish."""
  reference, seconds = undisturbed
  draw = random.Random(seed)
  workdir = tmp_path / 'killed'
  for _ in range(count):
    process = start(workdir)
    wait_for(workdir / 'run.json', process)
    time.sleep(draw.uniform(0, seconds))
    process.send_signal(signal.SIGKILL)
    process.communicate()
  code, out = finish(start(workdir))
  assert code == 0, out
  assert_same(reference, workdir)


def test_killed_three_times(undisturbed, tmp_path):
  kills(undisturbed, tmp_path, 3, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(20))
def test_killed_at_twenty_moments(undisturbed, tmp_path, seed):
  kills(undisturbed, tmp_path, 1, seed=100 + seed)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_polite_stop_saves_and_goes_on(undisturbed, tmp_path, number):
  reference, _ = undisturbed
  workdir = tmp_path / 'stopped'
  process = start(workdir)
  wait_for(workdir / 'checkpoints', process)
  while not list((workdir / 'checkpoints').glob('[0-9]*')):
    assert process.poll() is None
    time.sleep(0.02)
  process.send_signal(number)
  code, out = finish(process)
  assert code == 75, out
  assert 'run the same command again' in out
  assert 'Traceback' not in out
  # What there is can be seen at once, and what is not there fails nothing.
  code, out = finish(start(workdir, '--mode=report'))
  assert code == 0, out
  assert 'the run is preempted' in out
  assert 'fails' not in out
  code, out = finish(start(workdir))
  assert code == 0, out
  assert_same(reference, workdir)


def test_two_processes_on_one_workdir(tmp_path):
  workdir = tmp_path / 'shared'
  first = start(workdir)
  wait_for(workdir / 'run.json', first)
  code, out = finish(start(workdir))
  assert code == 2
  assert out.count('\n') == 1
  assert f'in use by process {first.pid}' in out
  first.kill()
  first.communicate()


def test_another_config_is_refused_and_never_moves_it_aside(
  undisturbed, tmp_path
):
  reference, _ = undisturbed
  code, out = finish(start(reference, '--config.alpha=0.7'))
  assert code == 2
  assert 'alpha: 0.3 -> 0.7' in out
  assert out.count('\n') == 1
  code, out = finish(
    start(tmp_path / 'nothing', '--resume=must', '--config.alpha=0.7')
  )
  assert code == 2
  assert 'there is no run' in out
  assert not (tmp_path / 'nothing').exists()


def test_report_needs_no_computation(undisturbed):
  reference, _ = undisturbed
  before = (reference / 'claims.json').read_bytes()
  (reference / 'claims.json').unlink()
  code, out = finish(start(reference, '--mode=report'))
  assert code == 0, out
  assert (reference / 'claims.json').read_bytes() == before
