"""The tables of the matrix-sensing benchmark and whether its targets are met.

one lane   reads the Gram matrix once:  p² w bytes       against bandwidth
B lanes    share one matrix product:    2 p² B flops     against GEMM peak
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
  'LANES',
  'OURS',
  'OURS_LANES',
  'TORCH',
  'machine',
  'table',
  'targets',
  'verdicts',
]

LANES = 64
OURS = 'ours, Gram'
OURS_LANES = f'{OURS}, {LANES} lanes'
TORCH = 'torch autograd + SGD, m×n×n'

# (n, m), ours, at least so many times as fast as torch with one lane.
_SPEED = (
  ((20, 600), OURS, 70),
  ((50, 1200), OURS, 15),
  ((50, 1200), OURS_LANES, 25),
)
# (n, m), ours, at least this share of the machine's limit.
_SHARE = (
  ((100, 8000), OURS, 0.70, 'bandwidth'),
  ((50, 1200), OURS_LANES, 0.50, 'GEMM peak'),
)

_Table = Mapping[str, Any]


def machine(facts: Mapping[str, Any]) -> str:
  """One line on processor, cores, load and versions."""
  return ', '.join(f'{name} {value}' for name, value in facts.items())


def seconds(table: _Table, name: str) -> float:
  """Seconds per step and lane of a row; NaN if it was not measured."""
  for row in table['rows']:
    if row['name'] == name:
      return row['median'] / row['lanes']
  return math.nan


def limit(table: _Table, kind: str, dtype: str = 'float64') -> float:
  """The best of the probes: bytes or floating-point operations per second."""
  if kind == 'bandwidth':
    return max(probe['bytes_per_second'] for probe in table['limits'])
  return max(
    probe['flops_per_second']
    for probe in table['limits']
    if dtype in probe['name']
  )


def achieved(table: _Table, name: str) -> tuple[str, float]:
  """What limits a row of ours, and what it reaches of it per second."""
  time = seconds(table, name)
  if name == OURS:
    return 'bandwidth', 8 * table['p'] ** 2 / time
  return 'GEMM peak', 2 * table['p'] ** 2 / time


def table(table: _Table, threads: str) -> str:
  """The readable table of one size.

  Args:
    table: What was measured.
    threads: '1' or 'all'.

  Returns:
    Lines; `/ ours` is the time over that of ours with one lane, `/ lanes` over
    that of ours with many, and `call` what a call without a step takes, records
    of the first and the last state included.
  """
  n, m, k = table['size']
  clock = (
    'one thread, CPU time' if threads == '1' else 'all cores, time on the wall'
  )
  lines = [
    '',
    f'n={n} m={m} k={k}, p={table["p"]}, symmetric, float64; {clock}',
    f'{"µs per step and lane":40}{"median":>10}{"quartiles":>20}'
    f'{"/ ours":>9}{"/ lanes":>9}{"call":>9}{"steps":>8}',
  ]
  one, many = seconds(table, OURS), seconds(table, OURS_LANES)
  for row in table['rows']:
    low, mid, high, call = (
      1e6 * row[x] / row['lanes'] for x in ('low', 'median', 'high', 'call')
    )
    lines.append(
      f'{row["name"]:40}{_short(mid):>10}'
      f'{_short(low) + " - " + _short(high):>20}{mid / one / 1e6:9.2f}'
      f'{mid / many / 1e6:9.2f}{_short(call):>9}{row["steps"]:8}'
    )
  lines += [f'{name:40}{why}' for name, why in table['absent'].items()]
  for probe in table['limits']:
    value, unit = probe['bytes_per_second'] / 1e9, 'GB/s'
    if not value:
      value, unit = probe['flops_per_second'] / 1e9, 'GFLOP/s'
    lines.append(f'limit: {probe["name"]:33}{value:10.1f} {unit}')
  for name in (OURS, OURS_LANES):
    kind, value = achieved(table, name)
    unit = 'GB/s' if kind == 'bandwidth' else 'GFLOP/s'
    share = value / limit(table, kind)
    lines.append(
      f'{name} reaches {value / 1e9:.1f} {unit}, {share:.0%} of the {kind}'
    )
  once = [f'{what} {s:.2f} s' for what, s in table['once_seconds'].items()]
  lines.append(f'once, on the wall: {", ".join(once)}')
  return '\n'.join(lines)


def targets(tables: Sequence[_Table]) -> list[dict[str, Any]]:
  """What was aimed at, what was reached; None where it was not measured.

  Args:
    tables: Of one thread.

  Returns:
    One dictionary a target: target, goal, value and met.
  """
  by_size = {tuple(table['size'][:2]): table for table in tables}
  found = []

  def add(size, text: str, goal: float, value: float) -> None:
    known = math.isfinite(value)
    found.append(
      {
        'target': f'n={size[0]} m={size[1]}: {text}',
        'goal': goal,
        'value': value if known else None,
        'met': value >= goal if known else None,
      }
    )

  for size, name, goal in _SPEED:
    value = math.nan
    if size in by_size:
      it = by_size[size]
      value = seconds(it, TORCH) / seconds(it, name)
    add(size, f'{name}: times as fast as {TORCH}', goal, value)
  for size, name, goal, kind in _SHARE:
    value = math.nan
    if size in by_size:
      value = achieved(by_size[size], name)[1] / limit(by_size[size], kind)
    add(size, f'{name}: share of the {kind}', goal, value)
  return found


def verdicts(found: Sequence[Mapping[str, Any]]) -> str:
  """One line a target."""
  lines = ['', 'targets, one thread']
  for target in found:
    word = {True: 'met', False: 'NOT MET', None: 'not measured'}[target['met']]
    value = '' if target['value'] is None else f'{target["value"]:.2f} '
    lines.append(f'{target["target"]} >= {target["goal"]}: {value}{word}')
  return '\n'.join(lines)


def _short(x: float) -> str:
  return f'{x:.2f}' if x < 10 else f'{x:.1f}' if x < 1000 else f'{x:.0f}'
