"""Trained networks as hypotheses: examples are given, many starts fit them.

Networks of one architecture are trained from random starts on the same
examples. Those that fit are hypotheses; to their test losses a tail is fitted
by two moments, and I(ε) is read off it: an extrapolation wherever no network
was as good as ε.

Inputs and target are those of `system`: uniform on [−1, 1]^d, and
y = sin(2 Σ_j x_j/√d).
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Int

from framework.checks import check_sizes
from framework.descent import descent
from framework.maths import draws
from framework.system import System
from framework.systems.spectrum.inductive_bias.hypotheses import bias_of_moments

__all__ = [
  'NETWORK_ATTRIBUTES',
  'NetworkHp',
  'NetworkStructure',
  'Perceptron',
  'networks',
]

NETWORK_ATTRIBUTES = {
  'bias': {'long_name': 'inductive bias, extrapolated', 'units': 'nat'},
  'fitted': {'long_name': 'share of networks that fit', 'units': '1'},
  'expected_loss': {'long_name': 'mean test loss of what fits', 'units': '1'},
  'least_loss': {'long_name': 'least test loss of what fits', 'units': '1'},
}


class NetworkHp(NamedTuple):
  """Hyperparameters: traced, every one can be a lane."""

  d: Int[ArrayLike, ''] = 3  # dimension of the inputs, up to `d_max`
  n: Int[ArrayLike, ''] = 40  # training examples, up to `n_max`
  eps: Float[ArrayLike, ''] = 0.01  # test loss ε that is asked for
  fit: Float[ArrayLike, ''] = 1e-3  # training loss of what fits
  lr: Float[ArrayLike, ''] = 0.01  # learning rate of the rule


class Perceptron(nn.Module):
  """One hidden layer on inputs in [−1, 1]^d."""

  width: int = 64
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """(points, d) -> (points,)."""
    dense = {'dtype': self.dtype, 'param_dtype': self.dtype}
    hidden = nn.tanh(nn.Dense(self.width, **dense)(x))
    return nn.Dense(1, **dense)(hidden)[..., 0]


@dataclasses.dataclass(frozen=True)
class NetworkStructure:
  """The static part: sizes, the network and the rule, as functions.

  Raises:
    ValueError: If a size is no positive integer, or there are fewer than three
      networks to take two moments of.
  """

  n_max: int = 40  # training examples
  tests: int = 60
  d_max: int = 8
  hypotheses: int = 24  # networks
  network: Callable[..., nn.Module] = Perceptron  # (dtype=) -> module
  rule: Callable[..., optax.GradientTransformation] = optax.adam  # lr -> rule
  dtype: Any = jnp.float32

  def __post_init__(self):
    """Refuses what cannot be built."""
    check_sizes(n_max=self.n_max, tests=self.tests, d_max=self.d_max)
    if self.hypotheses < 3:
      raise ValueError(f'hypotheses is {self.hypotheses}, expected at least 3')


class _Problem(NamedTuple):
  x: Array
  y: Array
  used: Array  # which examples there are
  x_test: Array
  y_test: Array


def networks(structure: NetworkStructure) -> System:
  """The inductive bias of networks as they are trained, as a `System`.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `NetworkHp`; its parameters are those of all networks. Where
    fewer than two fit, the bias is a large number.

  >>> from framework import rollout
  >>> nets = networks(NetworkStructure(n_max=4, tests=9, d_max=1, hypotheses=8))
  >>> hp = jax.tree.map(jnp.float32, NetworkHp(eps=0.1, fit=0.01))
  >>> hp = hp._replace(d=jnp.int32(1), n=jnp.int32(4))
  >>> seen = rollout(nets, jax.random.key(0), hp, jnp.array([0, 300]))[1]
  >>> float(seen['fitted'][1]), bool(seen['bias'][1] < seen['bias'][0])
  (1.0, True)
  """
  s, dtype = structure, jnp.dtype(structure.dtype)
  net = s.network(dtype=dtype)

  def sample(key, hp):
    count = s.n_max + s.tests
    x = draws.uniform(key, (count, s.d_max), dtype, -1.0, 1.0)
    own = (jnp.arange(s.d_max) < hp.d).astype(dtype)
    x = x * own[None]
    y = jnp.sin(2 * jnp.sum(x, 1) / jnp.sqrt(jnp.sum(own)))
    n = s.n_max
    used = (jnp.arange(n) < hp.n).astype(dtype)
    return _Problem(x[:n], y[:n], used, x[n:], y[n:])

  def init_params(key, problem, hp):
    del hp
    keys = jax.random.split(key, s.hypotheses)
    return jax.vmap(lambda k: net.init(k, problem.x))(keys)

  def outputs(params, x) -> Float[Array, 'hypotheses points']:
    return jax.vmap(lambda p: jnp.asarray(net.apply(p, x)))(params)

  def train_losses(params, problem) -> Float[Array, ' hypotheses']:
    squares = (outputs(params, problem.x) - problem.y[None]) ** 2
    return squares @ problem.used / jnp.sum(problem.used)

  def loss(params, problem, hp):
    del hp
    # A sum: the gradient of each network is its own.
    return jnp.sum(train_losses(params, problem))

  train = descent(init_params, loss, lambda hp: s.rule(hp.lr))

  def observe(state, problem, hp):
    fits = train_losses(state.params, problem) <= hp.fit
    off = outputs(state.params, problem.x_test) - problem.y_test[None]
    test = jnp.mean(off**2, axis=1)
    count = jnp.sum(fits.astype(dtype))
    some = jnp.maximum(count, 2)
    mean = jnp.sum(jnp.where(fits, test, 0)) / some
    scatter = jnp.sum(jnp.where(fits, (test - mean) ** 2, 0)) / (some - 1)
    large = jnp.asarray(jnp.finfo(dtype).max ** 0.5, dtype)
    enough = (count >= 2) & (scatter > 0)
    bias = bias_of_moments(
      jnp.where(enough, mean, 1), jnp.where(enough, scatter, 1), hp.eps
    )
    return {
      'bias': jnp.where(enough, jnp.minimum(bias, large), large),
      'fitted': count / s.hypotheses,
      'expected_loss': jnp.where(enough, mean, large),
      'least_loss': jnp.minimum(jnp.min(jnp.where(fits, test, large)), large),
    }

  return System(sample, train.init, train.step, observe)
