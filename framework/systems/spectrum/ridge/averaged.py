"""Risks that are drawn anew at every step, and their running means."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from framework.system import System

__all__ = ['ATTRIBUTES', 'State', 'averaged']

ATTRIBUTES = {
  'test': {'long_name': 'test risk, mean over draws', 'units': '1'},
  'test_var': {'long_name': 'variance of that mean', 'units': '1'},
  'train': {'long_name': 'train risk, mean over draws', 'units': '1'},
  'train_var': {'long_name': 'variance of that mean', 'units': '1'},
}


class State(NamedTuple):
  """Running means and sums of squared deviations, of (test, train)."""

  draws: Int[Array, '']
  mean: Float[Array, '2']
  squares: Float[Array, '2']


def averaged(
  sample: Callable[..., Any],
  risks: Callable[[Key[Array, ''], Any, Any], Float[Array, '2']],
  dtype: Any,
) -> System:
  """A System of one draw a step: Welford's means of (test, train) risk.

  Args:
    sample: Of the System: what does not change over draws.
    risks: (key, problem, hp) -> (test, train) of one draw.
    dtype: Of the means.

  Returns:
    The System; it observes both means, and the variances of the means.

  >>> import jax
  >>> from framework import rollout
  >>> coin = lambda key, problem, hp: jax.random.bernoulli(key, hp, (2,)) * 1.0
  >>> system = averaged(lambda key, hp: (), coin, jnp.float32)
  >>> seen = rollout(system, jax.random.key(0), 0.25, jnp.array([400]))[1]
  >>> print(seen['test'].round(1), (400 * seen['test_var']).round(1))
  [0.3] [0.2]
  """
  dtype = jnp.dtype(dtype)

  def init(key, problem, hp):
    del key, problem, hp
    zeros = jnp.zeros(2, dtype)
    return State(jnp.zeros((), jnp.int32), zeros, zeros)

  def step(key, state, problem, hp):
    drawn = risks(key, problem, hp).astype(dtype)
    count = state.draws + 1
    off = drawn - state.mean
    mean = state.mean + off / count.astype(dtype)
    return State(count, mean, state.squares + off * (drawn - mean))

  def observe(state, problem, hp):
    del problem, hp
    count = jnp.maximum(state.draws, 2).astype(dtype)
    variance = state.squares / (count * (count - 1))
    return {
      'test': state.mean[0],
      'test_var': variance[0],
      'train': state.mean[1],
      'train_var': variance[1],
    }

  return System(sample, init, step, observe)
