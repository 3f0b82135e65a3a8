"""Waiting times of a user: each default from nothing, and a second time.

    python -m benchmarks.first_minutes [--only=matrix_sensing,spectrum]

Every run is a process of its own, as the shell starts it. *Cold* has an empty
cache of compiled programs, *warm* the cache that the cold one left. CPU seconds
of the process, and where they went:

    start    imports, flags, config
    trace    Python to StableHLO
    compile  XLA, or reading its cache
    write    records and checkpoints
    compute  the rest of the run
    show     claims, figures, report

The machine should have nothing else to do: trace, compile and write are read
from clocks on the wall, within the CPU seconds of the run.
"""

import contextlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
from typing import Any

from absl import app, flags

_ONLY = flags.DEFINE_list('only', None, 'experiments; all if not given')
_CHILD = '--child'
_PARTS = 'start', 'trace', 'compile', 'write', 'compute', 'show'


def _child(name: str, workdir: str, out: str) -> None:
  """Runs one experiment here, with clocks at its seams."""
  spent = dict.fromkeys(('start', 'trace', 'compile', 'write', 'run'), 0.0)
  kept: dict[str, float] = {}
  programs = 0

  def heard(event: str, duration_secs: float, **_: Any) -> None:
    nonlocal programs
    if event.startswith('/jax/core/compile/'):
      compiled = 'backend_compile' in event
      programs += compiled
      spent['compile' if compiled else 'trace'] += duration_secs

  import jax.monitoring

  jax.monitoring.register_event_duration_secs_listener(heard)
  from framework.launch import study
  from framework.run import checkpoint, records

  def timed(owner: Any, method: str) -> None:
    inner = getattr(owner, method)

    def outer(*args, **kwargs):
      began = time.perf_counter()
      try:
        return inner(*args, **kwargs)
      finally:
        spent['write'] += time.perf_counter() - began

    setattr(owner, method, outer)

  timed(records.Records, 'write')
  timed(records.Records, 'flush')
  timed(checkpoint.Checkpoints, 'save')
  whole = study.Study.run

  def run(*args, **kwargs):
    spent.update(start=time.process_time(), trace=0.0, compile=0.0)
    try:
      return whole(*args, **kwargs)
    finally:
      kept.update(spent, run=time.process_time() - spent['start'])

  study.Study.run = run
  sys.argv = [name, f'--workdir={workdir}']
  with contextlib.suppress(SystemExit):
    runpy.run_module(f'experiments.{name}', run_name='__main__')
  whole_time = time.process_time()
  inside = kept['trace'] + kept['compile'] + kept['write']
  found = {
    **kept,
    'compute': max(0.0, kept['run'] - inside),
    'show': whole_time - kept['start'] - kept['run'],
    'programs': programs,
    'all': whole_time,
  }
  with open(out, 'w') as f:
    json.dump(found, f)


def _timed(name: str, cache: str) -> dict[str, float]:
  with tempfile.TemporaryDirectory() as place:
    out = os.path.join(place, 'times.json')
    command = [sys.executable, '-m', 'benchmarks.first_minutes', _CHILD]
    began = time.perf_counter()
    subprocess.run(
      [*command, name, os.path.join(place, 'run'), out],
      check=True,
      stdout=subprocess.DEVNULL,
      env={**os.environ, 'JAX_COMPILATION_CACHE_DIR': cache},
    )
    wall = time.perf_counter() - began
    with open(out) as f:
      return {**json.load(f), 'wall': wall}


def main(argv: list[str]) -> None:
  """Prints a table, a cold and a warm row an experiment."""
  del argv
  from experiments import EXPERIMENTS

  print(f'load {os.getloadavg()[0]:.1f}')
  print('| default | ' + ' | '.join(_PARTS) + ' | CPU s | wall s | programs |')
  print('|---' * (len(_PARTS) + 4) + '|')
  for name in _ONLY.value or EXPERIMENTS:
    with tempfile.TemporaryDirectory() as cache:
      for what in ('cold', 'warm'):
        t = _timed(name, cache)
        row = [f'{t[part]:.1f}' for part in (*_PARTS, 'all', 'wall')]
        print(
          f'| {name}, {what} | {" | ".join(row)} | {t["programs"]} |',
          flush=True,
        )


if __name__ == '__main__':
  if sys.argv[1:2] == [_CHILD]:
    _child(*sys.argv[2:])
  else:
    app.run(main)
