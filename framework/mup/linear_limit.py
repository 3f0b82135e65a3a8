r"""The infinitely wide linear network in µP: a network of width d + k.

One hidden layer, input in R^d, k outputs, in the form whose learning rate does
not depend on the width (all initial variances σ²/n):

    f(x) = α W₂(W₁x + α_b β),   W₁ (n, d),  W₂ (k, n),  β (n)

At every time W₁ and W₂ᵀ are linear in what they were at the start, so with Ω an
(n, d + k) matrix of standard normals

    W₁ = n^-½ Ω W̄₁,   W₂ = n^-½ W̄₂ Ωᵀ,   β = n^-½ Ω β̄,
    W̄₁(0) = [σ₁ I; 0],   W̄₂(0) = [0, σ₂ I],   β̄(0) = 0,

and as n → ∞ ΩᵀΩ/n → I: the limit *is* the network (W̄₁, W̄₂, β̄) of width d + k,
trained by the same algorithm with the same learning rate [1]. Momentum, weight
decay, MAML and clipping by the global norm go through, for n^-½ Ω is an
isometry in the limit; with ΩᵀΩ = n I it is one at any width
(`orthogonal_sample`).

References:
  [1] Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021,
      sections 5 and 8.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Key

from framework import linalg
from framework.mup.sizes import check_sizes

__all__ = [
  'Params',
  'apply',
  'condensed',
  'finite',
  'hidden',
  'init',
  'orthogonal_sample',
  'sample',
]


class Params(NamedTuple):
  """A linear network of any width; in the limit h = d + k."""

  W1: Float[Array, 'h d']
  W2: Float[Array, 'k h']
  b: Float[Array, ' h']


def init(
  d: int,
  k: int,
  sigma1: Float[ArrayLike, ''] = 1.0,
  sigma2: Float[ArrayLike, ''] = 1.0,
  dtype: DTypeLike = jnp.float64,
) -> Params:
  """The limit at the start: W̄₁ = [σ₁ I; 0], W̄₂ = [0, σ₂ I], β̄ = 0.

  Args:
    d: Inputs.
    k: Outputs.
    sigma1: σ₁, of the first layer.
    sigma2: σ₂, of the second.
    dtype: Of all entries.

  Returns:
    `Params` of width d + k.

  Raises:
    ValueError: If d or k is below 1.

  >>> net = init(2, 1, 3.0, 0.5)
  >>> print(net.W1.T, net.W2, net.b)
  [[3. 0. 0.]
   [0. 3. 0.]] [[0.  0.  0.5]] [0. 0. 0.]
  """
  check_sizes(d=d, k=k)
  eye = jnp.eye(d + k, dtype=dtype)
  return Params(
    jnp.asarray(sigma1, dtype) * eye[:, :d],
    jnp.asarray(sigma2, dtype) * eye[d:],
    jnp.zeros(d + k, dtype),
  )


def hidden(
  params: Params,
  x: Float[Array, '*b d'],
  bias_alpha: Float[ArrayLike, ''] = 1.0,
) -> Float[Array, '*b h']:
  """W₁x + α_b β.

  Args:
    params: A network, or the limit.
    x: Inputs.
    bias_alpha: α_b.

  Returns:
    Hidden states.

  >>> print(hidden(init(1, 1, 2.0), jnp.array([3.0])))
  [6. 0.]
  """
  h = x @ params.W1.T
  return h + bias_alpha * jnp.broadcast_to(params.b, h.shape)


def apply(
  params: Params,
  x: Float[Array, '*b d'],
  alpha: Float[ArrayLike, ''] = 1.0,
  bias_alpha: Float[ArrayLike, ''] = 1.0,
) -> Float[Array, '*b k']:
  """f(x) = α W₂(W₁x + α_b β).

  Args:
    params: A network, or the limit.
    x: Inputs.
    alpha: α, a multiplier of the output.
    bias_alpha: α_b, a multiplier of the bias.

  Returns:
    Outputs, zero at the start of the limit.

  >>> print(apply(init(2, 1), jnp.ones(2)))
  [0.]
  """
  return jnp.asarray(alpha * hidden(params, x, bias_alpha) @ params.W2.T)


def sample(key: Key[Array, ''], params: Params, n: int) -> Params:
  """Draws a network of width n from the limit, at any time.

      W₁ = n^-½ Ω W̄₁,  W₂ = n^-½ W̄₂ Ωᵀ,  β = n^-½ Ω β̄,  Ω ~ N(0, 1)^(n, d + k)

  Drawn at the start it is a network at its random initialisation.

  Args:
    key: Key of Ω.
    params: The limit.
    n: Width.

  Returns:
    `Params` of width n.

  Raises:
    ValueError: If n is below 1.

  >>> net = sample(jax.random.key(0), init(3, 2), 1000)
  >>> net.W1.shape, bool(abs(jnp.sum(net.W1[:, 0] ** 2) - 1) < 0.1)
  ((1000, 3), True)
  """
  check_sizes(n=n)
  h, dtype = params.b.shape[0], params.W1.dtype
  return _seen_through(_omega(key, n, h, dtype), params)


def orthogonal_sample(key: Key[Array, ''], params: Params, n: int) -> Params:
  """The same with ΩᵀΩ = n I: its training is exactly that of the limit.

  Args:
    key: Key of Ω.
    params: The limit.
    n: Width, at least that of the limit.

  Returns:
    `Params` of width n.

  Raises:
    ValueError: If n is below d + k: there is no such Ω.

  >>> net = orthogonal_sample(jax.random.key(0), init(3, 2, 2.0), 7)
  >>> print((net.W1.T @ net.W1).round(6)[0] + 0)
  [4. 0. 0.]
  """
  h, dtype = params.b.shape[0], params.W1.dtype
  if n < h:
    raise ValueError(f'n is {n}, expected at least d + k = {h}')
  Q, _ = linalg.qr(_omega(key, n, h, dtype))
  return _seen_through(Q * jnp.sqrt(jnp.asarray(n, dtype)), params)


def finite(
  key: Key[Array, ''],
  d: int,
  k: int,
  n: int,
  sigma1: Float[ArrayLike, ''] = 1.0,
  sigma2: Float[ArrayLike, ''] = 1.0,
  dtype: DTypeLike = jnp.float64,
) -> Params:
  """A network of width n at its start, without the limit's (d + k)² memory.

  Args:
    key: Key of Ω; the same network as `sample(key, init(...), n)`.
    d: Inputs.
    k: Outputs.
    n: Width.
    sigma1: W₁ ~ N(0, σ₁²/n).
    sigma2: W₂ ~ N(0, σ₂²/n).
    dtype: Of all entries.

  Returns:
    `Params` of width n.

  Raises:
    ValueError: If a size is below 1.

  >>> one = finite(jax.random.key(0), 3, 2, 4)
  >>> bool(jnp.allclose(one.W1, sample(jax.random.key(0), init(3, 2), 4).W1))
  True
  """
  check_sizes(d=d, k=k, n=n)
  Omega = _omega(key, n, d + k, dtype) / jnp.sqrt(jnp.asarray(n, dtype))
  return Params(
    jnp.asarray(sigma1, dtype) * Omega[:, :d],
    jnp.asarray(sigma2, dtype) * Omega[:, d:].T,
    jnp.zeros(n, dtype),
  )


def condensed(params: Params) -> Params:
  """The same network, at any width, in d + k + 1 coordinates.

  Gradients of W₁, W₂ᵀ and β are combinations of their columns, so these never
  leave the span that they start in: with QR the decomposition of [W₁, W₂ᵀ, β],
  the network of R, trained by the same algorithm (as in the module's
  docstring), has the outputs and gradient norms of the network at all times.
  A wide network then costs what its limit costs.

  Args:
    params: A network; nothing is gained unless it is wider than d + k + 1.

  Returns:
    `Params` of width min(n, d + k + 1).

  >>> net = finite(jax.random.key(0), 3, 2, 50)
  >>> small, x = condensed(net), jnp.arange(3.0)
  >>> small.W1.shape, bool(jnp.allclose(apply(small, x), apply(net, x)))
  ((6, 3), True)
  """
  W1, W2, b = params
  _, R = linalg.qr(jnp.concatenate([W1, W2.T, b[:, None]], 1))
  d = W1.shape[1]
  return Params(R[:, :d], R[:, d:-1].T, R[:, -1])


def _omega(key: Key[Array, ''], n: int, h: int, dtype: DTypeLike) -> Array:
  return jax.random.normal(key, (n, h), dtype)


def _seen_through(Omega: Float[Array, 'n h'], limit: Params) -> Params:
  n = Omega.shape[0]
  Omega = Omega / jnp.sqrt(jnp.asarray(n, Omega.dtype))
  return Params(Omega @ limit.W1, limit.W2 @ Omega.T, Omega @ limit.b)
