"""XOR clusters: the Gram form against descent in R^p and against its peers.

    python -m benchmarks.xor_grokking --out=xor_grokking.json

One step of full-batch gradient descent at the paper's size (n = 200, p = 40000,
m = 1000) in float32 and float64, CPU time with one thread: through
`framework.rollout` in both forms, through torch in R^p (automatic
differentiation, and the gradient written out), and through torch and numpy in
the Gram form. All make the same trajectory, which is checked. Most of what is
gained is the algebra: 2n²m flops a step instead of 4npm; the Gram rows of the
peers say how much. `--job` also times the whole `paper` variant. PyTorch is
optional: `pip install '.[bench]'`.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import app, flags

from benchmarks import timing
from benchmarks import xor_grokking_peers as peers
from framework.systems.clusters import xor

OURS, EXPLICIT = 'ours, Gram', 'ours, in R^p'
TORCH, CLOSED = 'torch, in R^p, autograd', 'torch, in R^p, closed form'
TORCH_GRAM, NUMPY_GRAM = 'torch, Gram', 'numpy, Gram'
TARGET = 300.0  # torch autograd in R^p over ours
JOB_TARGET = 120.0  # seconds on the wall


def contestants(task: peers.Task) -> list[timing.Contestant]:
  """Everyone who can be measured."""
  field = [
    timing.Contestant(OURS, peers.ours(task, xor.gram_problem)),
    timing.Contestant(NUMPY_GRAM, peers.numpy_gram(task)),
    timing.Contestant(EXPLICIT, peers.ours(task, xor.explicit_problem)),
  ]
  if not peers.torch_missing():
    import torch

    torch.set_num_threads(1)
    field += [
      timing.Contestant(TORCH_GRAM, peers.torch_gram(task)),
      timing.Contestant(CLOSED, peers.torch_closed_form(task)),
      timing.Contestant(TORCH, peers.torch_autograd(task)),
    ]
  return field


def measure(
  size: tuple[int, int, int], rounds: int, seconds: float
) -> list[dict[str, Any]]:
  """Both precisions, in a process with one thread.

  Args:
    size: (n, p, m).
    rounds: Samples of each row.
    seconds: What a sample should take at least.

  Returns:
    {dtype, rows} of each precision.
  """
  jax.config.update('jax_enable_x64', True)
  tables = []
  for dtype, tolerance in ((np.float32, 1e-4), (np.float64, 1e-11)):
    print(f'measuring {dtype.__name__} ...', file=sys.stderr, flush=True)
    field = contestants(peers.draw(*size, dtype))
    peers.check_agreement(field, tolerance)
    times = timing.measure(field, rounds, seconds, time.process_time)
    rows = [
      {'name': c.name, **t._asdict()} for c, t in zip(field, times, strict=True)
    ]
    tables.append({'dtype': dtype.__name__, 'rows': rows})
  return tables


def table(found: dict[str, Any]) -> str:
  """A table of one precision, slowest last."""
  rows = found['rows']
  ours = next(row['median'] for row in rows if row['name'] == OURS)
  lines = [f'{found["dtype"]}: CPU time of a step, median (quartiles)']
  for row in sorted(rows, key=lambda row: row['median']):
    low, mid, high = (1e3 * row[k] for k in ('low', 'median', 'high'))
    ratio = row['median'] / ours
    lines.append(
      f'  {row["name"]:28}{mid:10.3f} ms ({low:.3f} ... {high:.3f})'
      f'{ratio:9.1f} x'
    )
  return '\n'.join(lines)


def targets(tables: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
  """Ours against torch in R^p, and whether that is what was aimed at."""
  made = []
  for found in tables:
    times = {row['name']: row['median'] for row in found['rows']}
    ratio = times[TORCH] / times[OURS] if TORCH in times else None
    met = None if ratio is None else ratio >= TARGET
    made.append({'dtype': found['dtype'], 'ratio': ratio, 'met': met})
  return made


def paper_job() -> dict[str, float]:
  """The whole `paper` variant, start of the process to the last figure."""
  with tempfile.TemporaryDirectory() as place:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(
      [
        *(sys.executable, '-m', 'experiments.xor_grokking'),
        *('--config=:paper', f'--workdir={place}/run', '--progress=none'),
      ],
      check=True,
      stdout=subprocess.DEVNULL,
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
  cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
  return {'wall_seconds': wall, 'cpu_seconds': cpu}


def _parsed(size: str) -> tuple[int, int, int]:
  try:
    n, p, m = map(int, size.split('x'))
  except ValueError as error:
    raise app.UsageError(
      f'size is {size!r}, expected n x p x m such as 200x40000x1000'
    ) from error
  return n, p, m


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'unknown argument {argv[1]!r}')
  size = _parsed(flags.FLAGS.size)
  rounds, seconds = (
    (2, 0.002) if flags.FLAGS.quick else (flags.FLAGS.rounds, 0.3)
  )
  machine = timing.machine(('jax', 'jaxlib', 'numpy', 'torch'))
  print(*(f'{k}: {v}' for k, v in machine.items()), sep='\n')
  if missing := peers.torch_missing():
    print(f'torch: {missing}, its rows are left out')
  tables = timing.in_fresh_process('1', measure, size, rounds, seconds)
  for found in tables:
    print(table(found), flush=True)
  aimed = targets(tables)
  for found in aimed:
    ratio = found['ratio']
    if ratio is None:
      print(f'{found["dtype"]}: against torch in R^p: not measured')
      continue
    verdict = 'met' if found['met'] else 'not met'
    print(f'{found["dtype"]}: {ratio:.0f} x torch, aim {TARGET:g}: {verdict}')
  job = paper_job() if flags.FLAGS.job else None
  if job:
    print(
      f'paper variant: {job["wall_seconds"]:.0f} s on the wall, '
      f'{job["cpu_seconds"]:.0f} s of CPU time, aim {JOB_TARGET:g} s'
    )
  timing.finish(machine, size=size, tables=tables, targets=aimed, job=job)


def _define_flags() -> None:
  """Of the command alone: a module that is imported defines none."""
  flags.DEFINE_string('size', '200x40000x1000', 'n x p x m.')
  timing.define_flags(5)
  flags.DEFINE_bool('job', False, 'Also run and time the paper variant.')


if __name__ == '__main__':
  _define_flags()
  app.run(main)
