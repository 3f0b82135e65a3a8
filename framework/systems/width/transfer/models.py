"""A perceptron and a small transformer, written without a word of muP.

perceptron:  h^1 = W^1 x, h^l+1 = W^l+1 φ(h^l), f = W^L+1 φ(h^L)
transformer: h ← h + Attention(Norm(h)),  h ← h + W_2 φ(W_1 Norm(h))

φ of the transformer is GELU's approximation by tanh, flax's own.
"""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from framework.maths import draws

__all__ = ['Perceptron', 'Transformer']


def _lecun_normal(
  key: Key[Array, ''], shape: tuple[int, ...], dtype: Any = jnp.float32
) -> Array:
  """Flax's own, bit for bit, drawn in one row (`maths.draws` says why)."""
  variance = jnp.array(1.0 / math.prod(shape[:-1]), dtype)
  # The deviation of a normal number cut off at 2.
  scale = jnp.sqrt(variance) / jnp.array(0.87962566103423978, dtype)
  size = (math.prod(shape),)
  row = jax.random.truncated_normal(key, -2, 2, size, dtype)
  return (row * scale).reshape(shape)


def _normal(
  key: Key[Array, ''], shape: tuple[int, ...], dtype: Any = jnp.float32
) -> Array:
  """Of deviation 1."""
  return draws.normal(key, shape, dtype)


class Perceptron(nn.Module):
  """L hidden layers of one width.

  >>> import jax
  >>> net = Perceptron(8, outputs=3)
  >>> start = jax.jit(net.init_with_output)
  >>> start(jax.random.key(0), jnp.ones((2, 5)))[0].shape
  (2, 3)
  """

  width: int
  outputs: int
  depth: int = 2
  activation: Callable[[Array], Array] = nn.relu
  bias: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[Array, '... inputs']
  ) -> Float[Array, '... outputs']:
    """The outputs."""
    x = x.astype(self.dtype)
    for i in range(self.depth):
      x = self._dense(self.width, f'layer_{i + 1}')(x)
      x = self.activation(x)
    return self._dense(self.outputs, 'readout')(x)

  def _dense(self, features: int, name: str) -> nn.Dense:
    return nn.Dense(
      features,
      use_bias=self.bias,
      kernel_init=_lecun_normal,
      dtype=self.dtype,
      param_dtype=self.dtype,
      name=name,
    )


class Transformer(nn.Module):
  """Predicts the next of a sequence of symbols at every place.

  Pre-norm blocks, learned positions, a feed-forward layer four times as wide;
  the number of heads stays and their dimension grows with the width.

  >>> import jax
  >>> net = Transformer(8, symbols=5, heads=2, depth=1, context=4)
  >>> start = jax.jit(net.init_with_output)
  >>> start(jax.random.key(0), jnp.zeros((2, 4), int))[0].shape
  (2, 4, 5)
  """

  width: int
  symbols: int
  depth: int = 2
  heads: int = 4
  context: int = 64
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: Int[Array, 'rows place']
  ) -> Float[Array, 'rows place symbols']:
    """The logits of the next symbol."""
    types = {'dtype': self.dtype, 'param_dtype': self.dtype}
    kernel = {**types, 'kernel_init': _lecun_normal}
    h = nn.Embed(
      self.symbols, self.width, embedding_init=_normal, name='embed', **types
    )(x)
    places = nn.Embed(
      self.context, self.width, embedding_init=_normal, name='places', **types
    )(jnp.arange(x.shape[-1]))
    h = h + jnp.broadcast_to(places, h.shape)
    mask = nn.make_causal_mask(x, dtype=bool)
    for i in range(self.depth):
      y = nn.LayerNorm(name=f'norm_{i + 1}a', **types)(h)
      attention: Any = nn.MultiHeadDotProductAttention(
        self.heads, name=f'attention_{i + 1}', **kernel
      )
      h = h + attention(y, mask=mask)
      y = nn.LayerNorm(name=f'norm_{i + 1}b', **types)(h)
      y = nn.gelu(nn.Dense(4 * self.width, name=f'up_{i + 1}', **kernel)(y))
      h = h + nn.Dense(self.width, name=f'down_{i + 1}', **kernel)(y)
    h = nn.LayerNorm(name='norm_out', **types)(h)
    return nn.Dense(self.symbols, use_bias=False, name='readout', **kernel)(h)
