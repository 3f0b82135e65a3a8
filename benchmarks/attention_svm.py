"""Attention as an SVM: training and solving against torch and cvxpy.

    python -m benchmarks.attention_svm --out=attention_svm.json

At the paper's size (n, T, d) = (6, 8, 10), float64, one thread, CPU time: a
step of normalised descent of W and of (K, Q), 100 instances in one program,
against a torch loop that trains one instance after the other, as the published
code does, and against torch with all of them in one tensor, by automatic
differentiation and in closed form; a solve of the Frobenius and of the nuclear
SVM, 100 in one program, against cvxpy with one constraint a row and its default
solver, and the Frobenius one against solvers that are called directly, one
instance after the other: what is not installed is said and left out. `--many`
advances so many instances in one program; `--job` runs the whole multi-token
sweep until every d has 500 runs that count. All peers are optional:
`pip install '.[bench,oracles]' quadprog piqp`.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import app, flags

from benchmarks import attention_svm_peers as peers
from benchmarks import timing
from framework.run import results

SIZE = 6, 8, 10
LANES = 100
STEPS = 2000
OURS, OURS_AUTO = 'ours, exact gradient', 'ours, autodiff'
LOOP, BATCHED = 'torch, one by one', 'torch, in one tensor'
CLOSED = 'torch, closed form'
SOLVER, CVXPY = 'ours, certified', 'cvxpy, default solver'
FORMS, NORMS = ('w', 'kq'), ('frobenius', 'nuclear')
# {row of the table: (who against whom, times)}.
TARGETS = {
  'w': (OURS, LOOP, 200.0),
  'kq': (OURS, LOOP, 200.0),
  'frobenius': (SOLVER, CVXPY, 50.0),
  'nuclear': (SOLVER, CVXPY, 10.0),
}
JOB_TARGET, ENOUGH = 300.0, 500  # seconds on the wall; runs that count, each d


def trainers(task: peers.Task, form: str) -> list[timing.Contestant]:
  """Everyone who trains."""
  lanes = len(task.W)
  made = [
    timing.Contestant(OURS, peers.ours_train(task, form, 'exact'), lanes),
    timing.Contestant(
      OURS_AUTO, peers.ours_train(task, form, 'autodiff'), lanes
    ),
  ]
  if not peers.missing('torch'):
    made += [
      timing.Contestant(CLOSED, peers.torch_closed_form(task, form), lanes),
      timing.Contestant(BATCHED, peers.torch_batched(task, form), lanes),
      timing.Contestant(LOOP, peers.torch_loop(task, form)),
    ]
  return made


def solvers(task: peers.Task, norm: str) -> list[timing.Contestant]:
  """Everyone who solves."""
  lanes = len(task.W)
  made = [timing.Contestant(SOLVER, peers.ours_solve(task, norm), lanes)]
  direct = peers.DIRECT if norm == 'frobenius' else {}
  for package, (name, _) in direct.items():
    if not peers.missing(package):
      made.append(timing.Contestant(name, peers.direct_solve(task, package)))
  if not peers.missing('cvxpy'):
    made.append(timing.Contestant(CVXPY, peers.cvxpy_solve(task, norm)))
  return made


def agree(field: Sequence[timing.Contestant], steps: int, rtol: float) -> None:
  """Refuses to time what does not do the same.

  Raises:
    ValueError: Naming who differs from the first, and by how much.
  """
  first = np.asarray(field[0].run(steps))[0]
  for other in field[1:]:
    found = np.asarray(other.run(steps))[0]
    off = np.abs(found - first).max() / np.abs(first).max()
    if not off <= rtol:
      raise ValueError(
        f'{other.name} differs from {field[0].name} by {off:.1e}, expected at '
        f'most {rtol:g}'
      )


def measure(rounds: int, seconds: float, lanes: int) -> list[dict[str, Any]]:
  """All four tables, in a process with one thread.

  Args:
    rounds: Samples of each row.
    seconds: What a sample should take at least.
    lanes: Instances in one program.

  Returns:
    {task, rows} of each.
  """
  jax.config.update('jax_enable_x64', True)
  task = peers.draw(lanes, *SIZE)
  fields = {form: (trainers(task, form), 50, 1e-9) for form in FORMS}
  # cvxpy's default for the nuclear norm is accurate to about 1e-5.
  fields |= {norm: (solvers(task, norm), 1, 1e-4) for norm in NORMS}
  made = []
  for name, (field, steps, rtol) in fields.items():
    print(f'measuring {name} ...', file=sys.stderr, flush=True)
    agree(field, steps, rtol)
    times = timing.measure(field, rounds, seconds, time.process_time)
    rows = [
      {
        'name': c.name,
        **{k: getattr(t, k) / c.lanes for k in ('low', 'median', 'high')},
      }
      for c, t in zip(field, times, strict=True)
    ]
    made.append({'task': name, 'rows': rows})
  return made


def many(count: int, steps: int) -> dict[str, float]:
  """So many instances in one program, with all cores."""
  jax.config.update('jax_enable_x64', True)
  task = peers.draw(count, *SIZE)
  run = peers.ours_train(task, 'w', 'exact')
  run(1)
  began, cpu = time.perf_counter(), time.process_time()
  found = np.asarray(run(steps))
  return {
    'instances': count,
    'steps': steps,
    'wall_seconds': time.perf_counter() - began,
    'cpu_seconds': time.process_time() - cpu,
    'finite': float(np.isfinite(found).all(axis=(1, 2)).mean()),
  }


def job(seeds: int = 30_000) -> dict[str, Any]:
  """The multi-token sweep, start of the process to the last figure."""
  with tempfile.TemporaryDirectory() as place:
    began = time.perf_counter()
    subprocess.run(
      [
        *(sys.executable, '-m', 'experiments.attention_svm'),
        *('--config=:multi_token', '--config.curve=0', f'--seeds={seeds}'),
        *(f'--workdir={place}/run', '--progress=none'),
      ],
      check=True,
      stdout=subprocess.DEVNULL,
    )
    wall = time.perf_counter() - began
    counts = results.open(f'{place}/run')['accepted'].sum('seed').values
  return {'wall_seconds': wall, 'accepted': np.ravel(counts).tolist()}


def ratios(tables: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
  """Ours against theirs, and whether that is what was aimed at."""
  made = []
  for found in tables:
    ours, other, aim = TARGETS[found['task']]
    times = {row['name']: row['median'] for row in found['rows']}
    ratio = times[other] / times[ours] if other in times else None
    met = None if ratio is None else ratio >= aim
    made.append({'task': found['task'], 'aim': aim, 'ratio': ratio, 'met': met})
  return made


def table(found: dict[str, Any]) -> str:
  """One task, slowest last, µs a step (or solve) and instance."""
  rows = sorted(found['rows'], key=lambda row: row['median'])
  best = rows[0]['median']
  lines = [f'{found["task"]}: µs of CPU time, median (quartiles)']
  for row in rows:
    low, mid, high = (1e6 * row[k] for k in ('low', 'median', 'high'))
    lines.append(
      f'  {row["name"]:24}{mid:12.2f} ({low:.2f} ... {high:.2f})'
      f'{row["median"] / best:9.1f} x'
    )
  return '\n'.join(lines)


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'unknown argument {argv[1]!r}')
  quick = flags.FLAGS.quick
  rounds, seconds = (2, 0.002) if quick else (flags.FLAGS.rounds, 0.3)
  others = ('torch', 'cvxpy', *peers.DIRECT)
  machine = timing.machine(('jax', 'jaxlib', 'numpy', *others))
  print(*(f'{k}: {v}' for k, v in machine.items()), sep='\n')
  for package in others:
    if why := peers.missing(package):
      print(f'{why}, its rows are left out')
  tables = timing.in_fresh_process(
    '1', measure, rounds, seconds, 2 if quick else LANES
  )
  for found in tables:
    print(table(found), flush=True)
  aimed = ratios(tables)
  for found in aimed:
    if found['ratio'] is None:
      print(f'{found["task"]}: not measured')
      continue
    verdict = 'met' if found['met'] else 'not met'
    ratio, aim = found['ratio'], found['aim']
    print(f'{found["task"]}: {ratio:.0f} x, aim {aim:g}: {verdict}')
  crowd = timing.in_fresh_process(
    'all', many, 3 if quick else flags.FLAGS.many, 2 if quick else STEPS
  )
  print(
    f'{crowd["instances"]} instances x {crowd["steps"]} steps in one program: '
    f'{crowd["wall_seconds"]:.1f} s, {crowd["cpu_seconds"]:.1f} s of CPU time'
  )
  whole = job() if flags.FLAGS.job else None
  if whole:
    print(
      f'multi-token sweep: {whole["wall_seconds"]:.0f} s on the wall, aim '
      f'{JOB_TARGET:g} s; runs that count {whole["accepted"]}, aim {ENOUGH}'
    )
  timing.finish(machine, tables=tables, targets=aimed, many=crowd, job=whole)


def _define_flags() -> None:
  """Of the command alone: a module that is imported defines none."""
  timing.define_flags(5)
  flags.DEFINE_integer('many', 10_000, 'Instances in one program.', 1)
  flags.DEFINE_bool('job', False, 'Also the whole multi-token sweep.')


if __name__ == '__main__':
  _define_flags()
  app.run(main)
