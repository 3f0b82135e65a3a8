"""word2vec: the limit in rows of length V against the published 2V.

    python -m benchmarks.word2vec --out=word2vec.json

CPU time of a token of the synthetic corpus (V = 939, 25 sampled words, up to 16
of context), float32, one thread: `word2vec.model` in the limit, at 2V
and at widths, and the equations line by line in rows of 2V, in torch and in C:
the published program's loop as its makefile compiles it, and with -ffast-math,
without which a compiler may not vectorise a sum. All make the same tables; that
is checked. gensim, with one worker at width 300, draws windows and negatives of
its own. PyTorch and gensim are optional: `pip install '.[bench]'`; so is a C
compiler.
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

from absl import app, flags

from benchmarks import timing
from benchmarks import word2vec_peers as peers

LIMIT, DOUBLE = 'ours, limit, S = V', 'ours, limit, S = 2V'
WIDTHS = 16, 64, 256, 300
GENSIM = 'gensim, width 300'
C_LOOP = 'C, line by line, S = 2V'
C_FAST = 'C, sums in any order, S = 2V'
C_HALF = 'C, sums in any order, S = V'
TORCH_LOOP = 'torch, line by line, S = 2V'
TORCH_ROWS = 'torch, token at once, S = 2V'
DENSE = DOUBLE, C_LOOP, C_FAST, TORCH_LOOP, TORCH_ROWS
TARGET = 3.0  # any of them over ours


def contestants(task: peers.Task) -> list[timing.Contestant]:
  """Everyone in the limit who can be measured."""
  V = task.V
  field = [
    timing.Contestant(LIMIT, peers.ours(task)),
    timing.Contestant(DOUBLE, peers.ours(task, 2 * V)),
  ]
  if not peers.c_missing():
    field += [
      timing.Contestant(C_LOOP, peers.c_loop(task, 2 * V)),
      timing.Contestant(C_FAST, peers.c_loop(task, 2 * V, '-ffast-math')),
      timing.Contestant(C_HALF, peers.c_loop(task, V, '-ffast-math')),
    ]
  if not peers.torch_missing():
    import torch

    torch.set_num_threads(1)
    field += [
      timing.Contestant(TORCH_LOOP, peers.torch_loop(task)),
      timing.Contestant(TORCH_ROWS, peers.torch_rows(task)),
    ]
  return field


def measure(rounds: int, seconds: float) -> list[dict[str, Any]]:
  """All rows, in a process with one thread.

  Args:
    rounds: Samples of each row.
    seconds: What a sample should take at least.

  Returns:
    {name, median, ...} of each row, in seconds a token.
  """
  task = peers.draw()
  field = contestants(task)
  # Entries of order one after 1000 tokens, in another order of sums.
  peers.check_agreement(field, 1e-4, steps=1)
  field += [
    timing.Contestant(f'ours, width {S}', peers.ours(task, S)) for S in WIDTHS
  ]
  if not peers.gensim_missing():
    field.append(timing.Contestant(GENSIM, peers.gensim(task, 300)))
  times = timing.measure(field, rounds, seconds, time.process_time)
  per_token = ('median', 'low', 'high')
  return [
    {'name': c.name}
    | {k: v / peers.CHUNK for k, v in t._asdict().items() if k in per_token}
    for c, t in zip(field, times, strict=True)
  ]


def table(rows: Sequence[dict[str, Any]]) -> str:
  """The rows, slowest last."""
  ours = next(row['median'] for row in rows if row['name'] == LIMIT)
  lines = ['CPU time of a token, median (quartiles)']
  for row in sorted(rows, key=lambda row: row['median']):
    low, mid, high = (1e6 * row[k] for k in ('low', 'median', 'high'))
    lines.append(
      f'  {row["name"]:32}{mid:9.1f} µs ({low:.1f} ... {high:.1f})'
      f'{row["median"] / ours:8.2f} x'
    )
  return '\n'.join(lines)


def targets(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
  """Dense implementations over the limit, and whether that was aimed at."""
  times = {row['name']: row['median'] for row in rows}
  made = []
  for name in DENSE:
    ratio = times[name] / times[LIMIT] if name in times else None
    met = None if ratio is None else ratio >= TARGET
    made.append({'name': name, 'ratio': ratio, 'met': met})
  return made


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'unknown argument {argv[1]!r}')
  rounds, seconds = (
    (2, 0.002) if flags.FLAGS.quick else (flags.FLAGS.rounds, 0.3)
  )
  machine = timing.machine(('jax', 'jaxlib', 'numpy', 'torch'))
  print(*(f'{k}: {v}' for k, v in machine.items()), sep='\n')
  for name, missing in (
    ('torch', peers.torch_missing()),
    ('C', peers.c_missing()),
    ('gensim', peers.gensim_missing()),
  ):
    if missing:
      print(f'{name}: {missing}, its rows are left out')
  print('measuring ...', file=sys.stderr, flush=True)
  rows = timing.in_fresh_process('1', measure, rounds, seconds)
  print(table(rows), flush=True)
  aimed = targets(rows)
  for found in aimed:
    if found['ratio'] is None:
      print(f'{found["name"]}: not measured')
      continue
    verdict = 'met' if found['met'] else 'not met'
    print(f'{found["name"]}: {found["ratio"]:.1f} x, aim {TARGET:g}: {verdict}')
  timing.finish(machine, rows=rows, targets=aimed)


if __name__ == '__main__':
  timing.define_flags(5)
  app.run(main)
