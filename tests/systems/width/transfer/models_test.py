"""The models start as flax's own layers do."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from framework.systems.width import Perceptron, Transformer


class Plain(nn.Module):
  """One hidden layer and a readout of flax's defaults."""

  @nn.compact
  def __call__(self, x):
    x = nn.relu(nn.Dense(8, use_bias=False, name='layer_1')(x))
    return nn.Dense(3, use_bias=False, name='readout')(x)


def test_kernels_are_drawn_as_flax_draws_them_bit_for_bit():
  x, key = jnp.ones((1, 5)), jax.random.key(0)
  ours = jax.jit(Perceptron(8, outputs=3, depth=1).init)(key, x)
  flax = jax.jit(Plain().init)(key, x)
  assert jax.tree.structure(ours) == jax.tree.structure(flax)
  jax.tree.map(np.testing.assert_array_equal, ours, flax)


def test_variances_of_a_transformer():
  """1/fan_in of kernels, 1 of embeddings."""
  net = Transformer(64, symbols=50, depth=1, heads=4, context=40)
  params = jax.jit(net.init)(jax.random.key(0), jnp.zeros((1, 4), int))
  params = params['params']
  for name, fan_in in (('up_1', 64), ('down_1', 256), ('readout', 64)):
    w = np.asarray(params[name]['kernel'])
    # Of w.size squares of a nearly normal number.
    np.testing.assert_allclose(
      w.var() * fan_in, 1, rtol=5 * (2 / w.size) ** 0.5, atol=0
    )
  for name in ('embed', 'places'):
    w = np.asarray(params[name]['embedding'])
    np.testing.assert_allclose(w.var(), 1, rtol=5 * (2 / w.size) ** 0.5, atol=0)


def test_a_block_adds_its_feed_forward_layer():
  net = Transformer(
    8, symbols=5, depth=1, heads=2, context=4, dtype=jnp.float64
  )
  x = jnp.array([[0, 3, 2, 4]])
  params = jax.jit(net.init)(jax.random.key(0), x)['params']
  p = jax.tree.map(np.array, params)
  for part in p['attention_1']['out'].values():
    part[...] = 0
  found = jax.jit(net.apply)({'params': p}, x)

  def norm(h):
    h = h - h.mean(-1, keepdims=True)
    return h / np.sqrt((h**2).mean(-1, keepdims=True) + 1e-6)

  h = p['embed']['embedding'][np.asarray(x)] + p['places']['embedding'][None]
  up = norm(h) @ p['up_1']['kernel']
  up = 0.5 * up * (1 + np.tanh((2 / np.pi) ** 0.5 * (up + 0.044715 * up**3)))
  h = h + up @ p['down_1']['kernel']
  wanted = norm(h) @ p['readout']['kernel']
  np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)
