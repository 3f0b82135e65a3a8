"""Damage: never a wrong result; the last good state, or one clear line."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

from tests.launch import process_test as processes

SMALL = ('--config.n=8', '--config.m=60', '--config.steps=3000', '--seeds=2')


def launch(workdir, *more, first=()):
  command = [w for w in processes.COMMAND if not w.startswith('--config.')]
  command = [w for w in command if not w.startswith(('--seeds', '--sweep'))]
  return subprocess.run(
    [*first, *command, *SMALL, '--sweep=k=3,4', f'--workdir={workdir}', *more],
    cwd=processes.ROOT,
    env={
      **os.environ,
      'JAX_PLATFORMS': 'cpu',
      'PYTHONPATH': str(processes.ROOT),
      'NPROC': '1',
    },
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> pathlib.Path:
  workdir = tmp_path_factory.mktemp('damage') / 'whole'
  done = launch(workdir)
  assert done.returncode == 0, done.stdout
  return workdir


@pytest.fixture
def copy(whole, tmp_path) -> pathlib.Path:
  return pathlib.Path(shutil.copytree(whole, tmp_path / 'copy'))


def unfinished(workdir: pathlib.Path) -> None:
  """As a kill just before the end leaves it."""
  run = json.loads((workdir / 'run.json').read_text())
  run['status'] = 'running'
  (workdir / 'run.json').write_text(json.dumps(run))
  for name in ('claims.json', 'results.csv', 'report.html'):
    (workdir / name).unlink()


def chunk_of(workdir: pathlib.Path) -> pathlib.Path:
  array = workdir / 'records.zarr' / 'squared_error' / 'c'
  return sorted(p for p in array.rglob('*') if p.is_file())[0]


def one_line(done, code: int, *words: str) -> None:
  assert done.returncode == code, done.stdout
  (line,) = [x for x in done.stdout.splitlines() if x.startswith('error: ')]
  assert 'Traceback' not in done.stdout
  for word in words:
    assert word in line, line


def _size(path: pathlib.Path) -> int:
  return path.stat().st_size


def flip(path: pathlib.Path) -> None:
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


def test_a_lost_chunk_of_an_unfinished_run_is_computed_again(whole, copy):
  chunk_of(copy).unlink()
  unfinished(copy)
  done = launch(copy)
  assert done.returncode == 0, done.stdout
  assert 'chunks of the records are gone' in done.stdout
  processes.assert_same(whole, copy)


@pytest.mark.parametrize('mode', ['run', 'report'])
def test_a_lost_chunk_of_a_finished_run_is_said(copy, mode):
  path = chunk_of(copy)
  path.unlink()
  done = launch(copy, f'--mode={mode}')
  name = str(path.relative_to(copy / 'records.zarr'))
  one_line(done, 2 if mode == 'report' else 1, '1 chunks of the records', name)


def test_a_flipped_byte_of_a_record_is_said(copy):
  flip(chunk_of(copy))
  done = launch(copy, '--mode=report')
  one_line(done, 2, 'records.zarr/squared_error cannot be read')


@pytest.mark.parametrize('how', ['half deleted', 'truncated', 'flipped'])
def test_a_damaged_checkpoint_is_passed_over(whole, copy, how):
  newest = max(
    (p for p in (copy / 'checkpoints').iterdir() if p.name.isdigit()),
    key=lambda p: int(p.name),
  )
  files = sorted(p for p in newest.rglob('*') if p.is_file())
  if how == 'half deleted':
    for path in files[::2]:
      path.unlink()
  largest = max(filter(pathlib.Path.exists, files), key=_size)
  if how == 'truncated':
    largest.write_bytes(largest.read_bytes()[:-9])
  if how == 'flipped':
    flip(largest)
  unfinished(copy)
  done = launch(copy)
  assert done.returncode == 0, done.stdout
  assert f'checkpoint {newest.name} is damaged' in done.stdout
  processes.assert_same(whole, copy)


@pytest.mark.parametrize('mode', ['run', 'report'])
def test_an_edited_config_is_refused(copy, mode):
  path = copy / 'config.json'
  stored = json.loads(path.read_text())
  stored['config']['alpha'] = 0.31
  path.write_text(json.dumps(stored))
  wanted = 'alpha' if mode == 'run' else 'config.json'
  one_line(launch(copy, f'--mode={mode}'), 2, wanted)


# No file larger than 4 KiB: writing fails as on a full disk.
LIMITED = ('bash', '-c', 'ulimit -f 4; exec "$@"', '_')


def test_a_disk_that_refuses_is_said_and_loses_nothing(whole, tmp_path):
  workdir = tmp_path / 'full'
  done = launch(workdir, first=LIMITED)
  one_line(done, 1)
  again = launch(workdir)
  assert again.returncode == 0, again.stdout
  processes.assert_same(whole, workdir)


def mounted(size: str, workdir: pathlib.Path) -> bool:
  """Whether a file system of its own could be mounted there."""
  workdir.mkdir()
  if os.geteuid() or not shutil.which('mount'):
    return False
  words = ['mount', '-t', 'tmpfs', '-o', size, 'tmpfs', str(workdir)]
  return not subprocess.run(words, capture_output=True).returncode


def test_a_full_disk(whole, tmp_path):
  room = tmp_path / 'room'
  if not mounted('size=400k', room):
    pytest.skip('mounting a small file system needs root')
  try:
    one_line(launch(room / 'run'), 1, 'space')
    subprocess.run(['mount', '-o', 'remount,size=64m', str(room)], check=True)
    again = launch(room / 'run')
    assert again.returncode == 0, again.stdout
    processes.assert_same(whole, room / 'run')
  finally:
    subprocess.run(['umount', str(room)], check=True)


def test_a_read_only_disk(tmp_path):
  room = tmp_path / 'room'
  if not mounted('size=400k,ro', room):
    pytest.skip('mounting a read-only file system needs root')
  try:
    one_line(launch(room / 'run'), 2, 'Read-only file system')
  finally:
    subprocess.run(['umount', str(room)], check=True)
