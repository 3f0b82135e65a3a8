"""A perceptron and a small transformer, written without a word of muP.

perceptron:  h^1 = W^1 x, h^l+1 = W^l+1 φ(h^l), f = W^L+1 φ(h^L)
transformer: h ← h + Attention(Norm(h)),  h ← h + W_2 φ(W_1 Norm(h))
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

__all__ = ['ACTIVATIONS', 'Perceptron', 'Transformer']

ACTIVATIONS = {
  'relu': nn.relu,
  'tanh': nn.tanh,
  'gelu': nn.gelu,
  'linear': lambda x: x,
}


class Perceptron(nn.Module):
  """L hidden layers of one width.

  >>> import jax
  >>> net = Perceptron(8, outputs=3)
  >>> w = net.init(jax.random.key(0), jnp.ones((1, 5)))
  >>> net.apply(w, jnp.ones((2, 5))).shape
  (2, 3)
  """

  width: int
  outputs: int
  depth: int = 2
  activation: str = 'relu'
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
      x = ACTIVATIONS[self.activation](x)
    return self._dense(self.outputs, 'readout')(x)

  def _dense(self, features: int, name: str) -> nn.Dense:
    return nn.Dense(
      features,
      use_bias=self.bias,
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
  >>> x = jnp.zeros((2, 4), int)
  >>> net.apply(net.init(jax.random.key(0), x), x).shape
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
    start = nn.initializers.normal(1.0)
    h = nn.Embed(
      self.symbols, self.width, embedding_init=start, name='embed', **types
    )(x)
    places = nn.Embed(
      self.context, self.width, embedding_init=start, name='places', **types
    )(jnp.arange(x.shape[-1]))
    h = h + jnp.broadcast_to(places, h.shape)
    mask = nn.make_causal_mask(x, dtype=bool)
    for i in range(self.depth):
      y = nn.LayerNorm(name=f'norm_{i + 1}a', **types)(h)
      attention: Any = nn.MultiHeadDotProductAttention(
        self.heads, name=f'attention_{i + 1}', **types
      )
      h = h + attention(y, mask=mask)
      y = nn.LayerNorm(name=f'norm_{i + 1}b', **types)(h)
      y = nn.gelu(nn.Dense(4 * self.width, name=f'up_{i + 1}', **types)(y))
      h = h + nn.Dense(self.width, name=f'down_{i + 1}', **types)(y)
    h = nn.LayerNorm(name='norm_out', **types)(h)
    return nn.Dense(self.symbols, use_bias=False, name='readout', **types)(h)
