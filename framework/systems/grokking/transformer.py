"""A one-layer transformer on tokens, read at its last position.

    h_i = E[t_i] (+ P[i]),    h ← h + Attention(h),    h ← h + W_2 relu(W_1 h)

with layer norms after each sum ('post'), before each branch ('pre') or none.
Since it is read at the last position and has one layer, queries and the
feed-forward layer are computed there only.

The authors' choice is `reference`: post-norm, dropout 0.1, no positions, a
biased unembedding, torch's start. `nanda` is that of Nanda et al.: learned
positions, a closing '=' token, no norm, no dropout, no biases.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from framework.maths import draws
from framework.systems.grokking.models import Dense

__all__ = ['Transformer', 'nanda', 'reference']

_EPS = 1e-5  # of torch's layer norm


class Transformer(nn.Module):
  """One layer of attention, without a causal mask, and a feed-forward layer.

  >>> net = nanda(classes=5, tokens=5)
  >>> x = jnp.array([[0, 1], [4, 4]])
  >>> logits, _ = jax.jit(net.init_with_output)(jax.random.key(0), x)
  >>> logits.shape
  (2, 5)
  """

  classes: int
  tokens: int  # size of the vocabulary
  width: int = 128
  heads: int = 4
  hidden: int = 2048  # of the feed-forward layer
  norm: str = 'post'  # 'pre' or 'none'
  positions: bool = False
  equals: bool = False  # append a token '=', where the answer is read
  dropout: float = 0.1
  bias: bool = True
  gaussian: bool = False  # start with N(0, 1/fan_in) as Nanda et al. do
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: Int[Array, 'rows k'], deterministic: bool = True
  ) -> Float[Array, 'rows classes']:
    """The logits; with dropout it needs an rng 'dropout'."""
    if self.width % self.heads or self.norm not in ('post', 'pre', 'none'):
      raise ValueError(
        f'width {self.width}, heads {self.heads}, norm {self.norm!r}: expected '
        'heads to divide the width and a norm of post, pre, none'
      )
    h = self._embed(x)
    drop = nn.Dropout(self.dropout, deterministic=deterministic)
    attended = self._attention(self._pre(h, 'norm_1'), drop)
    last = self._post(h[:, -1] + drop(attended), 'norm_1')
    inner = self._dense(self.hidden, self._pre(last, 'norm_2'), 'up')
    inner = self._dense(self.width, drop(nn.relu(inner)), 'down')
    last = self._post(last + drop(inner), 'norm_2')
    return self._dense(self.classes, last, 'unembed')

  def _embed(self, x):
    rows = x.shape[0]
    if self.equals:
      end = jnp.full((rows, 1), self.tokens, x.dtype)
      x = jnp.concatenate([x, end], 1)
    scale = self.width**-0.5 if self.gaussian else 1.0
    start = nn.initializers.normal(scale)
    shape = (self.tokens + self.equals, self.width)
    h = self.param('embed', start, shape, self.dtype)[x]
    if not self.positions:
      return h
    place = self.param('place', start, (x.shape[1], self.width), self.dtype)
    return h + jnp.broadcast_to(place, h.shape)

  def _attention(self, h, drop):
    """Of the last position to all."""
    n, d = self.heads, self.width // self.heads
    key_value = []
    for name in ('key', 'value'):
      y = self._dense(self.width, h, name, attention=True)
      key_value.append(y.reshape(*h.shape[:2], n, d))
    query = self._dense(self.width, h[:, -1], 'query', attention=True)
    query = query.reshape(-1, n, d) * d**-0.5
    scores = jnp.einsum('bnd,bknd->bnk', query, key_value[0])
    weights = drop(jax.nn.softmax(scores, -1))
    mixed = jnp.einsum('bnk,bknd->bnd', weights, key_value[1])
    return self._dense(self.width, mixed.reshape(-1, n * d), 'out')

  def _dense(self, features, x, name, attention=False):
    if not (self.gaussian or attention):
      return Dense(features, self.bias, self.dtype, name=name)(x)
    # torch starts q, k and v together, as one layer with 3 x width outputs.
    start = (
      nn.initializers.normal(x.shape[-1] ** -0.5)
      if self.gaussian
      else _xavier(x.shape[-1], 3 * features)
    )
    return nn.Dense(
      features,
      use_bias=self.bias,
      kernel_init=start,
      dtype=self.dtype,
      param_dtype=self.dtype,
      name=name,
    )(x)

  def _pre(self, h, name):
    return self._norm(h, name) if self.norm == 'pre' else h

  def _post(self, h, name):
    return self._norm(h, name) if self.norm == 'post' else h

  def _norm(self, h, name):
    kind = {'dtype': self.dtype, 'param_dtype': self.dtype}
    return nn.LayerNorm(_EPS, name=name, **kind)(h)


def _xavier(fan_in: int, fan_out: int):
  """U(−a, a) with a² = 6/(fan_in + fan_out)."""
  bound = (6 / (fan_in + fan_out)) ** 0.5

  def init(key, shape, dtype=jnp.float32):
    return draws.uniform(key, tuple(shape), dtype, -bound, bound)

  return init


def reference(classes: int, tokens: int, **options: Any) -> Transformer:
  """The layer of Prieto et al.; `options` override its fields."""
  return Transformer(classes, tokens, **options)


def nanda(classes: int, tokens: int, **options: Any) -> Transformer:
  """The layer of Nanda et al., 2023; `options` override its fields."""
  own: dict[str, Any] = {
    'hidden': 512,
    'norm': 'none',
    'positions': True,
    'equals': True,
    'dropout': 0.0,
    'bias': False,
    'gaussian': True,
  }
  return Transformer(classes, tokens, **(own | options))
