"""Deep linear limits: exact recursions, a Tensor Program, finite networks."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.evidence import fits
from framework.systems.infinite_width.limits import deep_linear, finite
from framework.systems.infinite_width.limits import linear as linear_limit
from tests.systems.infinite_width.limits import tensor_program

T, M, D, K = 5, 4, 3, 2
SIGMAS = (0.7, 0.9, 1.2)
RATES = np.array([0.3, 0.1, 0.3, 0.4, 0.2])


def data(seed=0):
  """A batch for each step, and probes."""
  rng = np.random.default_rng(seed)
  x = rng.standard_normal((T, M, D)) / D**0.5
  return x, rng.standard_normal((T, M, K)), rng.standard_normal((5, D))


def trajectory(depth, capacity=T * M, dtype=jnp.float64, scale=1.0):
  x, y, probe = (jnp.asarray(a, dtype) for a in data())

  def one(state, batch):
    f = deep_linear.apply(state, probe)
    return deep_linear.step(state, *batch), f

  state = deep_linear.init(depth, capacity, D, K, *SIGMAS, dtype)
  rates = scale * jnp.asarray(RATES, dtype)
  state, f = jax.lax.scan(one, state, (x, y, rates))
  return jnp.concatenate([f, deep_linear.apply(state, probe)[None]])


@pytest.mark.parametrize('depth', [1, 2, 3, 4])
def test_it_is_the_tensor_program(depth):
  x, y, probe = data()
  batches = list(zip(x, y, RATES, strict=True))
  want = tensor_program.train(depth, batches, probe, *SIGMAS)
  got = jax.jit(trajectory, static_argnums=0)(depth)
  assert np.abs(want[-1]).max() > 0.1
  np.testing.assert_allclose(got, want, atol=1e-10, rtol=1e-7)


def test_one_layer_is_the_linear_limit():
  x, y, probe = map(jnp.asarray, data())

  def one(net, batch):
    x, y, lr = batch

    def loss(net):
      return finite.squared_loss(linear_limit.apply(net, x, 1.0, 0.0), y)

    f = linear_limit.apply(net, probe, 1.0, 0.0)
    return jax.tree.map(lambda p, g: p - lr * g, net, jax.grad(loss)(net)), f

  net = linear_limit.init(D, K, SIGMAS[0], SIGMAS[2])
  net, f = jax.lax.scan(one, net, (x, y, jnp.asarray(RATES)))
  want = jnp.concatenate([f, linear_limit.apply(net, probe, 1.0, 0.0)[None]])
  np.testing.assert_allclose(trajectory(1), want, atol=1e-13, rtol=1e-7)


def test_capacity_changes_nothing_and_beyond_it_all_is_nan():
  run = jax.jit(trajectory, static_argnums=(0, 1))
  np.testing.assert_allclose(
    run(3, 2 * T * M), run(3, T * M), atol=1e-12, rtol=1e-7
  )
  short = run(3, T * M - 1)
  assert np.isfinite(short[:-1]).all() and np.isnan(short[-1]).all()


def test_lanes_of_rates_and_float32():
  lanes = jax.jit(jax.vmap(lambda c: trajectory(2, scale=c)))(jnp.array([1, 2]))
  np.testing.assert_allclose(lanes[0], trajectory(2), atol=1e-13, rtol=1e-7)
  assert np.abs(lanes[1] - lanes[0]).max() > 0.05
  single = trajectory(2, dtype=jnp.float32)
  assert single.dtype == jnp.float32
  # Sums of 20 terms of the order of one.
  np.testing.assert_allclose(single, lanes[0], atol=2e-5, rtol=1e-7)


def test_steps_are_compiled_once():
  x, y, _ = map(jnp.asarray, data())
  step = jax.jit(
    chex.assert_max_traces(deep_linear.step, n=1), donate_argnums=0
  )
  state = deep_linear.init(2, T * M, D, K)
  for t in range(T):
    state = step(state, x[t], y[t], RATES[t])
  assert state.count == T * M


@pytest.mark.parametrize('name', ['depth', 'capacity', 'd', 'k'])
def test_sizes_are_checked(name):
  sizes = {'depth': 2, 'capacity': 4, 'd': 1, 'k': 1} | {name: 0}
  with pytest.raises(ValueError, match=f'{name} is 0, expected'):
    deep_linear.init(**sizes)


@pytest.mark.parametrize('depth', [2, 3])
def test_networks_come_to_it_as_the_root_of_the_width(depth):
  """Slope −1/2, by 24 seeds and ten predictions ± 0.05, next order 1/n."""
  x, y, probe = map(jnp.asarray, data())
  want = jax.jit(trajectory, static_argnums=0)(depth)
  widths = (32, 90, 256, 720)
  error = []
  for n in widths:

    def run(key, n=n):
      def one(w, batch):
        f = finite.apply(w, probe, lambda u: u)
        return finite.step(w, *batch, lambda u: u), f

      w = finite.init(key, n, D, K, depth, *SIGMAS)
      w, f = jax.lax.scan(one, w, (x, y, jnp.asarray(RATES)))
      last = finite.apply(w, probe, lambda u: u)
      return jnp.concatenate([f, last[None]])

    keys = jax.random.split(jax.random.key(0), 24)
    f = jax.jit(lambda keys, run=run: jax.lax.map(run, keys))(keys)
    error.append(np.sqrt(np.mean((f - want[None]) ** 2, (0, 2, 3))))
  for t in (0, 1, T):
    rms = np.array(error)[:, t]
    slope = float(fits.power_law(np.array(widths, float), rms).slope)
    assert -0.62 <= slope <= -0.42, (t, slope)
