"""The tables of the matrix-sensing benchmark and whether its targets are met.

one lane   reads the Gram matrix once:  p² w bytes       against bandwidth
B lanes    share one matrix product:    2 p² B flops     against GEMM peak
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = [
  'LANES',
  'OURS',
  'OURS_LANES',
  'OURS_SINGLE',
  'TORCH',
  'machine',
  'table',
  'targets',
  'verdicts',
]

LANES = 64
OURS = 'ours, Gram'
OURS_LANES = f'{OURS}, {LANES} lanes'
OURS_SINGLE = f'{OURS} in float32'
TORCH = 'torch autograd + SGD, m×n×n'


class _Target(NamedTuple):
  size: tuple[int, int]  # (n, m)
  name: str
  goal: float
  against: str


_LIMIT = 'share of the limit'
_SPEED = f'times as fast as {TORCH}'
_TARGETS = (
  _Target((20, 600), OURS, 70, _SPEED),
  _Target((50, 1200), OURS, 15, _SPEED),
  _Target((50, 1200), OURS_LANES, 25, _SPEED),
  _Target((100, 8000), OURS, 0.70, _LIMIT),
  _Target((50, 1200), OURS_LANES, 0.50, _LIMIT),
)

_Table = Mapping[str, Any]


def machine(facts: Mapping[str, Any]) -> str:
  """One line on processor, cores, load and versions."""
  return ', '.join(f'{name} {value}' for name, value in facts.items())


def seconds(table: _Table, name: str, at: str = 'median') -> float:
  """Seconds per step and lane of a row; NaN if it was not measured."""
  for row in table['rows']:
    if row['name'] == name:
      return row[at] / row['lanes']
  return math.nan


def limit(table: _Table, kind: str, at: str = 'median') -> float:
  """The best of the probes: bytes or float64 operations per second."""
  if kind == 'bandwidth':
    return max(probe['bytes'] / probe[at] for probe in table['limits'])
  return max(
    probe['flops'] / probe[at]
    for probe in table['limits']
    if 'float64' in probe['name']
  )


def achieved(table: _Table, name: str, at: str = 'median') -> tuple[str, float]:
  """The limit of a row of ours, and how much of it is reached a second."""
  time = seconds(table, name, at)
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
    amount, unit = probe['bytes'], 'GB/s'
    if not amount:
      amount, unit = probe['flops'], 'GFLOP/s'
    rate = amount / probe['median'] / 1e9
    lines.append(f'limit: {probe["name"]:33}{rate:10.1f} {unit}')
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
  """Targets, and how much of each was reached.

  Whether it is met goes by the medians. The same from the lower quartiles is
  stated beside it: other work on the machine slows what lives in a shared cache
  more than it slows the rest.

  Args:
    tables: Of one thread.

  Returns:
    One dictionary a target: target, goal, value, undisturbed (the value from
    lower quartiles), met; the last three None where it was not measured.
  """
  by_size = {tuple(table['size'][:2]): table for table in tables}

  def reached(target: _Target, at: str) -> float:
    table = by_size.get(target.size)
    if table is None:
      return math.nan
    if target.against == _LIMIT:
      kind, value = achieved(table, target.name, at)
      return value / limit(table, kind, at)
    return seconds(table, TORCH, at) / seconds(table, target.name, at)

  found = []
  for target in _TARGETS:
    n, m = target.size
    value, low = reached(target, 'median'), reached(target, 'low')
    known = math.isfinite(value)
    found.append(
      {
        'target': f'n={n} m={m}: {target.name}: {target.against}',
        'goal': target.goal,
        'value': value if known else None,
        'undisturbed': low if known else None,
        'met': value >= target.goal if known else None,
      }
    )
  return found


def verdicts(found: Sequence[Mapping[str, Any]]) -> str:
  """One line a target."""
  lines = ['', 'targets, one thread']
  for target in found:
    text = f'{target["target"]} >= {target["goal"]}: '
    if target['met'] is None:
      lines.append(text + 'not measured')
      continue
    word = 'met' if target['met'] else 'NOT MET'
    lines.append(
      f'{text}{target["value"]:.2f}, {word} '
      f'({target["undisturbed"]:.2f} by lower quartiles)'
    )
  return '\n'.join(lines)


def _short(x: float) -> str:
  return f'{x:.2f}' if x < 10 else f'{x:.1f}' if x < 1000 else f'{x:.0f}'
