"""How near attention is to an SVM, and to which.

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from framework.maths.margin import (
  Constraints,
  margins,
  neighbours,
  norm_named,
)
from framework.systems.attention_svm.rows import multipliers_by_token

__all__ = [
  'OUTCOMES',
  'all_support',
  'locally_optimal',
  'margin_ratio',
  'outcome',
  'selected_share',
  'separates_at_zero',
  'support_tokens',
]

OUTCOMES = ('global', 'local', 'not local', 'unsaturated', 'infeasible')


def margin_ratio(
  W: Float[Array, 'd q'],
  rows: Constraints,
  least: Float[Array, ''],
  norm: str = 'frobenius',
) -> Float[Array, '']:
  """The margin of W over the greatest at its norm, in (−∞, 1].

      min_r ⟨A_r, W⟩ · ‖W_svm‖/‖W‖

  1 exactly where W is a solution up to scale, whether or not that is unique.

  Args:
    W: Attention weights.
    rows: The constraints, all with bound 1.
    least: ‖W_svm‖.
    norm: Whose margin is meant.

  Returns:
    The ratio; 0 for W = 0.

  >>> from framework.maths.margin import constraints
  >>> rows = constraints(jnp.eye(2), jnp.ones((2, 1)))
  >>> W = jnp.array([[4.0], [2.0]])
  >>> round(float(margin_ratio(W, rows, jnp.sqrt(2.0))), 4)
  0.6325
  """
  margin = jnp.where(rows.present, margins(W, rows), jnp.inf)
  size = norm_named(norm).value(W)
  zero = size == 0
  return jnp.where(zero, 0, jnp.min(margin) * least / jnp.where(zero, 1, size))


def support_tokens(
  W: Float[Array, 'd q'],
  rows: Constraints,
  tokens: Int[Array, ' n'],
  T: int,
  tolerance: float = 1e-4,
) -> Bool[Array, 'n T']:
  """The SVM-neighbours of the selected tokens: those at margin 1.

  Args:
    W: The solution for `rows`.
    rows: `margin_rows` of the selected tokens.
    tokens: The selected tokens α_i.
    T: Tokens a sample.
    tolerance: How near to 1 counts.

  Returns:
    Which tokens are neighbours.
  """
  near = neighbours(W, rows, tolerance)
  return multipliers_by_token(near.astype(W.dtype), tokens, T) > 0


def locally_optimal(
  gamma: Float[Array, 'n T'],
  tokens: Int[Array, ' n'],
  support: Bool[Array, 'n T'],
) -> Bool[Array, '']:
  """Whether γ_iα > γ_it for every neighbour t of every selected token.

  >>> gamma = jnp.array([[1.0, 2.0, 0.0]])
  >>> near = jnp.array([[False, False, True]])
  >>> print(locally_optimal(gamma, jnp.array([0]), near))
  True
  """
  own = jnp.take_along_axis(gamma, tokens[:, None], 1)
  return jnp.all((own > gamma) | ~support)


def all_support(
  support: Bool[Array, 'n T'],
  tokens: Int[Array, ' n'],
  mask: Bool[Array, 'n T'],
) -> Bool[Array, '']:
  """Assumption B.1: every token that is not selected is a support token."""
  selected = jnp.arange(mask.shape[1])[None] == tokens[:, None]
  return jnp.all(support | selected | ~mask)


def selected_share(
  attention: Float[Array, 'n T'], tokens: Int[Array, ' n']
) -> Float[Array, ' n']:
  """Softmax on the selected token of each sample."""
  return jnp.take_along_axis(attention, tokens[:, None], 1)[:, 0]


def outcome(
  gamma: Float[Array, 'n T'],
  optimal: Int[Array, ' n'],
  tokens: Int[Array, ' n'],
  support: Bool[Array, 'n T'],
  feasible: Bool[Array, ''],
  share: Float[Array, ' n'],
  saturated: float = 0.99,
) -> Int[Array, '']:
  """How a run ended, as an index into `OUTCOMES`.

  Args:
    gamma: Scores.
    optimal: argmax of the scores.
    tokens: Selected tokens, argmax of attention.
    support: Their SVM-neighbours.
    feasible: Whether their SVM has a solution.
    share: Softmax on the selected tokens.
    saturated: What each of them must have.

  Returns:
    unsaturated if a sample has not made its choice; else infeasible if no W
    separates the choices; else global, local (all neighbours score less) or
    not local.
  """
  best = jnp.all(tokens == optimal)
  local = locally_optimal(gamma, tokens, support)
  code = jnp.where(best, 0, jnp.where(local, 1, 2))
  code = jnp.where(feasible, code, 4)
  return jnp.where(jnp.min(share) < saturated, 3, code)


def separates_at_zero(
  gradient: Float[Array, 'd q'], rows: Constraints
) -> Bool[Array, '']:
  """Whether −∇L(0) separates all rows: a first step in the right direction.

  Args:
    gradient: ∇L(0).
    rows: `margin_rows` of the optimal tokens.

  Returns:
    Whether ⟨A_r, −∇L(0)⟩ > 0 for every row.
  """
  return jnp.all((margins(-gradient, rows) > 0) | ~rows.present)
