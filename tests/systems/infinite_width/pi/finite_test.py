"""Finite π-nets: drawn at any time, projected, near their limit."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.maths.gaussian import transform
from framework.systems.infinite_width.few_shot.maml import Tasks
from framework.systems.infinite_width.pi import finite, maml, net, sgd

RELU = transform('relu')
ALPHAS = net.Multipliers(1.5, 0.7, 0.5, 0.5)


@pytest.fixture(scope='module')
def trained():
  """A limit after a step, and points."""
  x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)

  @jax.jit
  def after(key, x):
    start = net.gaussian()(key, 3, 2, 4, 2, jnp.float32)
    loss = lambda f: jnp.mean((f - 1) ** 2)  # noqa: E731
    state = sgd.begin(start, 8, 4)
    return sgd.step(RELU, state, x, loss, sgd.Rates(0.3), ALPHAS)

  return after(jax.random.key(1), x), x


def test_a_net_drawn_after_training_has_the_outputs_of_its_limit(trained):
  state, x = trained

  @jax.jit
  def error(key):
    params, _ = finite.sample(key, RELU, state.net, 1000)
    apart = finite.apply(RELU, params, x, ALPHAS)
    return apart - net.apply(RELU, state.net, x, ALPHAS)

  found = np.stack([error(jax.random.key(i)) for i in range(4)])
  scale = np.abs(net.apply(RELU, state.net, x, ALPHAS)).max()
  assert np.sqrt(np.mean(found**2)) < 4 / 1000**0.5 * max(scale, 0.3)


def test_projected_weights_stay_in_the_span(trained):
  state, x = trained

  @jax.jit
  def moved(net):
    params, bases = finite.sample(jax.random.key(0), RELU, net, 30)
    rule = optax.chain(finite.project(bases), optax.sgd(0.1))
    grads = jax.grad(lambda p: jnp.sum(finite.apply(RELU, p, x) ** 2))(params)
    return bases, grads, rule.update(grads, rule.init(params), params)[0]

  bases, grads, updates = jax.device_get(moved(state.net))
  for i, q in enumerate(bases):
    for g, u in ((grads.W[i], updates.W[i]), (grads.b[i], updates.b[i])):
      np.testing.assert_allclose(u, -0.1 * q @ (q.T @ g), rtol=0, atol=1e-6)
      np.testing.assert_allclose(q @ (q.T @ u), u, rtol=0, atol=1e-6)
  np.testing.assert_allclose(updates.W[-1], -0.1 * grads.W[-1], rtol=0, atol=0)


def test_inner_steps_are_rows_appended_to_the_readout():
  """An adapted limit, by literally appending the support's rows."""
  key = jax.random.key(3)
  gaussian = net.gaussian(readout=False)
  start = jax.jit(lambda key: gaussian(key, 3, 2, 4, 2, jnp.float64))(key)
  x, q = np.random.default_rng(3).standard_normal((2, 2, 3))
  y = np.array([0, 1])
  tasks = Tasks(x[None], y[None], q[None], y[None])
  alphas = net.Multipliers(1.0, 1.3, 0.5, 0.5)

  def literal(start):
    def loss(f):
      return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(f, y))

    g = net.features(RELU, start, jnp.concatenate([x, q]), alphas)
    chi = jax.grad(loss)(jnp.zeros((2, 2)))
    K = alphas.last**2 * (net.kernel(RELU, g, g) + alphas.last_bias**2)
    f = -0.4 * K[2:, :2] @ chi
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(f, y))

  def ours(start):
    return maml.outer_loss(RELU, start, tasks, 0.4, alphas)[0]

  @jax.jit
  def all_three(s):
    rows = maml.outer_gradient(RELU, s, tasks, 0.4, alphas)
    return jax.value_and_grad(literal)(s), jax.value_and_grad(ours)(s), rows

  (one, d_one), (two, d_two), found = all_three(start)
  np.testing.assert_allclose(one, two, rtol=0, atol=1e-14)
  np.testing.assert_allclose(d_one.first, d_two.first, rtol=0, atol=1e-13)
  np.testing.assert_allclose(found.first, d_two.first, rtol=0, atol=1e-13)
  np.testing.assert_allclose(
    found.biases[0], d_two.biases[0], rtol=0, atol=1e-13
  )
