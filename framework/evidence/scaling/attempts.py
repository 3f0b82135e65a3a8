"""Repeated sampling: problems are tried again and again, votes are counted.

Problem i has a chance p_i ~ Beta(a, b) of a right answer; its wrong answers
are drawn from a distribution of its own. A step is one more try at every
problem. What is recorded is what a benchmark could know, the two estimates of
coverage, beside the truth, which it could not.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from framework.checks import check_sizes
from framework.evidence.scaling.coverage import (
  majority_limit,
  pass_at_k,
  plug_in,
)
from framework.maths import draws
from framework.system import System

__all__ = ['ATTRIBUTES', 'Hp', 'State', 'Structure', 'attempts']

ATTRIBUTES = {
  'solved': {'long_name': 'problems with a right try so far', 'units': '1'},
  'solved_truth': {'long_name': 'its expectation', 'units': '1'},
  'unbiased': {'long_name': 'pass@k, unbiased', 'units': '1'},
  'plug_in': {'long_name': 'pass@k, plugged in', 'units': '1'},
  'truth': {'long_name': 'pass@k, true', 'units': '1'},
  'majority': {'long_name': 'accuracy of a majority vote', 'units': '1'},
  'limit': {'long_name': 'its limit of infinitely many votes', 'units': '1'},
}


class Hp(NamedTuple):
  """Hyperparameters: traced, every one can be a lane."""

  a: Float[ArrayLike, ''] = 0.4  # of the chances p ~ Beta(a, b)
  b: Float[ArrayLike, ''] = 1.2
  spread: Float[ArrayLike, ''] = 1.0  # of wrong answers: large is even
  k: Int[ArrayLike, ''] = 100  # pass@k is estimated from the tries so far


@dataclasses.dataclass(frozen=True)
class Structure:
  """The static part: how many problems, and answers to each.

  Raises:
    ValueError: If there are fewer than two answers, or a size is no positive
      integer.
  """

  problems: int = 1000
  answers: int = 5
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    check_sizes(problems=self.problems, answers=self.answers)
    if self.answers < 2:
      raise ValueError(f'answers is {self.answers}, expected an integer >= 2')


class State(NamedTuple):
  """Votes for each answer, the first of which is right."""

  votes: Int[Array, 'problems answers']
  tries: Int[Array, '']


def attempts(structure: Structure) -> System:
  """Repeated sampling as a `System` over `Hp`.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    The System.

  >>> from framework import rollout
  >>> tries = attempts(Structure(problems=200, dtype=jnp.float32))
  >>> hp = jax.tree.map(jnp.float32, Hp())._replace(k=jnp.int32(10))
  >>> seen = rollout(tries, jax.random.key(0), hp, jnp.array([1, 50]))[1]
  >>> bool(seen['solved'][0] < seen['solved'][1])
  True
  """
  dtype = jnp.dtype(structure.dtype)
  shape = structure.problems, structure.answers

  def sample(key, hp):
    right, wrong = jax.random.split(key)
    a, b = (jnp.asarray(x, dtype) for x in (hp.a, hp.b))
    p = jax.random.beta(right, a, b, (shape[0],), dtype)
    # Even wrong answers, tilted by a Gaussian of deviation 1/spread.
    tilt = draws.normal(wrong, (shape[0], shape[1] - 1), dtype)
    other = jax.nn.softmax(tilt / jnp.asarray(hp.spread, dtype), axis=1)
    return jnp.concatenate([p[:, None], (1 - p)[:, None] * other], axis=1)

  def init(key, problem, hp):
    del key, problem, hp
    return State(jnp.zeros(shape, jnp.int32), jnp.zeros((), jnp.int32))

  def step(key, state, problem, hp):
    del hp
    u = draws.uniform(key, (shape[0], 1), dtype)
    at = jnp.sum(u >= jnp.cumsum(problem, axis=1), axis=1)
    at = jnp.minimum(at, shape[1] - 1)
    one = at[:, None] == jnp.arange(shape[1])[None, :]
    return State(state.votes + one.astype(jnp.int32), state.tries + 1)

  def observe(state, problem, hp):
    p, right = problem[:, 0], state.votes[:, 0]
    n = state.tries
    k = jnp.clip(jnp.asarray(hp.k, jnp.int32), 1, jnp.maximum(n, 1))
    most = jnp.max(state.votes, axis=1, keepdims=True)
    tied = jnp.sum(state.votes == most, axis=1).astype(dtype)
    won = jnp.where(right == most[:, 0], 1 / tied, 0)
    tries = jnp.maximum(n, 1)
    return {
      'solved': jnp.mean((right > 0).astype(dtype)),
      'solved_truth': jnp.mean(_ever(p, n.astype(dtype))),
      'unbiased': jnp.mean(
        jax.vmap(pass_at_k, (None, 0, None))(tries, right, k)
      ).astype(dtype),
      'plug_in': jnp.mean(
        jax.vmap(plug_in, (None, 0, None))(tries, right, k)
      ).astype(dtype),
      'truth': jnp.mean(_ever(p, k.astype(dtype))),
      'majority': jnp.mean(won),
      'limit': majority_limit(problem).astype(dtype),
    }

  return System(sample, init, step, observe)


def _ever(p: Array, k: Array) -> Array:
  """1 − (1−p)^k."""
  few = jnp.minimum(p, 1 - jnp.finfo(p.dtype).eps)
  return -jnp.expm1(k * jnp.log1p(-few))
