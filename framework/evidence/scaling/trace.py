"""Asymptotes of a learning curve, refitted as it grows, and when to stop.

A(x) = c − a x^−b is fitted to the first i points, for every i. Its *trace* is
c_i. The *prediction level* is the first i from which on the trace goes one way
in steps that do not grow (it is known in retrospect alone). The *proximity*
condition |c_i − A_i(x_i)| < τ from there on says that no more data is needed.

References:
  Vilares Ferro, Darriba Bilbao, Ribadas Pena, "Modeling of learning curves with
  applications to POS tagging", 2017.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, Key

from framework.evidence.scaling.fit import fit
from framework.evidence.scaling.forms import RISING, Form

__all__ = ['Trace', 'asymptotes', 'prediction_level', 'proximity_stop']


class Trace(NamedTuple):
  """Fits to the first points of a curve, one for each number of them."""

  points: Int[np.ndarray, ' prefixes']  # i
  asymptote: Float[np.ndarray, ' prefixes']  # c_i
  fitted: Float[np.ndarray, ' prefixes']  # A_i(x_i), at the last point
  sse: Float[np.ndarray, ' prefixes']


def asymptotes(
  x: Float[ArrayLike, ' n'],
  y: Float[ArrayLike, ' n'],
  first: int = 5,
  key: Key[Array, ''] | None = None,
  *,
  form: Form = RISING,
  starts: int = 16,
) -> Trace:
  """The trace of asymptotes.

  Args:
    x: Sizes, increasing.
    y: Scores.
    first: The smallest prefix, more points than parameters.
    key: Of the starts.
    form: A law whose parameter `c` is its asymptote.
    starts: Searches for each prefix.

  Returns:
    A `Trace`.

  Raises:
    ValueError: If the curve has fewer than `first` points, or `first` is too
      small.

  >>> x = jnp.arange(1.0, 13.0)
  >>> trace = asymptotes(x, 97 - 5 / x, starts=4)
  >>> [f'{c:.2f}' for c in trace.asymptote[-2:]]
  ['97.00', '97.00']
  """
  x, y = jnp.asarray(x, float), jnp.asarray(y, float)
  if not len(form.names) < first <= x.size:
    raise ValueError(
      f'first is {first}, expected in ({len(form.names)}, {x.size}]'
    )
  points = np.arange(first, x.size + 1)

  def one(i):
    weights = (jnp.arange(x.size) < i).astype(x.dtype)
    found = fit(form, (x,), y, key, weights=weights, starts=starts)
    at_last = form.model(found.parameters, x[i - 1])
    return found.parameters['c'], at_last, found.sse

  c, at_last, sse = jax.jit(lambda p: jax.lax.map(one, p))(jnp.asarray(points))
  return Trace(points, np.asarray(c), np.asarray(at_last), np.asarray(sse))


def prediction_level(trace: Trace) -> int:
  """The first prefix from which on the asymptotes settle.

  Args:
    trace: Asymptotes.

  Returns:
    The number of points i such that from there on all increments have one sign
    and none is larger than the one before; at least three of them. −1 if there
    is none, as of most noisy curves.

  >>> steps = 1 - 0.5 ** np.arange(8.0)
  >>> prediction_level(Trace(np.arange(5, 13), steps, steps, steps))
  5
  """
  d = np.diff(trace.asymptote)
  level = -1
  for i in reversed(range(len(d) - 2)):
    rest = d[i:]
    one_way = np.all(rest > 0) or np.all(rest < 0)
    if not (one_way and np.all(np.diff(np.abs(rest)) <= 0)):
      break
    level = int(trace.points[i])
  return level


def proximity_stop(trace: Trace, tau: float, level: int | None = None) -> int:
  """The first prefix whose asymptote is near what the curve has reached.

  Args:
    trace: Asymptotes.
    tau: τ > 0, in units of the score.
    level: The prediction level to wait for; none when None or −1.

  Returns:
    The number of points, −1 if it never is.

  >>> steps = 1 - 0.5 ** np.arange(8.0)
  >>> proximity_stop(Trace(np.arange(5, 13), np.ones(8), steps, steps), 0.1)
  9
  """
  near = np.abs(trace.asymptote - trace.fitted) < tau
  if level is not None and level >= 0:
    near &= trace.points >= level
  return int(trace.points[near.argmax()]) if near.any() else -1
