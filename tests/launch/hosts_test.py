"""Several processes: who is missing, who writes, how many there may be."""

import os
import pathlib
import socket
import subprocess
import sys
import threading

import pytest

from framework.launch.devices import rollcall
from tests.launch import process_test as processes

WORDS = (
  '--config.n=8',
  '--config.steps=3000',
  '--seeds=4',
  '--sweep=k=3,4',
  '--batching=map',
  '--progress=none',
)


def free_port() -> int:
  with socket.socket() as s:
    s.bind(('localhost', 0))
    return s.getsockname()[1]


def start(workdir, count: int, index: int, port: int, *more: str):
  words = [sys.executable, '-m', 'experiments.matrix_sensing', *WORDS]
  words += [f'--workdir={workdir}', *more]
  if count > 1:
    words += [
      f'--coordinator_address=localhost:{port}',
      f'--num_processes={count}',
      f'--process_id={index}',
    ]
  return subprocess.Popen(
    words,
    cwd=processes.ROOT,
    env={
      **os.environ,
      'JAX_PLATFORMS': 'cpu',
      'JAX_NUM_CPU_DEVICES': str(4 // count),
      'PYTHONPATH': str(processes.ROOT),
      'NPROC': '1',
    },
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def together(workdir, count: int, *more: str) -> list[tuple[int, str]]:
  port = free_port()
  running = [start(workdir, count, i, port, *more) for i in range(count)]
  try:
    return [processes.finish(p) for p in running]
  finally:
    for p in running:
      p.kill()


def test_any_number_of_processes_gives_the_same_run(tmp_path):
  ((code, out),) = together(tmp_path / 'one', 1)
  assert code == 0, out
  for code, out in together(tmp_path / 'two', 2):
    assert code == 0, out
  processes.assert_same(tmp_path / 'one', tmp_path / 'two')


def test_two_go_on_as_one(tmp_path):
  port = free_port()
  often = '--checkpoint_every_secs=0'
  steps = '--config.steps=200000'
  both = [start(tmp_path / 'run', 2, i, port, often, steps) for i in (0, 1)]
  try:
    checkpoints = tmp_path / 'run' / 'checkpoints'
    processes.wait_for(checkpoints, both[0])
    while not [p for p in checkpoints.iterdir() if p.name.isdigit()]:
      assert both[0].poll() is None, processes.finish(both[0])
    both[1].terminate()  # one is asked, both stop
    for process in both:
      code, out = processes.finish(process)
      assert code == 75, out
  finally:
    for p in both:
      p.kill()
  ((code, out),) = together(tmp_path / 'run', 1, steps)
  assert code == 0 and 'resuming in' in out, out
  ((code, out),) = together(tmp_path / 'one', 1, steps)
  assert code == 0, out
  processes.assert_same(tmp_path / 'one', tmp_path / 'run')


@pytest.mark.parametrize(
  'index, wanted',
  [
    (0, 'processes 1, 2 did not come'),
    (1, 'process 1 waited 2 s for process 0'),
  ],
)
def test_a_missing_peer_is_named(tmp_path, index, wanted):
  process = start(
    tmp_path / 'run', 3, index, free_port(), '--distributed_timeout_secs=2'
  )
  code, out = processes.finish(process)
  assert (code, out.count('\n')) == (2, 1), out
  assert wanted in out
  assert not pathlib.Path(tmp_path / 'run').exists()


def test_who_came_is_not_named():
  port = free_port()
  place = f'localhost:{port}'
  said = {}

  def answer():
    with pytest.raises(rollcall.MissingProcesses) as caught:
      rollcall.roll_call(place, 3, 2, 2)
    said[2] = str(caught.value)

  other = threading.Thread(target=answer)
  other.start()
  with pytest.raises(rollcall.MissingProcesses, match=r'of 3 processes 1 did'):
    rollcall.roll_call(place, 3, 0, 2)
  other.join()
  assert 'process 2 waited 2 s for process 0' in said[2]


def test_all_who_came_go_on():
  place = f'localhost:{free_port()}'
  others = [
    threading.Thread(target=rollcall.roll_call, args=(place, 3, i, 10))
    for i in (1, 2)
  ]
  for thread in others:
    thread.start()
  rollcall.roll_call(place, 3, 0, 10)
  for thread in others:
    thread.join(timeout=10)
    assert not thread.is_alive()


@pytest.mark.parametrize('address', ['', 'host', 'host:', ':1', 'host:x'])
def test_an_address_is_host_and_port(address):
  with pytest.raises(ValueError, match='expected host:port'):
    rollcall.roll_call(address, 2, 0, 1)
