"""One layer of softmax attention, read out by a head.

    a_i = X_i W z_i,   s_i = softmax(a_i),   f(X_i, z_i) = h(X_iᵀ s_i)

with W itself or W = K Qᵀ as parameters. One boolean mask says which tokens
there are: padded, ragged and causal data are the same thing. A linear head
h(x) = vᵀx enters through the scores γ_it = Y_i vᵀx_it alone.

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from framework.maths import draws

__all__ = [
  'Attention',
  'KeyQueryAttention',
  'Start',
  'attention',
  'causal',
  'logits',
  'optimal_tokens',
  'scores',
  'uniform_start',
  'weights_of',
  'zero_start',
]

Mask = Bool[Array, 'n T'] | None


def logits(
  W: Float[Array, 'd q'],
  X: Float[Array, 'n T d'],
  Z: Float[Array, 'n q'],
  mask: Mask = None,
) -> Float[Array, 'n T']:
  """a_it = x_itᵀ W z_i; −∞ where there is no token.

  >>> import jax.numpy as jnp
  >>> print(logits(jnp.eye(2), jnp.eye(2)[None], jnp.array([[3.0, 1.0]])))
  [[3. 1.]]
  """
  # W z first: n d q flops, where X W would take n T d q.
  a = jnp.einsum('ntd,nd->nt', X, Z @ W.T)
  return a if mask is None else jnp.where(mask, a, -jnp.inf)


def attention(
  W: Float[Array, 'd q'],
  X: Float[Array, 'n T d'],
  Z: Float[Array, 'n q'],
  mask: Mask = None,
) -> Float[Array, 'n T']:
  """s_i = softmax(X_i W z_i), zero where there is no token."""
  return jax.nn.softmax(logits(W, X, Z, mask), -1)


def scores(
  X: Float[Array, 'n T d'], Y: Float[Array, ' n'], v: Float[Array, ' d']
) -> Float[Array, 'n T']:
  """γ_it = Y_i vᵀx_it, all that a linear head sees of tokens and labels."""
  return Y[:, None] * (X @ v)


def optimal_tokens(
  gamma: Float[Array, 'n T'], mask: Mask = None
) -> Int[Array, ' n']:
  """opt_i = argmax_t γ_it over the tokens that there are."""
  if mask is not None:
    gamma = jnp.where(mask, gamma, -jnp.inf)
  return jnp.argmax(gamma, -1)


def causal(
  X: Float[Array, 'n T d'], mask: Mask = None
) -> tuple[Float[Array, 'nT T d'], Float[Array, 'nT d'], Bool[Array, 'nT T']]:
  """Every token as the query of what comes up to it.

  Args:
    X: Sequences.
    mask: Which tokens there are.

  Returns:
    (X, Z, mask) of n·T samples: sequence i up to position k, with query x_ik.
    Where x_ik is no token the sample sees x_ik alone and has no gradient.

  >>> import jax.numpy as jnp
  >>> X, Z, mask = causal(jnp.arange(6.0).reshape(1, 3, 2))
  >>> print(Z[1], mask[1])
  [2. 3.] [ True  True False]
  """
  n, T, d = X.shape
  seen = jnp.tile(jnp.tril(jnp.ones((T, T), bool)), (n, 1))
  if mask is not None:
    itself = jnp.tile(jnp.eye(T, dtype=bool), (n, 1))
    query = mask.reshape(-1, 1)
    seen = jnp.where(query, seen & jnp.repeat(mask, T, 0), itself)
  return jnp.repeat(X, T, 0), X.reshape(-1, d), seen


def torch_linear(
  key: Array, shape: tuple[int, int], dtype: Any = jnp.float32
) -> Float[Array, 'd m']:
  """U(−1/√d, 1/√d) with d the rows: the default of a linear layer on R^d."""
  bound = shape[0] ** -0.5
  # Of float32 in every precision, as instances are: one key is one start.
  drawn = draws.uniform(key, shape, jnp.float32, -bound, bound)
  return drawn.astype(dtype)


def linear_head(v: Float[Array, ' d']) -> Callable[[Array], Array]:
  """h(x) = vᵀx."""
  return lambda x: x @ v


class Attention(nn.Module):
  """f(X, z) = h(Xᵀ softmax(X W z)) with W as the parameter.

  Attributes:
    head: (tokens mixed by attention, (..., d)) -> outputs (...,).
    kernel_init: Initialiser of W.
    dtype: Of the parameter.
  """

  head: Callable[[Array], Array]
  kernel_init: Callable[..., Array] = torch_linear
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, X, Z, mask=None):
    """Outputs f (n,) of samples X (n, T, d) with queries Z (n, q)."""
    W = self.param(
      'W', self.kernel_init, (X.shape[-1], Z.shape[-1]), self.dtype
    )
    return self.head(_mix(attention(W, X, Z, mask), X))


class KeyQueryAttention(nn.Module):
  """f(X, z) = h(Xᵀ softmax(X K Qᵀ z)) with K and Q as parameters.

  Attributes:
    head: (tokens mixed by attention, (..., d)) -> outputs (...,).
    rank: Columns m of K and Q.
    kernel_init: Initialiser of either.
    dtype: Of the parameters.
  """

  head: Callable[[Array], Array]
  rank: int
  kernel_init: Callable[..., Array] = torch_linear
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, X, Z, mask=None):
    """Outputs f (n,) of samples X (n, T, d) with queries Z (n, q)."""
    K = self.param('K', self.kernel_init, (X.shape[-1], self.rank), self.dtype)
    Q = self.param('Q', self.kernel_init, (Z.shape[-1], self.rank), self.dtype)
    # Through K and Q one after the other: W is never formed.
    a = jnp.einsum('ntd,nd->nt', X, (Z @ Q) @ K.T)
    a = a if mask is None else jnp.where(mask, a, -jnp.inf)
    return self.head(_mix(jax.nn.softmax(a, -1), X))


Start: TypeAlias = Callable[..., dict[str, Array]]  # as `uniform_start`


def uniform_start(
  key: Key[Array, ''],
  X: Float[Array, 'n T d'],
  Z: Float[Array, 'n q'],
  rank: int | None,
  dtype: Any,
) -> dict[str, Array]:
  """U(±1/√d): what a linear layer of torch starts from.

  Args:
    key: A key.
    X: Tokens.
    Z: Queries.
    rank: Columns of K and Q; None for W itself.
    dtype: Of the parameters.

  Returns:
    {W}, or {K, Q}.
  """
  # The head has no parameters here.
  nothing = jnp.zeros((), dtype)
  if rank is None:
    net: Any = Attention(lambda x: nothing, dtype=dtype)
  else:
    net = KeyQueryAttention(lambda x: nothing, rank, dtype=dtype)
  variables: Any = net.init(key, X[:1], Z[:1])
  return variables['params']


def zero_start(
  key: Key[Array, ''],
  X: Float[Array, 'n T d'],
  Z: Float[Array, 'n q'],
  rank: int | None,
  dtype: Any,
) -> dict[str, Array]:
  """W = 0; or Q = 0 and K small, as K = Q = 0 is stationary.

  Args:
    key: A key.
    X: Tokens.
    Z: Queries.
    rank: Columns of K and Q; None for W itself.
    dtype: Of the parameters.

  Returns:
    {W}, or {K, Q} with K of standard deviation 0.1.
  """
  d, q = X.shape[-1], Z.shape[-1]
  if rank is None:
    return {'W': jnp.zeros((d, q), dtype)}
  K = draws.normal(key, (d, rank), jnp.float32).astype(dtype)
  return {'K': 0.1 * K, 'Q': jnp.zeros((q, rank), dtype)}


def weights_of(params: dict[str, Array]) -> Float[Array, 'd q']:
  """W of either parametrisation."""
  return params['W'] if 'W' in params else params['K'] @ params['Q'].T


def _mix(s: Float[Array, 'n T'], X: Float[Array, 'n T d']):
  return jnp.einsum('nt,ntd->nd', s, X)
