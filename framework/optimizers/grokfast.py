"""Grokfast: amplifies the slow part of the gradient.

    EMA:  h_t = α h_t−1 + (1 − α) g_t,  h_−1 = g_0;     ĝ_t = g_t + λ h_t
    MA:   h_t = mean of the last w gradients;           ĝ_t = g_t + λ h_t

A constant gradient comes out (1 + λ) times as large: before plain descent that
is a larger learning rate, so compare at matched rates (`match_norm`).

References:
  Lee, Kang, Kim, Lee, "Grokfast: Accelerated Grokking by Amplifying Slow
  Gradients", 2024.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

__all__ = ['EmaState', 'MaState', 'grokfast_ema', 'grokfast_ma']


class EmaState(NamedTuple):
  """What the exponential average remembers."""

  count: Int[Array, '']
  average: PyTree  # h_t


class MaState(NamedTuple):
  """What the moving average remembers."""

  count: Int[Array, '']
  window: PyTree  # each leaf (window, ...): the last gradients


def grokfast_ema(
  alpha: float | Float[Array, ''] = 0.98, lamb: float | Float[Array, ''] = 2.0
) -> optax.GradientTransformation:
  """Adds λ times an exponential average of the gradient to it.

  Args:
    alpha: Decay α of the average, in [0, 1).
    lamb: Gain λ >= 0.

  Returns:
    A transformation, to be put before a rule.

  Raises:
    ValueError: If a number that is not traced is out of range.

  >>> rule = grokfast_ema(0.5, 2.0)
  >>> state = rule.init(jnp.zeros(1))
  >>> g, state = rule.update(jnp.ones(1), state)
  >>> print(g, rule.update(jnp.zeros(1), state)[0])
  [3.] [1.]
  """
  _check_range('alpha', alpha, 0, 1)
  _check_range('lamb', lamb, 0, None)

  def init(params: PyTree) -> EmaState:
    return EmaState(jnp.int32(0), jax.tree.map(jnp.zeros_like, params))

  def update(updates: PyTree, state: Any, params: PyTree = None):
    del params
    keep = jnp.where(state.count == 0, 0, alpha)

    def averaged(h: Array, g: Array) -> Array:
      a = jnp.asarray(keep, g.dtype)
      return a * h + (1 - a) * g

    average = jax.tree.map(averaged, state.average, updates)
    updates = jax.tree.map(
      lambda g, h: g + jnp.asarray(lamb, g.dtype) * h, updates, average
    )
    return updates, EmaState(state.count + 1, average)

  return optax.GradientTransformation(init, update)


def grokfast_ma(
  window: int = 100, lamb: float | Float[Array, ''] = 5.0, warmup: bool = True
) -> optax.GradientTransformation:
  """Adds λ times the mean of the last gradients, this one included.

  Args:
    window: How many gradients w >= 1 are remembered: as many copies of the
      parameters.
    lamb: Gain λ >= 0.
    warmup: Whether nothing is added until w gradients have been seen; else the
      mean is over those there are.

  Returns:
    A transformation, to be put before a rule.

  Raises:
    ValueError: If a number that is not traced is out of range.

  >>> rule = grokfast_ma(2, 1.0)
  >>> state = rule.init(jnp.zeros(1))
  >>> first, state = rule.update(jnp.ones(1), state)
  >>> print(first, rule.update(3 * jnp.ones(1), state)[0])
  [1.] [5.]
  """
  if window < 1:
    raise ValueError(f'window is {window}, expected an integer >= 1')
  _check_range('lamb', lamb, 0, None)

  def init(params: PyTree) -> MaState:
    def empty(x: Array) -> Array:
      return jnp.zeros((window, *x.shape), x.dtype)

    return MaState(jnp.int32(0), jax.tree.map(empty, params))

  def update(updates: PyTree, state: Any, params: PyTree = None):
    del params
    place = state.count % window
    kept = jax.tree.map(
      lambda old, g: old.at[place].set(g), state.window, updates
    )
    seen = jnp.minimum(state.count + 1, window)
    on = (seen == window) if warmup else True

    def filtered(g: Array, old: Array) -> Array:
      gain = jnp.where(on, jnp.asarray(lamb, g.dtype), 0)
      # Summed anew: a running sum would drift away by rounding.
      return g + gain * jnp.sum(old, 0) / seen.astype(g.dtype)

    updates = jax.tree.map(filtered, updates, kept)
    return updates, MaState(state.count + 1, kept)

  return optax.GradientTransformation(init, update)


def _check_range(name: str, value, low: float, high: float | None) -> None:
  """Refuses a number that is known while tracing and out of [low, high)."""
  if not isinstance(value, int | float):
    return
  if not value >= low or (high is not None and not value < high):
    end = f' and < {high}' if high is not None else ''
    raise ValueError(f'{name} is {value}, expected >= {low}{end}')
