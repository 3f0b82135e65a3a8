"""Training examples arrive one by one: how the inductive bias falls.

Inputs are uniform on [−1, 1]^d, the target is y = sin(2 Σ_j x_j/√d). At time t
the hypotheses, draws of a Gaussian process with the kernel exp(−‖x−x'‖²/2l²),
have to fit the first t examples.
"""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from framework.checks import check_sizes
from framework.maths import draws
from framework.system import System
from framework.systems.spectrum.inductive_bias import hypotheses

__all__ = ['ATTRIBUTES', 'Hp', 'Structure', 'system']

ATTRIBUTES = {
  'bias': {'long_name': 'inductive bias', 'units': 'nat'},
  'expected_loss': {'long_name': 'mean test loss of what fits', 'units': '1'},
}


class Hp(NamedTuple):
  """Hyperparameters: traced, every one can be a lane."""

  d: Int[ArrayLike, ''] = 3  # dimension of the inputs, up to `d_max`
  eps: Float[ArrayLike, ''] = 0.01  # test loss ε that is asked for
  length: Float[ArrayLike, ''] = 1.0  # of the kernel
  jitter: Float[ArrayLike, ''] = 1e-6  # on the diagonal of the training set


@dataclasses.dataclass(frozen=True)
class Structure:
  """The static part: sizes.

  Raises:
    ValueError: If a size is no positive integer.
  """

  n_max: int = 40  # training examples
  tests: int = 60
  d_max: int = 8
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    check_sizes(n_max=self.n_max, tests=self.tests, d_max=self.d_max)


class _Problem(NamedTuple):
  train: Array
  cross: Array
  test: Array
  y: Array
  y_test: Array


def system(structure: Structure) -> System:
  """The inductive bias over the number of examples, as a `System` over `Hp`.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    The System; time t is the number of training examples.

  >>> import jax
  >>> from framework import rollout
  >>> bias = system(Structure(n_max=8, tests=6, d_max=2, dtype=jnp.float32))
  >>> hp = Hp(d=jnp.int32(2), eps=jnp.float32(0.1), jitter=jnp.float32(1e-3))
  >>> seen = rollout(bias, jax.random.key(0), hp, jnp.array([1, 8]))[1]
  >>> bool(seen['bias'][1] < seen['bias'][0])
  True
  """
  s, dtype = structure, jnp.dtype(structure.dtype)

  def sample(key, hp):
    count = s.n_max + s.tests
    x = draws.uniform(key, (count, s.d_max), dtype, -1.0, 1.0)
    own = (jnp.arange(s.d_max) < hp.d).astype(dtype)
    x = x * own[None]
    y = jnp.sin(2 * jnp.sum(x, 1) / jnp.sqrt(jnp.sum(own)))
    K = hypotheses.rbf(x, x, jnp.asarray(hp.length, dtype))
    n = s.n_max
    return _Problem(K[:n, :n], K[n:, :n], K[n:, n:], y[:n], y[n:])

  def init(key, problem, hp):
    del key, problem, hp
    return jnp.zeros((), jnp.int32)

  def step(key, state, problem, hp):
    del key, problem, hp
    return state + 1

  def observe(state, problem, hp):
    p = problem
    used = jnp.arange(s.n_max) < state
    mean, covariance = hypotheses.posterior(
      p.train, p.cross, p.test, p.y, hp.jitter, used
    )
    losses = hypotheses.loss_distribution(mean, covariance, p.y_test)
    large = jnp.asarray(jnp.finfo(dtype).max ** 0.5, dtype)
    return {
      'bias': jnp.minimum(hypotheses.bias(losses, hp.eps), large),
      'expected_loss': jnp.sum(losses.w + losses.m) + losses.shift,
    }

  return System(sample, init, step, observe)
