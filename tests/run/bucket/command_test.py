"""The command line in a bucket: killed, started twice, reported, judged."""

import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

import pytest

from framework.launch import Study
from framework.run import bucket, results
from framework.run.bucket import objects
from framework.run.workdir import WorkdirError
from tests.run import jobs
from tests.run.bucket import command

ROOT = pathlib.Path(__file__).parents[3]
LONG = ('--config.steps=1000000', '--checkpoint_every_secs=0.1')


def start(environment, workdir, *words: str) -> subprocess.Popen:
  return subprocess.Popen(
    [
      *(sys.executable, '-m', 'tests.run.bucket.command'),
      *('--progress=none', f'--workdir={workdir}', *words),
    ],
    cwd=ROOT,
    env={
      **os.environ,
      **environment,
      'JAX_PLATFORMS': 'cpu',
      'PYTHONPATH': str(ROOT),
      'NPROC': '1',
    },
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def finish(process: subprocess.Popen) -> tuple[int, str]:
  out, _ = process.communicate(timeout=300)
  return process.returncode, out


def until(true, process: subprocess.Popen) -> None:
  deadline = time.monotonic() + 120
  while not true():
    assert process.poll() is None, process.communicate()[0]
    assert time.monotonic() < deadline
    time.sleep(0.01)


def one_line(code: int, out: str, *words: str) -> None:
  assert code == 2 and out.count('\n') == 1, out
  for word in words:
    assert word in out


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
  """The same run on a disk."""
  where = tmp_path_factory.mktemp('disk') / 'run'
  code, out = finish(start({}, where, *LONG))
  assert code == 0, out
  return where


def assert_same(where: str, disk) -> None:
  jobs.same(results.open(where), results.open(disk))
  assert jobs.last_state(bucket.place(where)) == jobs.last_state(disk)
  for name in ('claims.json', 'results.csv', 'figures/squared.pdf'):
    assert bucket.read(f'{where}/{name}') == (disk / name).read_bytes()


def survives(environment, where: str, undisturbed) -> None:
  """Killed, started twice, resumed: as on a disk."""
  first = start(environment, where, *LONG)
  until(lambda: bucket.files(f'{where}/checkpoints'), first)
  first.send_signal(signal.SIGSTOP)  # slow, but alive
  one_line(
    *finish(start(environment, where, *LONG)),
    f'{where} is in use by process {first.pid} on',
  )
  first.send_signal(signal.SIGKILL)
  first.communicate()
  assert json.loads(bucket.read(f'{where}/run.json'))['status'] == 'running'
  code, out = finish(start(environment, where, *LONG))
  assert code == 0 and 'Traceback' not in out, out
  assert f'resuming in {where}' in out
  assert f'report  {where}/report.html' in out
  assert_same(where, undisturbed)
  assert 'resumed at step' in bucket.read(f'{where}/log.txt').decode()
  found = {n.partition('/')[0] for n in bucket.files(where)}
  assert found == {p.name for p in undisturbed.iterdir()} - {'.lock'} | {
    '.lock-2'
  }
  for name in ('claims.json', 'results.csv', 'figures/squared.pdf'):
    (bucket.place(where) / name).unlink()
  Study.stored(command.EXPERIMENT, where).report()
  assert_same(where, undisturbed)


def test_killed_started_twice_and_resumed(undisturbed, where, storage):
  survives(storage.environment, where, undisturbed)


def test_errors_are_one_line_before_anything_is_computed(
  where, storage, monkeypatch
):
  objects._prepare.cache_clear()
  with monkeypatch.context() as patch:
    patch.setattr(objects, '_installed', lambda package: False)
    with pytest.raises(
      WorkdirError, match=r'gs:// needs gcsfs: pip install'
    ) as error:
      Study(command.EXPERIMENT, workdir=where)
  assert '\n' not in str(error.value)
  study = Study(command.EXPERIMENT, workdir=where)
  for fault in ('hides', 'refuses'):
    setattr(storage, fault, True)
    with pytest.raises(WorkdirError, match=r'cannot write.*Forbidden') as error:
      study.run()
    assert '\n' not in str(error.value)
    setattr(storage, fault, False)
  assert bucket.files(where) == []


@pytest.mark.slow
def test_a_claim_that_fails_and_exit_codes(where, storage):
  words = ('--config.bound=0.5', '--strict', '--profile=0:100')
  code, out = finish(start(storage.environment, where, *words))
  assert code == 3 and 'fails' in out, out
  assert [n for n in bucket.files(where) if n.endswith('.xplane.pb')]
  code, out = finish(start(storage.environment, where, '--mode=report'))
  assert code == 0 and 'fails' in out, out
  code, out = finish(start(storage.environment, where, *words[:1]))
  assert code == 0 and 'already done' in out, out
  one_line(
    *finish(start(storage.environment, where, '--config.eta=0.2')),
    'eta: 0.1 -> 0.2',
  )
  one_line(
    *finish(start(storage.environment, f'{where}-', '--mode=report')),
    'error: ',
  )
  lost = next(n for n in bucket.files(where) if '/squared/c/' in n)
  (bucket.place(where) / lost).unlink()
  one_line(
    *finish(start(storage.environment, where, '--mode=report')),
    '1 chunks of the records',
    lost.partition('/')[2],
  )
  code, out = finish(
    start(storage.environment, where, '--resume=never', '--config.eta=0.2')
  )
  assert code == 0, out
  assert bucket.read(f'{where}.old-1/config.json')


@pytest.mark.slow
def test_a_bucket_that_refuses_on_the_way(undisturbed, where, storage):
  process = start(storage.environment, where, *LONG)
  until(lambda: bucket.files(f'{where}/checkpoints'), process)
  storage.refuses = True
  code, out = finish(process)
  storage.refuses = False
  assert code == 1 and 'Traceback' not in out, out
  assert out.count('error: ') == 1 and 'Forbidden' in out, out
  code, out = finish(start(storage.environment, where, *LONG))
  assert code == 0 and 'resuming' in out, out
  assert_same(where, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(3))
def test_killed_at_any_moment(undisturbed, where, storage, seed):
  draw = random.Random(seed)
  for _ in range(3):
    process = start(storage.environment, where, *LONG)
    until(lambda: bucket.read(f'{where}/config.json'), process)
    time.sleep(draw.uniform(0, 6))
    process.kill()
    process.communicate()
  code, out = finish(start(storage.environment, where, *LONG))
  assert code == 0, out
  assert_same(where, undisturbed)


def together(environment, where: str, count: int) -> list[subprocess.Popen]:
  """So many processes with four devices in all."""
  with socket.socket() as s:
    s.bind(('localhost', 0))
    port = s.getsockname()[1]
  words = [*LONG, '--seeds=4', '--batching=map']
  if count > 1:
    words += [
      f'--coordinator_address=localhost:{port}',
      f'--num_processes={count}',
    ]
  devices = {'JAX_NUM_CPU_DEVICES': str(4 // count)}
  return [
    start(
      {**environment, **devices},
      where,
      *words,
      *([f'--process_id={i}'] if count > 1 else []),
    )
    for i in range(count)
  ]


@pytest.mark.slow
def test_two_processes_share_a_bucket(where, storage):
  """A stop asked of the second one, a resume, and the bits of one process."""
  both = together(storage.environment, where, 2)
  until(lambda: bucket.files(f'{where}/checkpoints'), both[0])
  both[1].send_signal(signal.SIGTERM)
  ends = [finish(p) for p in both]
  assert [code for code, _ in ends] == [75, 75], ends
  ends = [finish(p) for p in together(storage.environment, where, 2)]
  assert [code for code, _ in ends] == [0, 0], ends
  assert 'resuming' in ends[0][1]
  (one,) = together(storage.environment, f'{where}.one', 1)
  code, out = finish(one)
  assert code == 0, out
  jobs.same(results.open(where), results.open(f'{where}.one'))
  left, right = (bucket.place(p) for p in (where, f'{where}.one'))
  assert jobs.last_state(left) == jobs.last_state(right)
