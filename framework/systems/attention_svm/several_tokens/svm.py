"""The equivalent of an attention layer that keeps several tokens an input.

Let O_i be the tokens of input i that keep a share s_it of the attention. Then

    W ≈ W_fin + C W_dir,

with the smallest W_fin that has the log-ratios of the shares,

    (x_it − x_iτ)ᵀ W z_i = log(s_it / s_iτ)   for t, τ in O_i,

and the smallest W_dir that has 0 there and (x_it − x_iτ)ᵀ W z_i ≥ 1 for t in
O_i and τ not. One equation for each kept token, relative to the one of the
largest share, says the same as all pairs.

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from framework.maths.margin import Constraints, Solution, constraints, svm
from framework.systems.attention_svm.rows import margin_rows

__all__ = [
  'Equivalent',
  'general_svm',
  'select_tokens',
  'svm_equivalent',
  'token_rows',
]


class Equivalent(NamedTuple):
  """W_fin and W_dir with their certificates."""

  finite: Solution
  direction: Solution


def select_tokens(
  shares: Float[Array, 'n T'],
  mask: Bool[Array, 'n T'] | None = None,
  high: float = 1e-3,
  low: float = 1e-6,
) -> tuple[Bool[Array, 'n T'], Bool[Array, '']]:
  """Tokens that keep attention, and whether the rest has clearly lost it.

  Args:
    shares: Softmax of each input.
    mask: Which tokens exist.
    high: A token with so much is kept.
    low: A token with no more is not.

  Returns:
    (kept tokens, whether no share is between).

  Raises:
    ValueError: If the thresholds are not 0 < low < high.

  >>> kept, clear = select_tokens(jnp.array([[0.9, 0.1, 1e-9]]))
  >>> print(kept, clear)
  [[ True  True False]] True
  """
  if not 0 < low < high:
    raise ValueError(
      f'low and high are {low:g} and {high:g}, expected 0 < low < high'
    )
  there = jnp.ones(shares.shape, bool) if mask is None else mask
  between = there & (shares > low) & (shares < high)
  return there & (shares >= high), ~jnp.any(between)


def token_rows(
  X: Float[Array, 'n T d'],
  Z: Float[Array, 'n q'],
  shares: Float[Array, 'n T'],
  kept: Bool[Array, 'n T'],
  mask: Bool[Array, 'n T'] | None = None,
) -> tuple[Constraints, Constraints]:
  """The rows of W_fin and those of W_dir.

  Args:
    X: Tokens.
    Z: Queries.
    shares: Softmax of each input; only those of kept tokens are read.
    kept: O_i as a mask. An input that keeps none asks nothing.
    mask: Which tokens exist.

  Returns:
    (equations with log-ratios, equations with 0 and inequalities with 1).
  """
  n, T = kept.shape
  there = jnp.ones((n, T), bool) if mask is None else mask
  kept = kept & there
  there &= jnp.any(kept, 1, keepdims=True)
  safe = jnp.where(kept, shares, 1)
  pivot = jnp.argmax(jnp.where(kept, shares, -1), 1)
  rows = margin_rows(X, Z, pivot, there)

  def by_row(values):  # (n, T) -> (n (T − 1),), as margin_rows orders them
    t = jnp.arange(T - 1)[None]
    others = t + (t >= pivot[:, None])
    return jnp.take_along_axis(values, others, 1).reshape(-1)

  equal = by_row(kept) & rows.present
  log = jnp.log(safe)
  ratio = jnp.take_along_axis(log, pivot[:, None], 1) - log
  finite = constraints(rows.D, rows.Z, by_row(ratio), True, equal)
  bound = jnp.where(equal, 0.0, rows.bound)
  return finite, constraints(rows.D, rows.Z, bound, equal, rows.present)


def general_svm(
  X: Float[Array, 'n T d'],
  Z: Float[Array, 'n q'],
  shares: Float[Array, 'n T'],
  kept: Bool[Array, 'n T'],
  mask: Bool[Array, 'n T'] | None = None,
  norm: str = 'frobenius',
) -> Equivalent:
  """W_fin and W_dir of the kept tokens.

  Args:
    X: Tokens.
    Z: Queries.
    shares: Softmax of each input.
    kept: O_i as a mask.
    mask: Which tokens exist.
    norm: The norm that W_dir is least in; W_fin is always of least Frobenius
      norm.

  Returns:
    Both solutions. With one token kept an input W_fin = 0 and W_dir is the
    ordinary solution; with none lost W_dir = 0.

  >>> import jax
  >>> X = jnp.eye(3)[None]
  >>> kept = jnp.array([[True, True, False]])
  >>> shares = jnp.array([[0.8, 0.2, 0.0]])
  >>> both = jax.jit(general_svm)(X, jnp.ones((1, 1)), shares, kept)
  >>> print(both.finite.W.T.round(3), both.direction.W.T.round(3))
  [[ 0.693 -0.693  0.   ]] [[ 0.333  0.333 -0.667]]
  """
  finite, direction = token_rows(X, Z, shares, kept, mask)
  n = len(X)
  return Equivalent(svm(finite, queries=n), svm(direction, norm, queries=n))


def svm_equivalent(
  W: Float[Array, 'd q'],
  finite: Float[Array, 'd q'],
  direction: Float[Array, 'd q'],
) -> Float[Array, 'd q']:
  """W_fin + C W_dir with the C of least squares, <W_dir, W − W_fin> / ‖W_dir‖².

  >>> one = jnp.ones((1, 1))
  >>> print(svm_equivalent(5 * one, one, 2 * one))
  [[5.]]
  """
  square = jnp.sum(direction**2)
  C = jnp.sum(direction * (W - finite)) / jnp.where(square > 0, square, 1)
  return finite + C * direction
