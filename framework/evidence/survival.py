"""Times until something happens, when for some runs it has not yet.

Kaplan and Meier's estimate of the probability S(t) that it has not happened by
t, for n_j runs still watched just before t_j, at which it happens to d_j:

    Ŝ(t) = Π_{t_j <= t} (1 − d_j/n_j),
    Var Ŝ(t) = Ŝ(t)² Σ_{t_j <= t} d_j/(n_j (n_j − d_j))        (Greenwood)

References:
  Kaplan, Meier, "Nonparametric Estimation from Incomplete Observations", 1958.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ['Survival', 'kaplan_meier', 'log_rank', 'median']


class Survival(NamedTuple):
  """A step function that falls at `time`."""

  time: Float[np.ndarray, ' falls']  # 0 first
  survival: Float[np.ndarray, ' falls']  # from this time on; 1 first
  stderr: Float[np.ndarray, ' falls']  # Greenwood's; 0 where none is left


def kaplan_meier(
  event: Float[np.ndarray, ' runs'], end: float | Float[np.ndarray, ' runs']
) -> Survival:
  """The probability that it has not happened by t.

  Args:
    event: When it happened to each run; NaN if it had not by `end`.
    end: How long each run was watched: its last step, or where it diverged.

  Returns:
    A `Survival`.

  Raises:
    ValueError: If there is no run, or an event is after its end.

  >>> found = kaplan_meier(np.array([1.0, 2.0, np.nan, 3.0]), 4.0)
  >>> print(found.time, found.survival)
  [0. 1. 2. 3.] [1.   0.75 0.5  0.25]
  """
  event, end = _checked(event, end)
  left = np.where(np.isnan(event), end, event)
  times = np.unique(event[~np.isnan(event)])
  n = np.array([(left >= t).sum() for t in times], float)
  d = np.array([(event == t).sum() for t in times], float)
  survival = np.cumprod(1 - d / np.maximum(n, 1))
  with np.errstate(divide='ignore', invalid='ignore'):
    variance = survival**2 * np.cumsum(d / (n * (n - d)))
  variance = np.where(survival > 0, variance, 0.0)
  return Survival(
    np.concatenate([[0.0], times]),
    np.concatenate([[1.0], survival]),
    np.concatenate([[0.0], np.sqrt(variance)]),
  )


def median(found: Survival) -> float:
  """The first time by which it has happened to half of the runs.

  Returns:
    NaN if it has not.

  >>> median(kaplan_meier(np.array([1.0, 2.0, np.nan, 3.0]), 4.0))
  2.0
  """
  half = found.survival <= 0.5
  return float(found.time[np.argmax(half)]) if half.any() else math.nan


def log_rank(
  one: Float[np.ndarray, ' runs'],
  two: Float[np.ndarray, ' runs'],
  end: float,
) -> float:
  """The log-rank statistic z: how much earlier it happens to the first group.

      z = Σ_j (d_1j − n_1j d_j/n_j)/√(Σ_j v_j),
      v_j = n_1j n_2j d_j (n_j − d_j)/(n_j² (n_j − 1))

  About a standard normal if there is no difference.

  Args:
    one: Times of the first group, NaN where it had not happened by `end`.
    two: Times of the second.
    end: How long all were watched.

  Returns:
    z; positive if it happens earlier in the first group, 0 if it never happens.

  Raises:
    ValueError: As in `kaplan_meier`.

  >>> log_rank(np.array([1.0, 2, 3]), np.array([np.nan] * 3), 9.0).__round__(2)
  2.25
  """
  (a, _), (b, _) = _checked(one, end), _checked(two, end)
  difference = variance = 0.0
  both = np.concatenate([a, b])
  for t in np.unique(both[~np.isnan(both)]):
    n1, n2 = (np.sum(~(x < t)) for x in (a, b))
    n, d = n1 + n2, np.sum(both == t)
    difference += np.sum(a == t) - n1 * d / n
    if n > 1:
      variance += n1 * n2 * d * (n - d) / (n**2 * (n - 1))
  return float(difference / math.sqrt(variance)) if variance else 0.0


def _checked(event, end) -> tuple[np.ndarray, np.ndarray]:
  event = np.asarray(event, float).ravel()
  end = np.broadcast_to(np.asarray(end, float), event.shape)
  if not event.size:
    raise ValueError('there are no runs, expected at least one')
  if (event > end).any():
    worst = event[event > end][0]
    raise ValueError(f'an event is at {worst:g}, expected by {end.max():g}')
  return event, end
