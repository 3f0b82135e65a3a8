"""Stochastic gradient descent on drawn samples: the twin of its expectation.

The runs whose mean `expected` computes, and with `rows_max` those which see the
same samples again and again, in the same order, epoch after epoch. The excess
risk of a run is exact, Σ λ_i (w_i − w*_i)², with w*_i >= 0.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from framework.maths import draws
from framework.system import System
from framework.systems.spectrum.sgd.expected import (
  Problem,
  Structure,
  problem_of,
)

__all__ = ['Samples', 'State', 'sampled']


class State(NamedTuple):
  """Weights, and how many steps they have made."""

  w: Float[Array, ' modes']
  t: Int[Array, '']


class Samples(NamedTuple):
  """Rows that are seen again and again."""

  x: Float[Array, 'rows modes']
  y: Float[Array, ' rows']


def _draw(key: Key[Array, ''], problem: Problem, rows: int) -> Samples:
  inputs, noise = jax.random.split(key)
  dtype = problem.lam.dtype
  x = draws.normal(inputs, (rows, problem.lam.size), dtype)
  # The square root of 0 has no derivative.
  there = problem.lam > 0
  root = jnp.where(there, jnp.sqrt(jnp.where(there, problem.lam, 1)), 0)
  x = x * root[None]
  xi = draws.normal(noise, (rows,), dtype)
  return Samples(x, x @ problem.target + jnp.sqrt(problem.noise) * xi)


def sampled(structure: Structure) -> System:
  """SGD on samples that are drawn: fresh ones, or hp.rows in epochs.

  Args:
    structure: What is fixed in the compiled program; with `rows_max` samples
      are repeated.

  Returns:
    A `System` over `expected.Hp`; it records `excess`.

  >>> from framework import rollout
  >>> from framework.systems.spectrum.sgd.expected import Hp
  >>> runs = sampled(Structure(modes=50, dtype=jnp.float32))
  >>> hp = jax.tree.map(jnp.float32, Hp(alpha=1.5, beta=1.5))
  >>> run = lambda key: rollout(runs, key, hp, jnp.array([10]))[1]['excess']
  >>> keys = jax.random.split(jax.random.key(0), 1000)
  >>> bool(abs(jax.jit(jax.vmap(run))(keys).mean() - 1.134) < 0.05)
  True
  """
  batch, most = structure.batch, structure.rows_max

  def sample(key, hp):
    problem = problem_of(structure.of(hp), hp)
    return problem, _draw(key, problem, most) if most else None

  def init(key, problem, hp):
    del key, hp
    return State(jnp.zeros_like(problem[0].target), jnp.zeros((), jnp.int32))

  def step(key, state, problem, hp):
    model, rows = problem
    if rows is None:
      seen = _draw(key, model, batch)
    else:
      count = jnp.clip(jnp.asarray(hp.rows, jnp.int32), 1, most)
      at = (state.t * batch + jnp.arange(batch)) % count
      seen = Samples(rows.x[at], rows.y[at])
    off = seen.x @ state.w - seen.y
    w = (1 - model.eta * model.decay) * state.w
    return State(w - model.eta / batch * (off @ seen.x), state.t + 1)

  def observe(state, problem, hp):
    del hp
    model = problem[0]
    off = state.w - model.target
    return {'excess': jnp.sum(model.lam * off**2) + model.missing}

  return System(sample, init, step, observe)
