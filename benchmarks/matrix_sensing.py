"""Matrix sensing against its peers and against the machine's limits.

    python -m benchmarks.matrix_sensing --out=matrix_sensing.json

One step of gradient descent on symmetric problems in float64: through
`framework.rollout` with the Gram operator, recording the first and the last
step, one lane and 64 lanes that share the operator; through torch and numpy as
others would write it; and, in the same rounds, what the memory and the
arithmetic of this machine can do. Peers make the same iterates, which is
checked. Building the Gram matrix is not part of a step and is stated by itself.
PyTorch is optional: `pip install '.[bench]'`.
"""

import json
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from benchmarks import limits, timing
from benchmarks import matrix_sensing_peers as peers
from benchmarks import matrix_sensing_report as report
from framework import rollout
from framework.system import start
from framework.systems import matrix_sensing as dynamics
from framework.systems.matrix_sensing import operators
from framework.systems.matrix_sensing.operators.packing import unsvec

_SIZES = flags.DEFINE_list(
  'sizes',
  ['20x600x10', '50x1200x5', '100x8000x10'],
  'Problems as n x m x k: rows, measurements, columns of the factor.',
)
_ROUNDS = flags.DEFINE_integer('rounds', 9, 'Samples of each row.', 1)
_THREADS = flags.DEFINE_multi_enum(
  'threads',
  ['1', 'all'],
  ['1', 'all'],
  '1: CPU time with one thread; all: time on the wall with what the libraries '
  'take by themselves. Repeat for both.',
)
_QUICK = flags.DEFINE_bool(
  'quick', False, 'Tiny samples: shows that it works, not how fast.'
)
_OUT = flags.DEFINE_string('out', None, 'JSON file to write.')


class Effort(NamedTuple):
  """How much to measure."""

  rounds: int
  seconds: float  # of a sample
  products: tuple[int, ...]  # sizes of the matrix products
  stream: int  # bytes, more than any cache holds


def _quick() -> Effort:
  return Effort(2, 0.002, (128,), 1 << 23)


def _full(rounds: int) -> Effort:
  return Effort(rounds, 0.15, (1024, 2048), 1 << 28)


def ours(
  structure: dynamics.Structure,
  problem: dynamics.Problem,
  hp: dynamics.Hp,
) -> peers.Run:
  """The framework as its user has it, on a problem that is already drawn.

  Args:
    structure: What is fixed in the compiled program.
    problem: Operator and truth, shared by all lanes.
    hp: Hyperparameters; lanes if its alpha is a vector.

  Returns:
    steps -> last iterate, of all lanes.
  """
  given = dynamics.system(structure)._replace(sample=lambda key, hp, data: data)

  def run(alpha, hp, times, problem):
    hp = hp._replace(alpha=alpha)
    return rollout(given, jax.random.key(0), hp, times, problem)

  if np.ndim(hp.alpha):
    run = jax.vmap(run, (0, None, None, None))
  run = jax.jit(run)

  def last(steps: int) -> np.ndarray:
    times = np.array([0, steps])
    state, _ = jax.block_until_ready(run(hp.alpha, hp, times, problem))
    return np.array(state.params['X'])

  return last


