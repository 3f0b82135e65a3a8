"""A learning curve that grows point by point, refitted at every new one.

A step adds a point and searches again, from where the last search ended and
from a start that knows nothing. What is recorded are the asymptote c_i and the
fitted value at the last point: what `trace` needs to say when to stop.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from framework.checks import check_sizes
from framework.evidence.scaling.fit import difference, residuals
from framework.evidence.scaling.forms import RISING
from framework.maths import levenberg_marquardt as lm
from framework.system import System

__all__ = ['ATTRIBUTES', 'Curve', 'State', 'Structure', 'growing']

ATTRIBUTES = {
  'asymptote': {'long_name': 'asymptote c_i', 'units': 'score'},
  'fitted': {'long_name': 'A_i at its last point', 'units': 'score'},
  'score': {'long_name': 'score at the last point', 'units': 'score'},
}
_FIRST = 5  # points before which nothing is fitted


class Curve(NamedTuple):
  """Scores over sizes."""

  x: Float[Array, ' points']
  y: Float[Array, ' points']


class State(NamedTuple):
  """The last fit, and how many points there are."""

  theta: Float[Array, '3']
  points: Int[Array, '']


@dataclasses.dataclass(frozen=True)
class Structure:
  """The static part: the curve, and how long each search may take.

  Raises:
    ValueError: If a size is no positive integer.
  """

  curve: Callable[..., Curve]  # (key, hp) -> curve
  searches: int = 15  # steps of each search
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    check_sizes(searches=self.searches)


def growing(structure: Structure) -> System:
  """The System of a curve that grows; its hp are those of the curve.

  Args:
    structure: The curve, and how it is fitted.

  Returns:
    A `System`; the state at step t has t points, from the fifth on.

  >>> from framework import rollout
  >>> x = jnp.arange(1.0, 21.0)
  >>> curve = lambda key, hp: Curve(x, hp['c'] - 2 / x)
  >>> fits = growing(Structure(curve, dtype=x.dtype))
  >>> hp, times = {'c': jnp.asarray(9.0, x.dtype)}, jnp.array([20])
  >>> seen = rollout(fits, jax.random.key(0), hp, times)[1]
  >>> print(f'{seen["asymptote"][0]:.2f}')
  9.00
  """
  dtype = jnp.dtype(structure.dtype)

  def search(curve: Curve, theta: Array, points: Array) -> Array:
    weights = (jnp.arange(curve.y.size) < points).astype(dtype)
    residual = residuals(RISING, (curve.x,), curve.y, difference, weights)

    def go(start):
      return jax.lax.fori_loop(
        0,
        structure.searches,
        lambda i, s: lm.step(residual, s),
        lm.begin(residual, start),
      )

    starts = jnp.stack([theta, _start(curve, points)])
    ends = jax.vmap(go)(starts)
    return ends.theta[jnp.argmin(ends.sse)]

  def init(key, curve, hp):
    del key, hp
    first = jnp.asarray(_FIRST, jnp.int32)
    return State(_start(curve, first), jnp.zeros((), jnp.int32))

  def step(key, state, curve, hp):
    del key, hp
    points = state.points + 1
    used = jnp.clip(points, _FIRST, curve.y.size)
    return State(search(curve, state.theta, used), points)

  def observe(state, curve, hp):
    del hp
    at = jnp.clip(state.points, _FIRST, curve.y.size) - 1
    p = RISING.natural(state.theta)
    return {
      'asymptote': p['c'],
      'fitted': RISING.model(p, curve.x[at]),
      'score': curve.y[at],
    }

  return System(structure.curve, init, step, observe)


def _start(curve: Curve, points: Array) -> Array:
  """Through the first and the last point, with b = 1/2."""
  x, y, last = curve.x, curve.y, points - 1
  half = x[0] ** -0.5 - x[last] ** -0.5
  rise = jnp.maximum(y[last] - y[0], 1e-3 * (1 + jnp.abs(y[last])))
  a = rise / half
  return RISING.fitted(
    {'a': a, 'b': jnp.full_like(a, 0.5), 'c': y[0] + a * x[0] ** -0.5}
  )
