"""Probes where they are exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import probes as general
from framework.systems.grokking import losses
from framework.systems.grokking import probes as stability_probes
from framework.systems.grokking.models import MLP


@pytest.mark.parametrize(
  'dtype, tolerance', [(jnp.float64, 1e-12), (jnp.float32, 1e-4)]
)
@pytest.mark.parametrize('depth', [1, 3])
def test_euler_products_agree_across_layers(dtype, tolerance, depth):
  net = MLP((*(30,) * depth, 7), 7, bias=False, dtype=dtype)
  x = jnp.stack(jnp.divmod(jnp.arange(49), 7), 1)
  y = x.sum(1) % 7

  def loss(z):
    return losses.softmax_ce(z, y, dtype).mean()

  def products(net):
    params = net.init(jax.random.key(0), x)['params']
    params = jax.tree.map(lambda w: 3 * w, params)
    grads = jax.grad(lambda p: loss(net.apply({'params': p}, x)))(params)
    z = net.apply({'params': params}, x)
    found = stability_probes.euler_products(params, grads)
    return found, jnp.sum(z * jax.grad(loss)(z))

  found, wanted = jax.jit(lambda: products(net))()
  np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=0)
  if depth == 1:  # a bias ends it
    biased = MLP((30, 7), 7, bias=True, dtype=dtype)
    assert np.ptp(jax.jit(lambda: products(biased)[0])()) > 1e-3


def test_scaling_the_weights_is_the_naive_direction():
  """d = θ: f(θ + εθ) = (1 + ε)^L f(θ), and its cosine is one."""
  net = MLP((20, 20, 5), 5, bias=False, dtype=jnp.float64)
  x = jnp.stack(jnp.divmod(jnp.arange(25), 5), 1)
  params = jax.device_get(jax.jit(net.init)(jax.random.key(1), x)['params'])
  apply = jax.jit(net.apply)
  larger = jax.tree.map(lambda w: 1.1 * w, params)
  np.testing.assert_allclose(
    apply({'params': larger}, x),
    1.1**3 * np.asarray(apply({'params': params}, x)),
    rtol=1e-12,
    atol=0,
  )
  cosines = jax.jit(general.cosines)
  each, together = cosines(params, params)
  np.testing.assert_allclose(each, 1, rtol=1e-7, atol=0)
  np.testing.assert_allclose(together, 1, rtol=1e-7, atol=0)
  opposite = jax.tree.map(np.negative, params)
  np.testing.assert_allclose(
    cosines(opposite, params)[1], -1, rtol=1e-7, atol=0
  )
  zero = jax.tree.map(np.zeros_like, params)
  assert cosines(zero, params)[1] == 0


def test_absorbed_updates_and_zero_gradients():
  # Below 1 floats are twice as dense as above: −4e-8 moves it, 4e-8 does not.
  w = {'a': np.array([1.0, 1.0, 1e8, 1.0, 1.0], np.float32)}
  u = {'a': np.array([1e-9, 1e-3, 1.0, 4e-8, 4e-8], np.float32)}
  absorbed = jax.jit(stability_probes.absorbed_updates)
  np.testing.assert_allclose(absorbed(w, u), 4 / 5, rtol=1e-7, atol=0)
  down = jax.tree.map(np.negative, u)
  np.testing.assert_allclose(absorbed(w, down), 2 / 5, rtol=1e-7, atol=0)
  np.testing.assert_allclose(
    stability_probes.zero_fraction({'a': jnp.array([0.0, -0.0, 1e-45, 1])}),
    0.5,
    rtol=1e-7,
    atol=0,
  )


def test_gaps_and_margin():
  z = np.random.default_rng(0).standard_normal((101, 5))
  y = np.random.default_rng(1).integers(0, 5, 101)
  other = np.where(np.eye(5)[y] == 1, -np.inf, z).max(1)
  gap = np.asarray(z)[np.arange(101), y] - other
  found, margin = jax.jit(
    lambda z, y: stability_probes.logit_gaps(z, y, (0.05, 0.5, 0.95))
  )(z, y)
  np.testing.assert_allclose(
    found, np.quantile(gap, [0.05, 0.5, 0.95]), rtol=1e-7, atol=0
  )
  np.testing.assert_allclose(margin, gap.min(), rtol=1e-7, atol=0)


def test_fourier_sparsity_orders_embeddings():
  x = 2 * np.pi * np.outer(np.arange(23), [1, 4, 7, 9]) / 23
  few = np.concatenate([np.cos(x), np.sin(x)], 1)
  noise = np.random.default_rng(0).standard_normal((23, 50))
  one, four, none = map(
    float,
    map(jax.jit(stability_probes.fourier_sparsity), (few[:, ::4], few, noise)),
  )
  assert one > 0.999 > four > 0.4 > 0.1 > none >= 0
  np.testing.assert_allclose(
    four, 1 - np.log(4) / np.log(11), rtol=1e-6, atol=0
  )
