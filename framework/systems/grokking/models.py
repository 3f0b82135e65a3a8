"""Networks of the grokking experiments, as flax modules.

`MLP`: fully connected, with or without biases, started as torch does. On
one-hot pairs its first layer is a gather of two rows instead of a product with
a matrix of zeros and ones. The transformer has a file of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, Shaped

from framework.maths import draws

__all__ = ['MLP', 'Dense', 'PairLayer', 'torch_uniform']


def torch_uniform(fan_in: int) -> Callable[..., Array]:
  """The start of torch's layers: U(−1/√fan_in, 1/√fan_in).

  Args:
    fan_in: Inputs of a unit.

  Returns:
    (key, shape, dtype) -> array.

  >>> import jax
  >>> x = torch_uniform(4)(jax.random.key(0), (100,), jnp.float32)
  >>> bool(0.45 < abs(x).max() < 0.5)
  True
  """

  def init(key: Key[Array, ''], shape: Sequence[int], dtype: Any) -> Array:
    bound = fan_in**-0.5
    return draws.uniform(key, tuple(shape), dtype, -bound, bound)

  return init


class Dense(nn.Module):
  """x W + b with torch's start of both; no b without `bias`."""

  features: int
  bias: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, '*rows n']) -> Float[Array, '*rows m']:
    """Applies the layer."""
    n, start = x.shape[-1], torch_uniform(x.shape[-1])
    out = x @ self.param('kernel', start, (n, self.features), self.dtype)
    if not self.bias:
      return out
    b = self.param('bias', start, (self.features,), self.dtype)
    return out + jnp.broadcast_to(b, out.shape)


class PairLayer(nn.Module):
  """A dense layer on concatenated one-hots, given as tokens.

      [e_x, e_y] W = W[x] + W[p + y]

  The same parameters and the same numbers as `Dense` on the one-hots.
  """

  features: int
  modulus: int
  bias: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Int[Array, 'rows k']) -> Float[Array, 'rows m']:
    """Applies the layer."""
    width = x.shape[-1] * self.modulus
    start = torch_uniform(width)
    kernel = self.param('kernel', start, (width, self.features), self.dtype)
    out = kernel[x[:, 0]]
    for i in range(1, x.shape[-1]):
      out = out + kernel[x[:, i] + i * self.modulus]
    if not self.bias:
      return out
    b = self.param('bias', start, (self.features,), self.dtype)
    return out + jnp.broadcast_to(b, out.shape)


class MLP(nn.Module):
  """ReLU network; tokens go through `PairLayer`, features through `Dense`.

  >>> import jax
  >>> net = MLP((8, 8, 5), modulus=5, bias=False)
  >>> x = jnp.array([[0, 1], [4, 4]])
  >>> logits, w = jax.jit(net.init_with_output)(jax.random.key(0), x)
  >>> logits.shape, sorted(w['params'])
  ((2, 5), ['layer_0', 'layer_1', 'layer_2'])
  """

  features: Sequence[int]  # widths of the hidden layers, then the classes
  modulus: int = 0  # of tokens; 0 for inputs that are features
  bias: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: Shaped[Array, 'rows n']
  ) -> Float[Array, 'rows classes']:
    """The logits."""
    for i, width in enumerate(self.features):
      if i:
        x = nn.relu(x)
      name = f'layer_{i}'
      if i == 0 and self.modulus:
        layer = PairLayer(width, self.modulus, self.bias, self.dtype, name=name)
      else:
        layer = Dense(width, self.bias, self.dtype, name=name)
      x = layer(x)
    return x
