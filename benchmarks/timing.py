"""Timings that stay comparable on a machine shared with others.

Contestants take turns within one process, round after round, so that a slow
spell of the machine hits all of them. A sample is the time of s steps less that
of none,

    t = (T(s) - T(0)) / s,

which leaves dispatch, copies and records out of a step; T(0) is reported beside
it. With one thread the clock is the CPU time of the process, which being
pre-empted does not change; with all cores it is the time on the wall.
"""

import concurrent.futures
import contextlib
import importlib.metadata
import itertools
import json
import multiprocessing
import os
import pathlib
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags

__all__ = [
  'Contestant',
  'Timing',
  'define_flags',
  'finish',
  'in_fresh_process',
  'machine',
  'measure',
  'one_thread',
]

_POOLS = (
  'NPROC',  # XLA's, read when its client starts
  'OMP_NUM_THREADS',
  'OPENBLAS_NUM_THREADS',
  'MKL_NUM_THREADS',
)
_MOST_STEPS = 1 << 30


class Contestant(NamedTuple):
  """Something to time: `run(s)` makes s steps and returns when they are done.

  Every call does the same work from the same start.
  """

  name: str
  run: Callable[[int], Any]
  lanes: int = 1  # runs that one call advances side by side


class Timing(NamedTuple):
  """Seconds of one contestant, per step of all its lanes."""

  median: float
  low: float  # quartiles over rounds
  high: float
  call: float  # of a call that makes no step
  steps: int  # in a sample
  rounds: int


def measure(
  contestants: Sequence[Contestant],
  rounds: int = 9,
  seconds: float = 0.15,
  clock: Callable[[], float] = time.process_time,
) -> list[Timing]:
  """Times contestants in turns.

  Args:
    contestants: What to time.
    rounds: Samples of each, at least one; the median is reported.
    seconds: What a sample should take at least, beyond the call itself.
    clock: `time.process_time` or `time.perf_counter`.

  Returns:
    One `Timing` a contestant.

  Raises:
    ValueError: If there is no round.
  """
  if rounds < 1:
    raise ValueError(f'rounds is {rounds}, expected an integer >= 1')

  def spent(run: Callable[[int], Any], steps: int) -> float:
    before = clock()
    run(steps)
    return clock() - before

  steps = []
  for contestant in contestants:
    contestant.run(1)  # compiles, allocates
    steps.append(_enough_steps(contestant.run, spent, seconds))
  samples = np.empty((len(contestants), rounds, 2))
  for turn, (i, contestant) in itertools.product(
    range(rounds), enumerate(contestants)
  ):
    samples[i, turn] = spent(contestant.run, steps[i]), spent(contestant.run, 0)
  calls = np.median(samples[:, :, 1], axis=1)
  per_step = (samples[:, :, 0] - calls[:, None]) / np.array(steps)[:, None]
  quartiles = np.quantile(per_step, [0.5, 0.25, 0.75], axis=1).T.tolist()
  return [
    Timing(median, low, high, call, step, rounds)
    for (median, low, high), call, step in zip(
      quartiles, calls.tolist(), steps, strict=True
    )
  ]


def _enough_steps(run, spent, seconds: float) -> int:
  """Steps that take so long beyond the call itself."""
  call = min(spent(run, 0), spent(run, 0))
  steps = 1
  while steps < _MOST_STEPS:
    beyond = spent(run, steps) - call
    if beyond >= seconds:
      return steps
    # Not by more than ten times: a short sample tells the rate badly.
    growth = 1.1 * seconds / max(beyond, 1e-9)
    steps = int(np.ceil(steps * min(max(growth, 1.1), 10)))
  return steps


def in_fresh_process(
  threads: str, function: Callable[..., Any], *args: Any
) -> Any:
  """Calls a function in a new process that has so many threads.

  How many threads XLA and the BLAS libraries use is settled when they are
  loaded, so it cannot be changed in a process that has begun to compute.

  Args:
    threads: '1', or 'all' for what the libraries do by themselves.
    function: An importable function.
    *args: Its arguments.

  Returns:
    What the function returns.
  """
  with _environment(threads):
    context = multiprocessing.get_context('spawn')
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
      return pool.submit(function, *args).result()


@contextlib.contextmanager
def _environment(threads: str) -> Iterator[None]:
  """Sets what a process started now reads: its threads, the CPU alone."""
  if threads not in ('1', 'all'):
    raise ValueError(f"threads is {threads!r}, expected '1' or 'all'")
  before = dict(os.environ)
  for name in _POOLS:
    os.environ.pop(name, None)
    if threads == '1':
      os.environ[name] = '1'
  os.environ['JAX_PLATFORMS'] = 'cpu'  # threads and their limits are a CPU's
  try:
    yield
  finally:
    os.environ.clear()
    os.environ.update(before)


def one_thread() -> bool:
  """Whether this process was started with one thread."""
  return os.environ.get('NPROC') == '1'


def machine(packages: Sequence[str]) -> dict[str, Any]:
  """What a timing means nothing without: processor, cores, load, versions.

  Args:
    packages: Distributions whose versions to state.

  Returns:
    A dictionary that JSON can hold.
  """

  def version(package: str) -> str:
    try:
      return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      return 'not installed'

  return {
    'cpu': _cpu_model(),
    'cores': len(os.sched_getaffinity(0)),
    'load_1min': os.getloadavg()[0],
    'system': platform.platform(),
    'python': platform.python_version(),
    **{package: version(package) for package in packages},
  }


def _cpu_model() -> str:
  with contextlib.suppress(OSError), open('/proc/cpuinfo') as lines:
    for line in lines:
      if line.startswith('model name'):
        return line.partition(':')[2].strip()
  return platform.processor() or platform.machine()


def define_flags(rounds: int) -> None:
  """The flags of every command: rounds, quick, out.

  Called by a module that runs as a command: one that is imported defines none.

  Args:
    rounds: Samples of each row, unless asked for others.
  """
  flags.DEFINE_integer('rounds', rounds, 'Samples of each row.', 1)
  flags.DEFINE_bool(
    'quick', False, 'Tiny samples: shows that it works, not how fast.'
  )
  flags.DEFINE_string('out', None, 'JSON file to write.')


def finish(facts: dict[str, Any], **found: Any) -> None:
  """Says what the load was, and writes all to --out.

  Args:
    facts: Of `machine`, before anything was measured.
    **found: What was.
  """
  load = machine(())['load_1min']
  print(f'load (1 min) before {facts["load_1min"]:.2f}, after {load:.2f}')
  if flags.FLAGS.out:
    made = {'machine': facts, 'load_1min_after': load, **found}
    pathlib.Path(flags.FLAGS.out).write_text(json.dumps(made, indent=1))
