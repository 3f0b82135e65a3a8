"""Infinite-width limits against torch, and the coordinate check's whole grid.

    python -m benchmarks.mup --out=mup.json

CPU time with one thread of an outer step of MAML (5 ways, 1 shot, 32 tasks,
d = 784, one inner step): the linear µP limit in first and second order, and
the GP and NTK predictors with 16,000 stored rows. Peers are torch written as
MAML is defined, task by task, and torch with our algebra (the inner step in
the span of few rows; one kernel product for all tasks), which says how much of
the gain is the algebra. All arrive at the same numbers, which is checked. Then
the time of a coordinate check over six widths, five seeds and two optimisers,
compilation included. PyTorch is optional: `pip install '.[bench]'`.
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import app, flags

from benchmarks import mup_peers as peers
from benchmarks import timing
from framework.mup import coordinates, initialisers, optimizers
from framework.mup.net import parametrise
from framework.systems.width.transfer.models import Perceptron

OURS, PLAIN = 'ours', 'torch, task by task'
ALGEBRA = 'torch, our algebra'
# torch task by task over ours
TARGETS = {'order 1': 10.0, 'order 2': 10.0, 'gp': 4.0, 'ntk': 4.0}
STEP_TARGET = 20e-3  # seconds of a first-order step of the limit in float64
CHECK_TARGET = 30.0  # seconds of the coordinate check


def contestants(
  case: str, size: tuple[int, int, int], dtype: Any
) -> list[timing.Contestant]:
  """Everyone who can be measured on one of `TARGETS`."""
  d, tasks, rows = size
  torch = not peers.torch_missing()
  if torch:
    import torch as torch_

    torch_.set_num_threads(1)
  field: dict[str, peers.Run] = {}
  if case.startswith('order'):
    order, task = int(case[-1]), peers.draw(d, tasks, dtype)
    field[OURS] = peers.ours(task, order)
    if torch:
      field[ALGEBRA] = peers.torch_low_rank(task, order)
      field[PLAIN] = peers.torch_plain(task, order)
  else:
    kernel = peers.draw_kernel(d, tasks, rows, dtype)
    field[OURS] = peers.ours_kernel(kernel, case)
    if torch:
      field[ALGEBRA] = peers.torch_kernel(kernel, case, together=True)
      field[PLAIN] = peers.torch_kernel(kernel, case, together=False)
  return [timing.Contestant(name, run) for name, run in field.items()]


def measure(
  size: tuple[int, int, int], rounds: int, seconds: float, precisions: int = 2
) -> list[dict[str, Any]]:
  """Precisions and all cases, in a process with one thread.

  Args:
    size: (d, tasks, stored rows).
    rounds: Samples of each row.
    seconds: What a sample should take at least.
    precisions: 2 for float64 and float32, 1 for the first alone.

  Returns:
    {case, dtype, rows} of each.
  """
  jax.config.update('jax_enable_x64', True)
  tables = []
  both = (np.float64, 1e-8), (np.float32, 1e-3)
  for dtype, tolerance in both[:precisions]:
    for case in TARGETS:
      name = dtype.__name__
      print(f'measuring {case}, {name} ...', file=sys.stderr, flush=True)
      field = contestants(case, size, dtype)
      peers.check_agreement(field, tolerance)
      times = timing.measure(field, rounds, seconds, time.process_time)
      rows = [
        {'name': c.name, **t._asdict()}
        for c, t in zip(field, times, strict=True)
      ]
      tables.append({'case': case, 'dtype': name, 'rows': rows})
  return tables


def check(widths: Sequence[int]) -> dict[str, Any]:
  """A coordinate check in a process with one thread, compilation included.

  Args:
    widths: Of the networks; the first is the base.

  Returns:
    {cpu_seconds, wall_seconds, failures, met}.
  """
  x = jax.random.normal(jax.random.key(1), (64, 64))
  y = jnp.arange(64) % 10
  rules = {
    'sgd': lambda mults: optimizers.mu_sgd(0.5, mults),
    'adam': lambda mults: optimizers.mu_adam(0.01, mults),
  }

  def loss(f, y):
    return jnp.mean(
      optax.losses.softmax_cross_entropy_with_integer_labels(f, y)
    )

  def wrong(optimizer):
    def make(width):
      sizes = widths[0], 2 * widths[0], width
      modules = (Perceptron(n, 10, 3) for n in sizes)
      net = parametrise(*modules, x, optimizer=optimizer)
      return net, rules[optimizer](net.mults)

    start = lambda w: initialisers.zeros_at_start(w, 'readout')  # noqa: E731
    found = coordinates.coord_check(make, widths, (x, y), loss, prepare=start)
    return coordinates.failures(found)

  cpu, wall = time.process_time(), time.perf_counter()
  failures = [
    f'{optimizer}: {line}' for optimizer in rules for line in wrong(optimizer)
  ]
  wall = time.perf_counter() - wall
  return {
    'cpu_seconds': time.process_time() - cpu,
    'wall_seconds': wall,
    'failures': failures,
    # A check that finds fault with muP is of no use, however fast.
    'met': not failures and wall <= CHECK_TARGET,
  }


def table(found: dict[str, Any]) -> str:
  """A table of one case and precision, slowest last."""
  rows = found['rows']
  ours = next(row['median'] for row in rows if row['name'] == OURS)
  lines = [f'{found["case"]}, {found["dtype"]}: CPU time of a step']
  for row in sorted(rows, key=lambda row: row['median']):
    low, mid, high = (1e3 * row[k] for k in ('low', 'median', 'high'))
    lines.append(
      f'  {row["name"]:22}{mid:10.2f} ms ({low:.2f} ... {high:.2f})'
      f'{row["median"] / ours:8.1f} x'
    )
  return '\n'.join(lines)


def targets(tables: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
  """Torch task by task over ours, and whether that is what was aimed at."""
  made = []
  for found in tables:
    times = {row['name']: row['median'] for row in found['rows']}
    ratio = times[PLAIN] / times[OURS] if PLAIN in times else None
    aim = TARGETS[found['case']]
    met = None if ratio is None else ratio >= aim
    if met and (found['case'], found['dtype']) == ('order 1', 'float64'):
      met = times[OURS] <= STEP_TARGET
    keys = {k: found[k] for k in ('case', 'dtype')}
    made.append({**keys, 'ratio': ratio, 'aim': aim, 'met': met})
  return made


def _parsed(size: str) -> tuple[int, int, int]:
  try:
    d, tasks, rows = map(int, size.split('x'))
  except ValueError as error:
    raise app.UsageError(
      f'size is {size!r}, expected d x tasks x rows such as 784x32x16000'
    ) from error
  return d, tasks, rows


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'unknown argument {argv[1]!r}')
  size, widths = _parsed(flags.FLAGS.size), tuple(map(int, flags.FLAGS.widths))
  sample = (2, 0.002, 1) if flags.FLAGS.quick else (flags.FLAGS.rounds, 0.3)
  machine = timing.machine(('jax', 'jaxlib', 'numpy', 'torch'))
  print(*(f'{k}: {v}' for k, v in machine.items()), sep='\n')
  if missing := peers.torch_missing():
    print(f'torch: {missing}, its rows are left out')
  tables = timing.in_fresh_process('1', measure, size, *sample)
  for found in tables:
    print(table(found), flush=True)
  aimed = targets(tables)
  for found in aimed:
    if found['ratio'] is None:
      continue
    verdict = 'met' if found['met'] else 'not met'
    print(
      f'{found["case"]}, {found["dtype"]}: {found["ratio"]:.1f} x torch, aim '
      f'{found["aim"]:g}: {verdict}'
    )
  grid = timing.in_fresh_process('1', check, widths)
  verdict = 'met' if grid['met'] else 'not met'
  print(
    f'coordinate check: {grid["wall_seconds"]:.1f} s on the wall, '
    f'{grid["cpu_seconds"]:.1f} s of CPU time, aim {CHECK_TARGET:g} s and '
    f'every activation flat: {verdict}'
  )
  print(*grid['failures'], sep='\n', end='\n' if grid['failures'] else '')
  timing.finish(machine, size=size, tables=tables, targets=aimed, check=grid)


def _define_flags() -> None:
  """Of the command alone: a module that is imported defines none."""
  flags.DEFINE_string('size', '784x32x16000', 'd x tasks x stored rows.')
  timing.define_flags(7)
  flags.DEFINE_list(
    'widths', ['64', '128', '256', '512', '1024', '2048'], 'Of the check.'
  )


if __name__ == '__main__':
  _define_flags()
  app.run(main)
