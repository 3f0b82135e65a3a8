"""Killed where a store goes on to its next segment, resumed to the same bits.

Rows fill segments of 32, 32, 64, 128 and 64: room doubles after steps 4, 8, 16
and 32 of eight rows each.
"""

import pathlib
import signal
import subprocess
import sys

import pytest

from framework.run import results
from tests.run import jobs

ROOT = pathlib.Path(__file__).parents[4]

# Kills itself (SIGKILL) at the checkpoint of step `at`: half way through the
# `count`-th block, while the rest is written, or half way through its records.
CHILD = """
import os, signal, sys, time
import jax, numpy as np
jax.config.update('jax_compilation_cache_dir', sys.argv[5])
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
from framework.run import checkpoint, records, results
from framework.run.checkpoint import blocks
from framework.run.job import Arm, Job
from framework.systems.infinite_width import pi
from framework.systems.infinite_width.pi import rows
from tests.run import jobs

kind, at, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
armed, seen = False, 0
blocks._LARGE, blocks._SIZE, rows._BLOCK = 256, 128, 32

def die():
  os.kill(os.getpid(), signal.SIGKILL)

def save(self, step, tree, meta):
  global armed
  armed = meta['t'] == at and kind in ('block', 'rest')
  original_save(self, step, tree, meta)
  if armed and kind == 'rest':
    time.sleep(0.004 * count)
    die()

def put(self, block, write):
  global seen
  if armed and kind == 'block':
    seen += 1
    if seen == count:
      self._directory.mkdir(parents=True, exist_ok=True)
      half = block.tobytes()[:len(block) // 2]
      (self._directory / f'half.{os.getpid()}.partial').write_bytes(half)
      die()
  return original_put(self, block, write)

def record(self, place, values, times=None):
  last = kind == 'records' and times is not None and times.stop * 2 > at
  if last:
    values = dict(list(values.items())[:len(values) // 2])
  original_record(self, place, values, times)
  if last:
    die()

original_save = checkpoint.Checkpoints.save
original_put, original_record = blocks.Blocks._put, records.Records._put
checkpoint.Checkpoints.save = save
blocks.Blocks._put, records.Records._put = put, record

def task(key, hp):
  x = jax.random.normal(key, (40, 4))
  y = (x[:, 0] > 0).astype(int)
  return {'x': x[:24], 'y': y[:24], 'x_test': x[24:], 'y_test': y[24:]}

structure = pi.Structure(task, 2, pi.limit(1, 4), batch=8, steps=40)
state = jax.eval_shape(lambda key: pi.system(structure).init(
  key, task(key, None), pi.Hp()), jax.random.key(0))
sizes = [part.c.size for part in state.own.net.layers[0][1:]]
assert sizes == [32, 32, 64, 128, 64], sizes
hp = pi.Hp(*map(np.float32, pi.Hp(lr=0.5, momentum=0.5, weight_decay=0.01)))
job = Job([Arm(pi.system(structure), hp)],
          results.Layout({}, {}, (0, 1), np.arange(0, 41, 2)))
print(jobs.go(job, sys.argv[4], batching='map', chunk_stops=1,
              checkpoint_every_secs=0))
"""

KILLS = [
  ('block', 4, 1),  # the segment is full to the last row
  ('block', 6, 9),  # the first rows of the next
  ('rest', 18, 1),
  ('records', 34, 1),
]


def run(where, cache, kind='never', at=0, count=0):
  words = [sys.executable, '-c', CHILD, kind, at, count, where, cache]
  return subprocess.run(
    [str(word) for word in words], cwd=ROOT, capture_output=True, text=True
  )


@pytest.mark.slow
def test_killed_where_room_doubles(tmp_path):
  cache, whole = tmp_path / 'cache', tmp_path / 'whole'
  done = run(whole, cache)
  assert "status='done'" in done.stdout, done.stderr
  for kill in KILLS:
    killed = run(tmp_path / 'killed', cache, *kill)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
  done = run(tmp_path / 'killed', cache)
  assert "status='done'" in done.stdout, done.stderr
  jobs.same(results.open(whole), results.open(tmp_path / 'killed'))
  assert jobs.last_state(whole) == jobs.last_state(tmp_path / 'killed')
