"""The same with a mixture: EM on unlabelled data, then one bit of labels.

    x = c μ + e,  c = ±1 with equal chances,  e ~ N(0, I_d),  y = c.

Unlabelled inputs give ±μ by expectation maximisation,

    μ⁺ = (1/m) Σ x tanh(μ·x),

and the labels only its sign: n of them err with probability e^−Θ(n), whatever d
is, where fitting μ from labels alone errs by d/n.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Key

from framework.checks import check_sizes
from framework.maths import draws
from framework.system import System

__all__ = ['MIXTURE_ATTRIBUTES', 'MixtureHp', 'MixtureStructure', 'em_step',
           'mixture', 'mixture_data', 'signed_error']  # fmt: skip

MIXTURE_ATTRIBUTES = {
  'pretrained': {'long_name': 'error rate of EM and a sign', 'units': '1'},
  'supervised': {'long_name': 'error rate of the mean of labels', 'units': '1'},
  'bayes': {'long_name': 'error rate of the true mean', 'units': '1'},
}


class MixtureHp(NamedTuple):
  """Hyperparameters: traced, every one can be a lane."""

  separation: Float[ArrayLike, ''] = 1.5  # |μ|


@dataclasses.dataclass(frozen=True)
class MixtureStructure:
  """The static part: sizes.

  Raises:
    ValueError: If a size is no positive integer.
  """

  d: int = 50
  m: int = 2000  # unlabelled
  n: int = 10  # labelled
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    check_sizes(d=self.d, m=self.m, n=self.n)


def mixture_data(
  key: Key[Array, ''], mu: Float[Array, ' d'], count: int
) -> tuple[Float[Array, 'n d'], Float[Array, ' n']]:
  """Inputs of the mixture and their components c = ±1."""
  signs, noise = jax.random.split(key)
  c = jax.random.rademacher(signs, (count,), mu.dtype)
  x = draws.normal(noise, (count, mu.size), mu.dtype)
  return c[:, None] * mu[None] + x, c


def em_step(
  mu: Float[Array, ' d'], x: Float[Array, 'm d']
) -> Float[Array, ' d']:
  """One step of expectation maximisation, (1/m) Σ x tanh(μ·x).

  >>> print(em_step(jnp.array([100.0]), jnp.array([[2.0], [-4.0]])))
  [3.]
  """
  return x.T @ jnp.tanh(x @ mu) / len(x)


def signed_error(
  direction: Float[Array, ' d'], mu: Float[Array, ' d']
) -> Float[Array, '']:
  """The error rate of sign(direction·x), Φ(−direction·μ/|direction|)."""
  size = jnp.linalg.norm(direction)
  cosine = direction @ mu / jnp.where(size > 0, size, 1)
  return jax.scipy.stats.norm.cdf(-cosine)


class _Problem(NamedTuple):
  mu: Array
  x: Array
  labelled: Array
  y: Array


def mixture(structure: MixtureStructure) -> System:
  """EM on unlabelled data, a step of it at a time; labels give the sign.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `MixtureHp`.

  >>> from framework import rollout
  >>> em = mixture(MixtureStructure(d=5, m=400, dtype=jnp.float32))
  >>> hp = MixtureHp(jnp.float32(2.0))
  >>> run = jax.jit(rollout, static_argnums=0)
  >>> seen = run(em, jax.random.key(0), hp, jnp.array([0, 30]))[1]
  >>> bool(seen['pretrained'][1] < 0.05)
  True
  """
  s, dtype = structure, jnp.dtype(structure.dtype)

  def sample(key, hp):
    mean, unlabelled, labelled = jax.random.split(key, 3)
    raw = draws.normal(mean, (s.d,), dtype)
    mu = jnp.asarray(hp.separation, dtype) * raw / jnp.linalg.norm(raw)
    x, _ = mixture_data(unlabelled, mu, s.m)
    few, y = mixture_data(labelled, mu, s.n)
    return _Problem(mu, x, few, y)

  def init(key, problem, hp):
    del problem, hp
    return draws.normal(key, (s.d,), dtype) / s.d**0.5

  def step(key, state, problem, hp):
    del key, hp
    return em_step(state, problem.x)

  def observe(state, problem, hp):
    del hp
    agree = jnp.sum(problem.y * jnp.sign(problem.labelled @ state))
    sign = jnp.where(agree >= 0, 1, -1).astype(dtype)
    return {
      'pretrained': signed_error(sign * state, problem.mu),
      'supervised': signed_error(problem.y @ problem.labelled, problem.mu),
      'bayes': signed_error(problem.mu, problem.mu),
    }

  return System(sample, init, step, observe)
