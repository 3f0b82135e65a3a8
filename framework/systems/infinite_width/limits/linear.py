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

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Key

from framework.checks import check_sizes
from framework.maths import draws, linalg

__all__ = [
  'Params',
  'apply',
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

  >>> import jax
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

  >>> import jax
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
  *,
  in_span: bool = False,
) -> Params:
  """A network of width n at its start, without the limit's (d + k)² memory.

  Gradients of W₁, W₂ᵀ and β are combinations of the columns of W₁ and W₂ᵀ, so
  these never leave the span of Ω's columns that they start in. With Ω = QR, Q
  an isometry, the network of R in place of Ω, trained by the same algorithm (as
  in this module's docstring), has its outputs and the norms of its gradients at
  all times: a network of any width costs no more than its limit.

  Args:
    key: Key of Ω; the same network as `sample(key, init(...), n)`.
    d: Inputs.
    k: Outputs.
    n: Width.
    sigma1: W₁ ~ N(0, σ₁²/n).
    sigma2: W₂ ~ N(0, σ₂²/n).
    dtype: Of all entries.
    in_span: Whether to take R in place of Ω.

  Returns:
    `Params` of width n, or min(n, d + k) in the span.

  Raises:
    ValueError: If a size is below 1.

  >>> import jax
  >>> key, x = jax.random.key(0), jnp.arange(3.0)
  >>> one = finite(key, 3, 2, 40)
  >>> bool(jnp.allclose(one.W1, sample(key, init(3, 2), 40).W1))
  True
  >>> small = finite(key, 3, 2, 40, in_span=True)
  >>> small.W1.shape, bool(jnp.allclose(apply(small, x), apply(one, x)))
  ((5, 3), True)
  """
  check_sizes(d=d, k=k, n=n)
  Omega = _omega(key, n, d + k, dtype) / jnp.sqrt(jnp.asarray(n, dtype))
  if in_span:
    _, Omega = linalg.qr(Omega)
  return Params(
    jnp.asarray(sigma1, dtype) * Omega[:, :d],
    jnp.asarray(sigma2, dtype) * Omega[:, d:].T,
    jnp.zeros(Omega.shape[0], dtype),
  )


def _omega(key: Key[Array, ''], n: int, h: int, dtype: DTypeLike) -> Array:
  return draws.normal(key, (n, h), dtype)


def _seen_through(Omega: Float[Array, 'n h'], limit: Params) -> Params:
  n = Omega.shape[0]
  Omega = Omega / jnp.sqrt(jnp.asarray(n, Omega.dtype))
  return Params(Omega @ limit.W1, limit.W2 @ Omega.T, Omega @ limit.b)