def contestants(
  size: tuple[int, int, int],
) -> tuple[list[timing.Contestant], dict[str, str], dict[str, float]]:
  """Ours and the peers on one problem.

  Args:
    size: (n, m, k).

  Returns:
    (contestants, {row that is left out: why}, {what is done once: seconds on
    the wall}).
  """
  n, m, k = size
  structure = dynamics.Structure(
    n1=n, n2=n, r=min(3, k), k_max=k, m=m, operator=operators.svec
  )
  eta = 0.2
  one = dynamics.Hp(eta=eta, k=k)
  many = one._replace(alpha=jnp.geomspace(0.05, 0.5, report.LANES))
  system = dynamics.system(structure)
  draw = jax.jit(lambda key: start(system, key, one)[0])
  rows = jax.block_until_ready(draw(jax.random.key(0)))
  A = rows.operator.A
  once, clock = {}, time.perf_counter
  before = clock()
  operator = jax.block_until_ready(operators.gram(A, (n, n)))
  once['Gram matrix'] = clock() - before
  problem = rows._replace(operator=operator)

  run_one, run_many = (ours(structure, problem, hp) for hp in (one, many))
  starts = []
  for name, run in ((report.OURS, run_one), (report.OURS_LANES, run_many)):
    before = clock()
    starts.append(run(0))
    once[f'compile {name}'] = clock() - before
  task = peers.Task(
    # Copies: torch wants to own what it could write to.
    stack=np.array(jax.vmap(lambda row: unsvec(row, n))(A)),
    gram=np.array(operator.H),
    y=np.array(rows.operator.forward(rows.M)),
    M=np.array(rows.M),
    X0=starts[0],
    eta=eta,
  )
  tasks = task._replace(X0=starts[1])
  single = operators.gram_single(A, (n, n))
  run_single = ours(structure, rows._replace(operator=single), one)
  del rows, A
  lanes, absent = report.LANES, {}
  field = [
    timing.Contestant(report.OURS, run_one),
    timing.Contestant(report.OURS_SINGLE, run_single),
    timing.Contestant(report.OURS_LANES, run_many, lanes),
    timing.Contestant('numpy, svec + Gram', peers.numpy_gram(task)),
    timing.Contestant(
      f'numpy, svec + Gram, {lanes} lanes', peers.numpy_gram(tasks), lanes
    ),
    timing.Contestant('numpy, flat, two GEMV', peers.numpy_flat(task)),
    timing.Contestant('numpy, loop over measurements', peers.numpy_loop(task)),
  ]
  threads = 1 if timing.one_thread() else None
  for name, given, count in (
    (report.TORCH, task, 1),
    (f'{report.TORCH}, {lanes} lanes', tasks, lanes),
  ):
    if reason := peers.torch_refusal(given):
      absent[name] = reason
      continue
    run = peers.torch_autograd(given, threads)
    field.append(timing.Contestant(name, run, count))
    field.append(
      timing.Contestant(
        f'torch, svec + Gram, {count} lanes', peers.torch_gram(given), count
      )
    )
  return field, absent, once


def measure(
  sizes: Sequence[tuple[int, int, int]], effort: Effort
) -> list[dict[str, Any]]:
  """Measures all sizes with the threads that this process has.

  Args:
    sizes: (n, m, k) of each problem.
    effort: How much to measure.

  Returns:
    One table a size, as `matrix_sensing_report` reads it.
  """
  jax.config.update('jax_enable_x64', True)
  clock = time.process_time if timing.one_thread() else time.perf_counter
  tables = []
  for n, m, k in sizes:
    print(f'measuring n={n} m={m} k={k} ...', file=sys.stderr, flush=True)
    field, absent, once = contestants((n, m, k))
    # The single-precision Gram takes another path, by its rounding.
    same = [c for c in field if c.name != report.OURS_SINGLE]
    peers.check_agreement(same)
    p = n * (n + 1) // 2
    probes = limits.bandwidth(p, effort.stream, 'operator-sized')
    for dtype in (np.float64, np.float32):
      probes += [limits.matrix_product(s, dtype) for s in effort.products]
    everyone = [*field, *(probe.contestant for probe in probes)]
    times = timing.measure(everyone, effort.rounds, effort.seconds, clock)
    count = len(field)
    rows = [
      {'name': c.name, 'lanes': c.lanes, **t._asdict()}
      for c, t in zip(field, times[:count], strict=True)
    ]
    bounds = [
      {
        'name': probe.contestant.name,
        'bytes': probe.bytes,
        'flops': probe.flops,
        **t._asdict(),
      }
      for probe, t in zip(probes, times[count:], strict=True)
    ]
    tables.append(
      {
        'size': [n, m, k],
        'p': p,
        'once_seconds': once,
        'rows': rows,
        'absent': absent,
        'limits': bounds,
      }
    )
  return tables


def _parsed(size: str) -> tuple[int, int, int]:
  try:
    n, m, k = map(int, size.split('x'))
  except ValueError as error:
    raise app.UsageError(
      f'size is {size!r}, expected n x m x k such as 50x1200x5'
    ) from error
  return n, m, k


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'unknown argument {argv[1]!r}')
  sizes = [_parsed(size) for size in _SIZES.value]
  effort = _quick() if _QUICK.value else _full(_ROUNDS.value)
  packages = ('jax', 'jaxlib', 'numpy', 'optax', 'torch')
  before = timing.machine(packages)
  print(report.machine(before))
  by_threads = {}
  for threads in dict.fromkeys(_THREADS.value):
    tables = timing.in_fresh_process(threads, measure, sizes, effort)
    by_threads[threads] = tables
    for table in tables:
      print(report.table(table, threads), flush=True)
  found = report.targets(by_threads.get('1', []))
  print(report.verdicts(found))
  load = timing.machine(())['load_1min']
  print(f'load (1 min) before {before["load_1min"]:.2f}, after {load:.2f}')
  if _OUT.value:
    results = {
      'machine': before,
      'load_1min_after': load,
      'threads': by_threads,
      'targets': found,
    }
    pathlib.Path(_OUT.value).write_text(json.dumps(results, indent=1))


if __name__ == '__main__':
  app.run(main)
