"""Does any activation grow or vanish with width? Slopes, and what passes.

In muP sizes and changes of activations settle as width grows, so the slope

    d log |x| / d log n = 0    (at the start the output falls as n^-1/2)

and wherever a multiplier is missing or misplaced some of them go as n^½, n, ...
or fall so. At finite width what settles is not constant yet: it is a limit
times 1 + c n^-1/2 + ..., and means over seeds scatter. So a slope passes up to

    tolerance + C |d n^-1/2 / d log n| + 2 standard errors over the seeds.

C = 3 is measured: with it perceptrons of one to four layers pass with relu,
tanh and gelu, SGD and Adam, rates from 1e-4 to 0.1, and no mistake does. It is
a slope of 0.13 at widths 48 to 384, and of 0.05 at 256 to 4096 (`allowance`).
Widths or seeds that are too few let much pass, but no more than 0.3, since what
is wrong goes as n^½ at least.

Sizes are judged by their parts, the start x(1) and the change since. The start
of the output falls, and outweighs its change while the rate is small. So a
start may fall if it is the output's, a change may neither fall nor grow, and a
size may not grow. Where the output's start does not fall, which in muP is rare
(a bias that starts elsewhere than at zero), its change may grow by no more than
the tolerance: a readout that starts too large shows in it slowly.

References:
  TP5: Yang, Hu, Babuschkin, Sidor, et al., "Tensor Programs V", 2022,
  Appendix D.1.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from framework.mup.coordinates.measure import Check

__all__ = [
  'CORRECTION',
  'Finding',
  'Slopes',
  'allowance',
  'failures',
  'findings',
  'slopes',
  'steepest',
  'table',
  'unseen',
]

CORRECTION = 3.0  # C: sizes are a limit times 1 + c n^-1/2, |c| up to this
_MOST = 0.3  # that a slope is allowed beyond the tolerance
_ROUNDING = (
  100  # units in the last place of a size, below which it has no change
)


class Slopes(NamedTuple):
  """Slopes on log-log axes; NaN where a size is zero at some width."""

  size: Float[np.ndarray, 't module']
  change: Float[np.ndarray, 't module']


class Finding(NamedTuple):
  """The order of one size or change, and how far it may be from zero."""

  module: str
  what: str  # 'size' or 'change'
  t: int  # from 1
  slope: float  # NaN if something is not finite, or is zero at some widths only
  low: float  # the least slope that passes at tolerance 0, -inf if it may fall
  high: float  # the largest

  @property
  def excess(self) -> float:
    """The tolerance that it needs; NaN where there is no slope."""
    return max(self.slope - self.high, self.low - self.slope)

  def __str__(self) -> str:
    """One line."""
    name = self.module or 'output'
    return f'{name}: {self.what} at t = {self.t} goes as n^{self.slope:.2f}'


def slopes(check: Check) -> Slopes:
  """Slopes of the mean over seeds against width, for each step and module.

  Args:
    check: A `Check`.

  Returns:
    `Slopes`.

  >>> n = np.array([2.0, 4.0, 8.0])
  >>> size = np.broadcast_to(3 * n[:, None, None, None], (3, 2, 1, 1))
  >>> slopes(Check((2, 4, 8), ('a',), size, 0 * size))
  Slopes(size=array([[1.]]), change=array([[nan]]))
  """
  return Slopes(*(_slope(check.widths, x) for x in (check.size, check.change)))


def _weights(widths: tuple[int, ...]) -> np.ndarray:
  """Least squares on log n: the slope of y is their sum with y."""
  x = np.log(np.asarray(widths, float))
  x = x - x.mean()
  return x / np.sum(x**2)


def _slope(widths: tuple[int, ...], values: np.ndarray) -> np.ndarray:
  """(width, seed, ...) -> (...); NaN where a mean is zero or not finite."""
  mean = np.asarray(values, np.float64).mean(1)
  mean = np.where((mean > 0) & np.isfinite(mean), mean, np.nan)
  return np.tensordot(_weights(widths), np.log(mean), 1)


def _stderr(widths: tuple[int, ...], values: np.ndarray) -> np.ndarray:
  """Of `_slope`, by the scatter over seeds; 0 for one seed."""
  values = np.asarray(values, np.float64)
  seeds = values.shape[1]
  if seeds < 2:
    return np.zeros(values.shape[2:])
  with np.errstate(divide='ignore', invalid='ignore'):
    part = values.std(1, ddof=1) / seeds**0.5 / values.mean(1)
  return np.sqrt(np.tensordot(_weights(widths) ** 2, part**2, 1))


def allowance(widths: tuple[int, ...]) -> float:
  """The slope of a correction of finite width, 1 + C n^-1/2, to first order.

  Args:
    widths: Two or more.

  Returns:
    A positive number: the smaller, the more these widths can tell.

  >>> [round(allowance(n), 2) for n in ((48, 96, 192, 384), (256, 4096))]
  [0.13, 0.05]
  """
  root = np.asarray(widths, float) ** -0.5
  return CORRECTION * float(-_weights(widths) @ root)


def findings(check: Check) -> list[Finding]:
  """All that can be judged, with the slopes that pass.

  Args:
    check: A `Check`.

  Returns:
    One of each size and change, but for what is zero at every width, and
    changes that are rounding at every width (see `unseen`).

  >>> one = np.ones((2, 1, 2, 1))
  >>> [x[:4] for x in findings(Check((2, 4), ('a',), one, 0 * one))]
  [('a', 'size', 1, 0.0), ('a', 'size', 2, 0.0)]
  """
  size, seen = _sizes_and_changes(check)
  falls = np.asarray(check.outputs)
  found = []
  start, spread = _slope(check.widths, size), _stderr(check.widths, size)
  # Outputs whose start keeps its order.
  heavy = falls & (start[0] > np.maximum(-0.25, 2 * spread[0] - 0.5))
  for what, values in (('size', size), ('change', seen)):
    slope, stderr = _slope(check.widths, values), _stderr(check.widths, values)
    room = np.minimum(allowance(check.widths) + 2 * stderr, _MOST)
    for t in range(what == 'change', values.shape[2]):
      for i, module in enumerate(check.modules):
        if not (values[:, :, t, i] != 0).any():
          continue
        low, high = -room[t, i], room[t, i]
        if what == 'size' and falls[i]:
          low = -np.inf
        if what == 'change' and heavy[i]:
          high = 0.0
        place = float(slope[t, i]), float(low), float(high)
        found.append(Finding(module, what, t + 1, *place))
  return found


def _sizes_and_changes(check: Check) -> tuple[np.ndarray, np.ndarray]:
  """Sizes, and changes that are no less than rounding; 0 where all are less."""
  size = np.asarray(check.size, np.float64)
  change = np.asarray(check.change, np.float64)
  floor = _rounding(check) * size
  some = (change > floor).any((0, 1)) | ~np.isfinite(change).all((0, 1))
  # Nothing at all at some width is no rounding, where others move.
  raised = np.where(change == 0, 0, np.maximum(change, floor))
  return size, np.where(some, raised, 0)


def failures(check: Check, tolerance: float = 0.1) -> list[str]:
  """Mistakes, one line each; nothing if muP is applied correctly.

  The start may fall in the output alone, and nothing may grow; from the second
  record on every change that is more than rounding has to keep its order.

  A change that starts smaller than its scatter, n^-1/2, falls with it until
  widths are larger: those of queries and keys under SGD do.

  Args:
    check: A `Check`.
    tolerance: Largest slope that passes, in absolute value, beyond what finite
      width and the scatter of the seeds account for.

  Returns:
    Lines, the steepest first.

  >>> n = np.array([2.0, 4.0, 8.0])
  >>> size = np.broadcast_to(n[:, None, None, None], (3, 1, 2, 1))
  >>> failures(Check((2, 4, 8), ('dense',), size, 0 * size))
  ['dense: size at t = 1 goes as n^1.00', 'dense: size at t = 2 goes as n^1.00']
  """
  bad = [x for x in findings(check) if not x.excess <= tolerance]
  order = [-abs(x.slope) if np.isfinite(x.slope) else -np.inf for x in bad]
  return [f'{bad[i]}' for i in np.lexsort((range(len(bad)), order))]


def steepest(check: Check) -> float:
  """The least tolerance that a check passes with.

  Args:
    check: A `Check`.

  Returns:
    The largest excess of a slope over what finite width and scatter account
    for, not below 0; NaN if something is not finite, or zero at some widths.

  >>> n = np.array([4e4, 4e6])
  >>> size = np.broadcast_to(n[:, None, None, None] ** 0.5, (2, 1, 2, 1))
  >>> round(steepest(Check((40_000, 4_000_000), ('a',), size, 0 * size)), 3)
  0.497
  """
  return float(np.max([0.0, *(x.excess for x in findings(check))]))


def unseen(check: Check) -> list[str]:
  """Modules of whose change nothing certain can be said, one line each.

  A mistake in the rate of a module is not found where the rate is so small that
  at some width its outputs change by rounding alone.

  Args:
    check: A `Check` of two records or more.

  Returns:
    Lines, in the order of the modules.

  >>> one = np.ones((2, 1, 2, 1))
  >>> unseen(Check((2, 4), ('a',), one, 1e-15 * one))
  ['a: changes by rounding alone at some width until t = 2, take a rate at least
  2e+01 times as large']
  """
  size, change = (x[:, :, -1].mean(1) for x in (check.size, check.change))
  hidden = (change <= _rounding(check) * size).any(0) & (size > 0).any(0)
  lines = []
  for i in np.flatnonzero(hidden):
    with np.errstate(divide='ignore', invalid='ignore'):
      short = np.nanmax(_rounding(check) * size[:, i] / change[:, i])
    # Changes go with the rate while they are small.
    more = (
      f'at least {short:.0g} times as large' if short < 1e4 else 'far larger'
    )
    lines.append(
      f'{check.modules[i] or "output"}: changes by rounding alone at some '
      f'width until t = {check.size.shape[2]}, take a rate {more}'
    )
  return lines


def _rounding(check: Check) -> float:
  """The part of a size below which its change is rounding."""
  return _ROUNDING * float(jnp.finfo(check.size.dtype).eps)


def table(check: Check) -> str:
  """Slopes of sizes as text: a row a module, a column a step.

  Args:
    check: A `Check`.

  Returns:
    Lines, the first the head.

  >>> one = np.ones((2, 1, 2, 1))
  >>> print(table(Check((2, 4), ('',), one, one)))
  module   t = 1   t = 2
  output    0.00    0.00
  """
  found = slopes(check).size
  names = [name or 'output' for name in check.modules]
  wide = max(map(len, (*names, 'module')))
  head = 'module'.ljust(wide) + ''.join(
    f't = {t + 1}'.rjust(8) for t in range(len(found))
  )
  rows = [
    name.ljust(wide) + ''.join(f'{x:8.2f}' for x in found[:, i])
    for i, name in enumerate(names)
  ]
  return '\n'.join([head, *rows])
