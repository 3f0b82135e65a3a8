"""Constraints of attention's hard-margin problems: rank-one rows with a mask.

Row r asks of the matrix W that

    ⟨A_r, W⟩ = d_rᵀ W z_r  ≥ b_r   (or = b_r),    A_r = d_r z_rᵀ,

with a difference of tokens d_r and a query z_r. The matrices A_r are never
formed: all that a solver needs is G = (D Dᵀ) ∘ (Z Zᵀ), the Gram matrix of the
rows, and sums Σ λ_r A_r = Dᵀ diag(λ) Z. Rows that are not `present` ask
nothing, so that ragged problems fit one program.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

__all__ = [
  'Constraints',
  'combine',
  'concatenate',
  'constraints',
  'gram',
  'margin_rows',
  'margins',
  'multipliers_by_token',
]


class Constraints(NamedTuple):
  """d_rᵀ W z_r ≥ b_r, or = b_r, for the rows that are present."""

  D: Float[Array, 'm d']
  Z: Float[Array, 'm q']
  bound: Float[Array, ' m']
  equality: Bool[Array, ' m']
  present: Bool[Array, ' m']


def constraints(
  D: Float[Array, 'm d'],
  Z: Float[Array, 'm q'],
  bound: Float[Array, ' m'] | float = 1.0,
  equality: Bool[Array, ' m'] | bool = False,
  present: Bool[Array, ' m'] | bool = True,
) -> Constraints:
  """Rows from their factors.

  Args:
    D: Differences of tokens d_r.
    Z: Queries z_r.
    bound: b_r, not negative for an inequality.
    equality: Whether the row is an equation.
    present: Whether the row is there at all; others may hold anything.

  Returns:
    The rows, zero where absent.

  Raises:
    ValueError: If shapes do not fit.

  >>> rows = constraints(jnp.eye(2), jnp.ones((2, 1)))
  >>> print(margins(jnp.array([[1.0], [3.0]]), rows))
  [1. 3.]
  """
  D, Z = jnp.asarray(D), jnp.asarray(Z)
  if D.ndim != 2 or Z.ndim != 2 or len(D) != len(Z):
    raise ValueError(
      f'D and Z have shapes {D.shape} and {Z.shape}, expected (m, d) and (m, q)'
    )
  m, dtype = len(D), jnp.result_type(D, Z, jnp.float32)
  try:
    there = jnp.broadcast_to(jnp.asarray(present, bool), (m,))
    equal = jnp.broadcast_to(jnp.asarray(equality, bool), (m,))
    b = jnp.broadcast_to(jnp.asarray(bound, dtype), (m,))
  except ValueError as error:
    raise ValueError(
      f'bound, equality, present do not fit {m} rows: {error}'
    ) from None
  return Constraints(
    jnp.where(there[:, None], D, 0).astype(dtype),
    jnp.where(there[:, None], Z, 0).astype(dtype),
    jnp.where(there, b, 0),
    equal & there,
    there,
  )


def margin_rows(
  X: Float[Array, 'n T d'],
  Z: Float[Array, 'n q'],
  tokens: Int[Array, ' n'],
  mask: Bool[Array, 'n T'] | None = None,
  bound: Float[Array, ' n'] | float = 1.0,
) -> Constraints:
  """(x_iα − x_it)ᵀ W z_i ≥ b_i for all t ≠ α_i: the rows of Att-SVM.

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


def concatenate(*parts: Constraints) -> Constraints:
  """All rows of all parts.

  >>> rows = constraints(jnp.eye(2), jnp.ones((2, 1)))
  >>> concatenate(rows, rows).D.shape
  (4, 2)
  """
  return Constraints(
    *(jnp.concatenate(field) for field in zip(*parts, strict=True))
  )


def margins(W: Float[Array, 'd q'], rows: Constraints) -> Float[Array, ' m']:
  """⟨A_r, W⟩ = d_rᵀ W z_r, zero for absent rows."""
  return jnp.sum((rows.D @ W) * rows.Z, 1)


def combine(
  multipliers: Float[Array, ' m'], rows: Constraints
) -> Float[Array, 'd q']:
  """Σ_r λ_r A_r = Dᵀ diag(λ) Z."""
  return (rows.D * multipliers[:, None]).T @ rows.Z


def gram(rows: Constraints) -> Float[Array, 'm m']:
  """G_rs = ⟨A_r, A_s⟩ = ⟨d_r, d_s⟩ ⟨z_r, z_s⟩.

  >>> print(gram(constraints(jnp.eye(2), jnp.ones((2, 1)))))
  [[1. 0.]
   [0. 1.]]
  """
  return (rows.D @ rows.D.T) * (rows.Z @ rows.Z.T)
