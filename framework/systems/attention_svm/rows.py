"""Constraints of attention's hard-margin problem, and its solution.

For tokens α_i selected by each sample,

    W_α = argmin ‖W‖  s.t.  (x_iα − x_it)ᵀ W z_i ≥ 1   for all t ≠ α_i.

Trained attention turns to W_α of the tokens that it selects, in the Frobenius
norm if W is trained and in the nuclear norm if K and Q of W = KQᵀ are.

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from framework.maths.margin.certificate import Solution
from framework.maths.margin.rows import Constraints, constraints
from framework.maths.margin.solve import svm

__all__ = ['margin_rows', 'multipliers_by_token', 'solve']


def solve(
  X: Float[Array, 'n T d'],
  Z: Float[Array, 'n q'],
  tokens: Int[Array, ' n'],
  norm: str = 'frobenius',
  mask: Bool[Array, 'n T'] | None = None,
) -> Solution:
  """The least W whose attention prefers the selected tokens by a margin of 1.

  Args:
    X: Tokens.
    Z: Queries.
    tokens: The selected token α_i of each sample.
    norm: 'frobenius', 'nuclear', 'spectral', 'l1' or 'linf'.
    mask: Which tokens exist; all when None.

  Returns:
    W, NaN unless feasible; multipliers; the certificate of both.

  Raises:
    ValueError: If shapes do not fit, or there is no such norm.

  >>> X = jnp.array([[[1.0, 0.0], [0.0, 1.0]]])
  >>> found = solve(X, jnp.ones((1, 1)), jnp.array([0]))
  >>> print(found.W.T.round(4), found.certificate.feasible)
  [[ 0.5 -0.5]] True
  """
  return svm(margin_rows(X, Z, tokens, mask), norm, queries=len(Z))


def margin_rows(
  X: Float[Array, 'n T d'],
  Z: Float[Array, 'n q'],
  tokens: Int[Array, ' n'],
  mask: Bool[Array, 'n T'] | None = None,
  bound: Float[Array, ' n'] | float = 1.0,
) -> Constraints:
  """(x_iα − x_it)ᵀ W z_i ≥ b_i for all t ≠ α_i.

  With a constant query z_i = 1 these are the rows of the prompt problem, with
  W a column.

  Args:
    X: Tokens (or keys).
    Z: Queries.
    tokens: The selected token α_i of each input.
    mask: Which tokens exist. An input whose selected token does not exist asks
      nothing.
    bound: b_i, the same for all tokens of an input.

  Returns:
    n (T − 1) rows, those of input i together, t ascending without α_i.

  Raises:
    ValueError: If there are fewer than two tokens, or shapes do not fit.

  >>> X = jnp.array([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]])
  >>> print(margin_rows(X, jnp.ones((1, 1)), jnp.array([1])).D)
  [[-1.  1.]
   [ 0.  1.]]

  References:
    Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
    Machines", arXiv:2308.16898.
  """
  X, Z, tokens = jnp.asarray(X), jnp.asarray(Z), jnp.asarray(tokens)
  if X.ndim != 3 or Z.ndim != 2 or tokens.ndim != 1:
    raise ValueError(
      f'X, Z, tokens have shapes {X.shape}, {Z.shape}, {tokens.shape}, '
      'expected (n, T, d), (n, q), (n,)'
    )
  n, T, d = X.shape
  if T < 2:
    raise ValueError(f'T is {T}, expected at least 2 tokens to choose among')
  if len(Z) != n or len(tokens) != n:
    raise ValueError(
      f'X, Z, tokens are of {n}, {len(Z)}, {len(tokens)} inputs, expected as '
      'many of each'
    )
  mask = jnp.ones((n, T), bool) if mask is None else jnp.asarray(mask, bool)
  if mask.shape != (n, T):
    raise ValueError(f'mask has shape {mask.shape}, expected {(n, T)}')
  others = _others(tokens, T)
  chosen = jnp.take_along_axis(X, tokens[:, None, None], 1)
  rest = jnp.take_along_axis(X, others[:, :, None], 1)
  there = jnp.take_along_axis(mask, others, 1) & jnp.take_along_axis(
    mask, tokens[:, None], 1
  )
  m = n * (T - 1)
  bound = jnp.broadcast_to(jnp.asarray(bound, X.dtype), (n,))
  return constraints(
    (chosen - rest).reshape(m, d),
    jnp.repeat(Z, T - 1, 0),
    jnp.repeat(bound, T - 1),
    present=there.reshape(m),
  )


def _others(tokens: Int[Array, ' n'], T: int) -> Int[Array, 'n k']:
  """The T − 1 tokens of each input that are not the selected one."""
  t = jnp.arange(T - 1)
  return t[None] + (t[None] >= tokens[:, None])


def multipliers_by_token(
  multipliers: Float[Array, ' m'], tokens: Int[Array, ' n'], T: int
) -> Float[Array, 'n T']:
  """λ_it of the rows of `margin_rows`, with zero for the selected token.

  >>> print(multipliers_by_token(jnp.array([5.0, 7.0]), jnp.array([1]), 3))
  [[5. 0. 7.]]
  """
  n = len(tokens)
  by_input = multipliers.reshape(n, T - 1)
  out = jnp.zeros((n, T), multipliers.dtype)
  return out.at[jnp.arange(n)[:, None], _others(tokens, T)].set(by_input)
