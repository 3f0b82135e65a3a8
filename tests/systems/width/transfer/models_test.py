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
