r"""Ways to infinite width: a network, how it is trained, and what it tends to.

    linear          one linear layer under any loss, exact: width d + k
    quadrature      one hidden layer, any φ, exact up to nodes: `mean_field`
    deep_linear     deep, φ = id, exact: `deep_linear`
    particles       deep, any φ, known up to a standard error: `deep_particles`

Each is a `Way`: the same training written for networks of some width and for
the limit. A limit of one's own is another function that returns a `Way`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from framework.checks import check_sizes
from framework.systems.infinite_width.limits import (
  deep_linear as deep_linear_limit,
)
from framework.systems.infinite_width.limits import (
  deep_particles,
  finite,
  mean_field,
)
from framework.systems.infinite_width.limits import linear as linear_limit

__all__ = [
  'Way',
  'cross_entropy',
  'deep_linear',
  'linear',
  'particles',
  'quadrature',
]

_Phi = Callable[[Array], Array]


class Way(NamedTuple):
  """How a network is drawn and trained at a width, and in the limit.

  `y` are numbers (m, k), or classes (m,) where `classes` says so.
  """

  d: int  # inputs
  k: int  # outputs
  m: int  # points trained on
  classes: bool
  init: Callable[..., PyTree]  # (key, width, hp, dtype) -> params
  step: Callable[..., PyTree]  # (params, x, y, hp) -> params
  apply: Callable[..., Array]  # (params, x) -> (e, k)
  # (steps, x, y, probe, hp, dtype) -> predictions before each step and after
  # the last (T+1, e, k), and their standard error (T+1,)
  limit: Callable[..., tuple[Array, Array]]


def cross_entropy(
  params: linear_limit.Params, x: Array, y: Array, hp: Any
) -> Float[Array, '']:
  """Mean cross entropy of a linear network."""
  del hp
  logits = linear_limit.apply(params, x)
  losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
  return jnp.mean(losses)


def linear(loss: Callable[..., Array] = cross_entropy) -> Way:
  """One linear layer under gradient descent on a loss.

  Args:
    loss: (params, x, y, hp) -> scalar; that of MAML, say.

  Returns:
    A `Way`.
  """
  d, k, m = 6, 3, 8

  def init(key, width, hp, dtype):
    return linear_limit.finite(key, d, k, width, hp.sigma1, hp.sigma_v, dtype)

  def step(params, x, y, hp):
    grads = jax.grad(loss)(params, x, y, hp)
    return jax.tree.map(lambda p, g: p - hp.lr * g, params, grads)

  def limit(steps, x, y, probe, hp, dtype):
    start = linear_limit.init(d, k, hp.sigma1, hp.sigma_v, dtype)
    return _exact(
      steps,
      start,
      lambda net, t: step(net, x, y, hp),
      lambda net, t: linear_limit.apply(net, probe),
    )

  return Way(d, k, m, True, init, step, linear_limit.apply, limit)


def quadrature(phi: _Phi, nodes: int = 120) -> Way:
  """One hidden layer, one input and one output, by a grid of neurons.

  Args:
    phi: φ.
    nodes: Nodes an axis.

  Returns:
    A `Way`.

  Raises:
    ValueError: If there are no nodes.
  """
  check_sizes(nodes=nodes)
  d, k, m = 1, 1, 4

  def limit(steps, x, y, probe, hp, dtype):
    sigmas = hp.sigma1, hp.sigma_v
    start = mean_field.quadrature(d, k, nodes, *sigmas, dtype)
    return _exact(
      steps,
      start,
      lambda state, t: mean_field.step(state, x, y, hp.lr, phi),
      lambda state, t: mean_field.apply(state, probe, phi),
    )

  return Way(d, k, m, False, *_finite(d, k, 1, phi), limit)


def deep_linear(depth: int) -> Way:
  """A deep linear network by its exact recursion.

  Args:
    depth: L, hidden layers.

  Returns:
    A `Way`.

  Raises:
    ValueError: If there is no layer.
  """
  check_sizes(depth=depth)
  d, k, m = 3, 2, 4

  def limit(steps, x, y, probe, hp, dtype):
    sigmas = hp.sigma1, hp.sigma_w, hp.sigma_v
    start = deep_linear_limit.init(depth, steps * m, d, k, *sigmas, dtype)
    return _exact(
      steps,
      start,
      lambda state, t: deep_linear_limit.step(state, x, y, hp.lr),
      lambda state, t: deep_linear_limit.apply(state, probe),
    )

  return Way(d, k, m, False, *_finite(d, k, depth, _identity), limit)


def particles(
  phi: _Phi, depth: int = 2, count: int = 20_000, batches: int = 10
) -> Way:
  """A deep network by particles, whose limit has a standard error.

  Args:
    phi: φ.
    depth: L, hidden layers.
    count: Particles of a batch.
    batches: Batches, from whose scatter the standard error is.

  Returns:
    A `Way`.

  Raises:
    ValueError: If a size is below 1, or there is one batch.
  """
  check_sizes(depth=depth, particles=count)
  if batches < 2:
    raise ValueError(f'batches is {batches}, expected an integer >= 2')
  d, k, m = 3, 2, 4

  def limit(steps, x, y, probe, hp, dtype):
    sigmas = hp.sigma1, hp.sigma_w, hp.sigma_v

    def batch(key):
      at = [jax.random.fold_in(key, i) for i in range(3)]
      start = deep_particles.init(
        at[0], count, depth, steps * m, d, k, *sigmas, dtype
      )

      def step(state, t):
        key = jax.random.fold_in(at[1], t)
        return deep_particles.step(key, state, x, y, hp.lr, phi)

      def apply(state, t):
        key = jax.random.fold_in(at[2], t)
        return deep_particles.apply(key, state, probe, phi)

      return _trajectory(steps, start, step, apply)

    # One batch at a time: together they need `batches` times the memory.
    keys = jax.random.split(jax.random.key(1), batches)
    found = deep_particles.estimate(jax.lax.map(batch, keys))
    return found.mean, jnp.sqrt(jnp.mean(found.stderr**2, (1, 2)))

  return Way(d, k, m, False, *_finite(d, k, depth, phi), limit)


def _identity(u: Array) -> Array:
  return u


def _finite(d: int, k: int, depth: int, phi: _Phi):
  """`init`, `step` and `apply` of a network under squared loss."""

  def init(key, width, hp, dtype):
    sigmas = hp.sigma1, hp.sigma_w, hp.sigma_v
    return finite.init(key, width, d, k, depth, *sigmas, dtype)

  def step(params, x, y, hp):
    return finite.step(params, x, y, hp.lr, phi)

  return init, step, lambda params, x: finite.apply(params, x, phi)


def _trajectory(steps: int, start: PyTree, step: Callable, apply: Callable):
  """Predictions before each step and after the last."""

  def one(state, t):
    return step(state, t), apply(state, t)

  state, f = jax.lax.scan(one, start, jnp.arange(steps))
  return jnp.concatenate([f, apply(state, jnp.int32(steps))[None]])


def _exact(steps: int, *how: Any) -> tuple[Array, Array]:
  f = _trajectory(steps, *how)
  return f, jnp.zeros(steps + 1, f.dtype)
