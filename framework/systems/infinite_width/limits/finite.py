r"""A perceptron of finite width in µP: what the limits are the limits of.

    h^1 = W^1 ξ,   h^l = W^l φ(h^l-1),   f = W^L+1 φ(h^L)

                     start          learning rate
    W^1   (n, d)     N(0, σ_1²)     η n
    W^l   (n, n)     N(0, σ_w²/n)   η             2 <= l <= L
    W^L+1 (k, n)     N(0, σ_v²/n²)  η/n

This is the abc-parametrisation (−½, 0, …, ½; ½, …, ½; 0) of [1] in terms of the
weights themselves. With n times the gradient at h^l as D^l its updates are
W^1 −= η D ξᵀ and W^l −= η D x^ᵀ/n: every coordinate moves by Θ(1).

References:
  [1] Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Key

from framework.maths import draws

__all__ = ['Loss', 'apply', 'init', 'squared_loss', 'step']

Loss = Callable[[Array, Array], Float[Array, '']]  # (f (m, k), y) -> scalar
_Weights = tuple[Float[Array, 'out in'], ...]


def squared_loss(
  f: Float[Array, 'm k'], y: Float[Array, 'm k']
) -> Float[Array, '']:
  """½ Σ_c (f_c − y_c)², the mean over points.

  >>> print(squared_loss(jnp.zeros((2, 2)), jnp.ones((2, 2))))
  1.0
  """
  return 0.5 * jnp.mean(jnp.sum((f - y) ** 2, -1))


def init(
  key: Key[Array, ''],
  n: int,
  d: int,
  k: int,
  depth: int = 1,
  sigma1: Float[ArrayLike, ''] = 1.0,
  sigma_w: Float[ArrayLike, ''] = 1.0,
  sigma_v: Float[ArrayLike, ''] = 1.0,
  dtype: DTypeLike = jnp.float64,
) -> _Weights:
  """Weights at the start.

  Args:
    key: Of all of them.
    n: Width.
    d: Inputs.
    k: Outputs.
    depth: L, hidden layers.
    sigma1: σ_1, of the first.
    sigma_w: σ_w, between hidden layers.
    sigma_v: σ_v, of the last.
    dtype: Of all entries.

  Returns:
    W^1, …, W^L+1.

  Raises:
    ValueError: If a size is below 1.

  >>> [W.shape for W in init(jax.random.key(0), 8, 3, 2, depth=2)]
  [(8, 3), (8, 8), (2, 8)]
  """
  for name, value in (('n', n), ('d', d), ('k', k), ('depth', depth)):
    if value < 1:
      raise ValueError(f'{name} is {value}, expected an integer >= 1')
  sizes = [d, *[n] * depth, k]
  scales = [sigma1, *[sigma_w / n**0.5] * (depth - 1), sigma_v / n]
  return tuple(
    jnp.asarray(scale, dtype) * draws.normal(one, (out, into), dtype)
    for one, scale, into, out in zip(
      jax.random.split(key, depth + 1), scales, sizes, sizes[1:], strict=False
    )
  )


def apply(
  weights: _Weights, x: Float[Array, '*b d'], phi: Callable[[Array], Array]
) -> Float[Array, '*b k']:
  """F(x).

  Args:
    weights: W^1, …, W^L+1.
    x: Inputs.
    phi: φ, elementwise.

  Returns:
    Outputs.

  >>> ones = jnp.ones((2, 1)), jnp.ones((1, 2))
  >>> print(apply(ones, jnp.array([3.0]), jnp.tanh).round(2))
  [1.99]
  """
  for W in weights[:-1]:
    x = phi(x @ W.T)
  return x @ weights[-1].T


def step(
  weights: _Weights,
  x: Float[Array, 'm d'],
  y: Float[Array, 'm k'],
  lr: Float[ArrayLike, ''],
  phi: Callable[[Array], Array],
  loss: Loss = squared_loss,
) -> _Weights:
  """One step of gradient descent, W^l −= η n^(1, 0, …, −1) ∂loss/∂W^l.

  Args:
    weights: W^1, …, W^L+1.
    x: The batch.
    y: Its labels.
    lr: η.
    phi: φ.
    loss: Of the outputs of the batch.

  Returns:
    Weights after it.

  >>> start = init(jax.random.key(0), 64, 1, 1)
  >>> x, y = jnp.ones((1, 1)), jnp.ones((1, 1))
  >>> after = jax.jit(step, static_argnums=4)(start, x, y, 0.3, jnp.tanh)
  >>> before, now = (apply(w, x, jnp.tanh) for w in (start, after))
  >>> bool(abs(now - 1) < abs(before - 1))
  True
  """
  n = weights[0].shape[0]
  grads = jax.grad(lambda w: loss(apply(w, x, phi), y))(weights)
  powers = [n, *[1.0] * (len(weights) - 2), 1 / n]
  return tuple(
    W - lr * power * G
    for W, G, power in zip(weights, grads, powers, strict=True)
  )
