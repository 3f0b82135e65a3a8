"""Small Systems that the tests share, each with one thing to look at."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from framework.supervised import supervised
from framework.system import System


class LinearHp(NamedTuple):
  eta: Any = 0.1  # learning rate
  scale: Any = 1.0  # of the target
  noise: Any = 0.01  # a step


class LinearProblem(NamedTuple):
  operator: Any  # (rows, dim), depends on the seed alone
  target: Any  # (rows,), depends on `scale` alone
  weight: Any  # (dim,), a constant
  both: Any  # (), depends on both


def typed(hp, dtype):
  """The hyperparameters as numpy scalars of one dtype."""
  return jax.tree.map(jnp.dtype(dtype).type, hp)


def draw(key, shape, dtype):
  """Uniform on [-1, 1): compiled three times as fast as a normal."""
  return jax.random.uniform(key, shape, dtype, -1)


def linear(dim: int, rows: int = 4, dtype=jnp.float64) -> System:
  """Noisy gradient descent on |A x - y|²/2: every kind of problem leaf."""

  def sample(key, hp):
    operator = draw(key, (rows, dim), dtype)
    return LinearProblem(
      operator=operator,
      target=hp.scale * jnp.linspace(0, 1, rows, dtype=dtype),
      weight=jnp.full(dim, 0.5, dtype),
      both=hp.scale * operator[0, 0],
    )

  def init(key, problem, hp):
    return problem.both + draw(key, (dim,), dtype)

  def step(key, x, problem, hp):
    residual = problem.operator @ x - problem.target
    gradient = problem.operator.T @ residual + problem.weight * x
    kick = hp.noise * draw(key, x.shape, dtype)
    return x - hp.eta * gradient + kick

  def observe(x, problem, hp):
    residual = problem.operator @ x - problem.target
    return {
      'loss': 0.5 * jnp.sum(residual**2),
      'x': x,
      'positive': jnp.sum(x > 0),
    }

  return System(sample, init, step, observe)


def shared(dim: int = 3, dtype=jnp.float64) -> System:
  """Gradient descent whose operator is `data`: shared by all lanes."""

  def sample(key, hp, data):
    operator = jnp.asarray(data, dtype)
    return {'operator': operator, 'target': jnp.ones(len(data), dtype)}

  def init(key, problem, hp):
    return hp.scale * draw(key, (dim,), dtype)

  def step(key, x, problem, hp):
    residual = problem['operator'] @ x - problem['target']
    return x - hp.eta * (problem['operator'].T @ residual)

  def observe(x, problem, hp):
    return {'x': x}

  return System(sample, init, step, observe)


class Walk(NamedTuple):
  key: Any  # a typed key, split at every step
  position: Any
  steps: Any


class WalkHp(NamedTuple):
  drift: Any = 0.1


def walk(dtype=jnp.float64, impl: str = 'threefry2x32') -> System:
  """A random walk that carries its own typed key and an integer."""

  def init(key, problem, hp):
    words = jax.random.bits(key, (), 'uint32')
    own = jax.random.key(words, impl=impl)
    return Walk(own, jnp.zeros(2, dtype), jnp.int32(0))

  def step(key, state, problem, hp):
    own, use = jax.random.split(state.key)
    kick = draw(use, (2,), dtype)
    return Walk(own, state.position + hp.drift + kick, state.steps + 1)

  def observe(state, problem, hp):
    return {'position': state.position, 'steps': state.steps}

  return System(lambda key, hp: (), init, step, observe)


class CubicHp(NamedTuple):
  eta: Any = 0.1
  noise: Any = 0.01


def cubic(dtype=jnp.float64) -> System:
  """x <- x - η x³ + noise from x = 2: blows up for η >= 1/2, in few steps."""

  def init(key, problem, hp):
    return jnp.asarray(2, dtype)

  def step(key, x, problem, hp):
    return x - hp.eta * x**3 + hp.noise * draw(key, (), dtype)

  def observe(x, problem, hp):
    return {'x': x, 'big': x > 1}

  return System(lambda key, hp: (), init, step, observe)


class NetHp(NamedTuple):
  lr: Any = 0.05


class Net(nn.Module):
  """One hidden layer of tanh units."""

  width: int
  dtype: Any

  @nn.compact
  def __call__(self, x):
    kind = {'dtype': self.dtype, 'param_dtype': self.dtype}
    x = jnp.tanh(nn.Dense(self.width, **kind)(x))
    return nn.Dense(1, **kind)(x)[:, 0]


def net(batch: int | None = None, width: int = 4, dtype=jnp.float64) -> System:
  """A flax network on eight points with Adam; minibatches if asked for."""

  def sample(key, hp):
    x = draw(key, (8, 2), dtype)
    return {'x': x, 'y': jnp.sin(x[:, 0])}

  return supervised(
    sample,
    Net(width, dtype),
    optax.losses.squared_error,
    lambda hp: optax.adam(hp.lr),
    batch=batch,
  )
