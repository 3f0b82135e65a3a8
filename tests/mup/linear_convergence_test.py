"""Finite linear networks tend to the limit as n^-1/2."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import fits
from framework.mup import linear_limit, maml

D, K, STEPS = 6, 3, 8
WIDTHS = (32, 128, 512, 2048)


def _sgd(params, x, y):
  def loss(p):
    return -jnp.mean(
      jnp.take_along_axis(
        jax.nn.log_softmax(linear_limit.apply(p, x)), y[:, None], 1
      )
    )

  return jax.grad(loss)(params)


def _maml(order):
  def grads(params, x, y):
    tasks = maml.Tasks(x[None, :4], y[None, :4], x[None, 4:], y[None, 4:])
    return jax.grad(maml.outer_loss)(params, tasks, 0.5, order=order)

  return grads


@pytest.mark.parametrize(
  'gradient', [_sgd, _maml(1), _maml(2)], ids=['sgd', 'fomaml', 'maml2']
)
def test_the_error_falls_as_the_root_of_the_width(gradient):
  x = jax.random.normal(jax.random.key(0), (8, D))
  y = jnp.arange(8) % K
  probe = jax.random.normal(jax.random.key(1), (5, D))

  def run(params):
    def one(params, _):
      g = gradient(params, x, y)
      params = jax.tree.map(lambda p, g: p - 0.3 * g, params, g)
      return params, linear_limit.apply(params, probe)

    return jax.lax.scan(one, params, None, STEPS)[1]

  limit = linear_limit.init(D, K)
  want = jax.jit(run)(limit)
  keys = jax.random.split(jax.random.key(2), 20)
  error = []
  for n in WIDTHS:
    nets = jax.vmap(lambda k, n=n: linear_limit.sample(k, limit, n))(keys)
    got = jax.jit(jax.vmap(run))(nets)
    error.append(np.sqrt(np.mean((got - want[None]) ** 2, (0, 2, 3))))
  error = np.array(error)
  for t in (0, STEPS - 1):
    slope = float(fits.power_law(np.array(WIDTHS, float), error[:, t]).slope)
    assert -0.56 <= slope <= -0.44, (t, slope)
