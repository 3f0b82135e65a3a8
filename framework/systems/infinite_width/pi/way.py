"""The π-limit as a `Way`: finite π-nets on their way to it."""

import jax
import jax.numpy as jnp
import optax

from framework.maths.gaussian import Transform, transform
from framework.systems.infinite_width.limits.finite import squared_loss
from framework.systems.infinite_width.limits.ways import Way
from framework.systems.infinite_width.pi import finite, sgd
from framework.systems.infinite_width.pi import net as nets

__all__ = ['way']


def way(
  phi: Transform = transform('relu'),  # noqa: B008
  depth: int = 2,
  rank: int = 4,
  *,
  d: int = 6,
  k: int = 2,
  m: int = 8,
) -> Way:
  """Finite π-nets under full-batch gradient descent, and their limit.

  Every network is drawn from one limit, of a fixed key: what differs between
  seeds is Ω alone.

  Args:
    phi: The activation.
    depth: L, hidden layers.
    rank: r.
    d: Inputs.
    k: Outputs.
    m: Points.

  Returns:
    A `Way` for `limits.Structure`.

  Raises:
    ValueError: If a size is below 1.
  """

  def start(dtype):
    return nets.gaussian()(jax.random.key(2), d, k, rank, depth, dtype)

  def init(key, width, hp, dtype):
    del hp
    return finite.sample(key, phi, start(dtype), width)

  def apply(state, x):
    return finite.apply(phi, state[0], x)

  def step(state, x, y, hp):
    params, bases = state
    grads = jax.grad(lambda p: squared_loss(finite.apply(phi, p, x), y))(params)
    rule = optax.chain(finite.project(bases), optax.sgd(hp.lr))
    updates, _ = rule.update(grads, rule.init(params), params)
    return optax.apply_updates(params, updates), bases

  def limit(steps, x, y, probe, hp, dtype):
    state = sgd.begin(start(dtype), steps * m, m)
    rates = sgd.Rates(lr=hp.lr)
    found = []
    for _ in range(steps):
      found.append(nets.apply(phi, state.net, probe))
      state = sgd.step(phi, state, x, lambda f: squared_loss(f, y), rates)
    found.append(nets.apply(phi, state.net, probe))
    return jnp.stack(found), jnp.zeros(steps + 1, dtype)

  return Way(d, k, m, False, init, step, apply, limit)
