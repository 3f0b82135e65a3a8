"""Killed in the middle of writing: records, checkpoints, both."""

import pathlib
import signal
import subprocess
import sys

import pytest

from framework.run import results
from tests.run import jobs

ROOT = pathlib.Path(__file__).parents[2]

# Kills itself (SIGKILL: nothing is flushed, no handler runs) at the `count`-th
# write: half way through the variables of a chunk, or while a checkpoint is
# being written in the background.
CHILD = """
import os, signal, sys, time
import jax
jax.config.update('jax_num_cpu_devices', 2)
jax.config.update('jax_enable_x64', True)
jax.config.update('jax_compilation_cache_dir', sys.argv[4])
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
from framework.run import checkpoint, records
from tests.run import jobs

kind, count, where = sys.argv[1], int(sys.argv[2]), sys.argv[3]
calls = 0

def die():
  os.kill(os.getpid(), signal.SIGKILL)

def put(self, place, values, times=None):
  global calls
  calls += 1
  if calls == count:
    values = dict(list(values.items())[:len(values) // 2 + 1])
  original_put(self, place, values, times)
  if calls == count:
    die()

def save(self, step, tree, meta):
  global calls
  calls += 1
  original_save(self, step, tree, meta)
  if calls == count:
    time.sleep(0.004 * (count - 1))
    die()

original_put, original_save = records.Records._put, checkpoint.Checkpoints.save
if kind == 'records':
  records.Records._put = put
if kind == 'checkpoint':
  checkpoint.Checkpoints.save = save
job = jobs.grid_job()
print(jobs.go(job, where, batching='map', chunk_stops=3, lanes_per_call=6,
              checkpoint_every_secs=0))
"""


def run(where, cache, kind='never', count=0) -> subprocess.CompletedProcess:
  words = [sys.executable, '-c', CHILD, kind, str(count), str(where)]
  return subprocess.run(
    [*words, str(cache)],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
  return tmp_path_factory.mktemp('cache')


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory, cache):
  where = tmp_path_factory.mktemp('undisturbed')
  done = run(where, cache)
  assert "status='done'" in done.stdout, done.stderr
  return where


@pytest.mark.parametrize(
  'kills',
  [
    [('records', 1), ('records', 2), ('checkpoint', 2)],
    [('checkpoint', 1), ('checkpoint', 4), ('records', 3)],
    pytest.param(
      # No more in all than there are chunks.
      [('records', 1), ('checkpoint', 1), ('records', 2), ('checkpoint', 2)]
      * 4,
      marks=pytest.mark.slow,
    ),
  ],
  ids=['records first', 'checkpoint first', 'sixteen'],
)
def test_killed_while_writing(undisturbed, tmp_path, cache, kills):
  for kind, count in kills:
    killed = run(tmp_path, cache, kind, count)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
  done = run(tmp_path, cache)
  assert "status='done'" in done.stdout, done.stderr
  jobs.same(results.open(undisturbed), results.open(tmp_path))
  assert jobs.last_state(undisturbed) == jobs.last_state(tmp_path)
