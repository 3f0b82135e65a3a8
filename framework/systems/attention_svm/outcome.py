"""Where a run ended: its tokens, their SVM, and how near W came to it.

The SVM depends on the selected tokens alone, so it is solved once a lane, for
the tokens of the last step (or for the optimal ones, without any training).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from framework.maths.margin import svm
from framework.systems.attention_svm import layer as attention
from framework.systems.attention_svm import probes
from framework.systems.attention_svm.rows import margin_rows
from framework.systems.attention_svm.system import (
  Hp,
  Problem,
  Structure,
  gradient_of,
  logits_of,
)

__all__ = ['final']

RANK_TRAINED = 1e-2  # of σ_1: what a trained product's rank is counted from
RANK_SVM = 1e-5  # the same of a certified solution


def final(
  structure: Structure,
  norms: tuple[str, ...] = ('frobenius', 'nuclear'),
  *,
  tokens: str = 'selected',
  b1: bool = False,
) -> Callable[..., dict[str, Array]]:
  """What is observed once, at the last step.

  Args:
    structure: What is fixed in the compiled program.
    norms: In which the SVM is solved. Support tokens are those of the norm that
      belongs to the parametrisation (nuclear for KQᵀ) where it is among them,
      else of the first.
    tokens: 'selected': of the last attention; 'optimal': of the scores.
    b1: Whether to tell if the SVM of the optimal tokens has assumption B.1.

  Returns:
    (state, problem, hp) -> {share_end: least softmax of a selected token,
    rank: singular values of W above σ_1/100, spectrum (W recorded alone),
    outcome: index into `probes.OUTCOMES`, separates: whether −∇L(0) separates
    the optimal tokens, and for each norm alignment_ / margin_ratio_ / norm_ /
    rank_ / gap_ / feasible_ / infeasible_<norm>, with `weights` also
    svm_<norm>}; the facts of the problem.

  Raises:
    ValueError: If there is no norm, or `tokens` is neither.
  """
  s = structure
  if not norms:
    raise ValueError('norms is empty, expected at least one')
  if tokens not in ('selected', 'optimal'):
    raise ValueError(f'tokens is {tokens!r}, expected selected or optimal')
  home = 'nuclear' if s.form == 'kq' else 'frobenius'
  home = home if home in norms else norms[0]

  def observe(state: PyTree, problem: Problem, hp: Hp) -> dict[str, Array]:
    data, optimal = problem.data, problem.optimal
    n, T, _ = data.X.shape
    W = attention.weights_of(state.params)
    share = jax.nn.softmax(logits_of(state.params, data), -1)
    alpha = optimal if tokens == 'optimal' else jnp.argmax(share, -1)
    rows = margin_rows(data.X, data.Z, alpha, data.mask)
    seen = {
      'share_end': jnp.min(probes.selected_share(share, alpha)),
      'rank': probes.effective_rank(W, RANK_TRAINED),
      'separates': _separates(s, problem, hp),
    }
    support: Any = None
    feasible: Any = None
    for norm in norms:
      solution = svm(rows, norm, queries=n)
      found = solution.certificate
      there = jnp.where(found.feasible, solution.W, 0)
      rank = probes.effective_rank(there, RANK_SVM)
      if norm == home:
        near = probes.support_tokens(there, rows, alpha, T)
        support, feasible = near, found.feasible
      mine = {
        'alignment': probes.alignment(W, solution.W),
        'margin_ratio': probes.margin_ratio(W, rows, found.primal, norm),
        'norm': found.primal,
        'rank': jnp.where(found.feasible, rank, jnp.nan),
        'gap': found.gap,
        'feasible': found.feasible,
        'infeasible': found.infeasible,
      }
      seen |= {f'{name}_{norm}': x for name, x in mine.items()}
      if s.weights:
        seen[f'svm_{norm}'] = solution.W
    seen['outcome'] = probes.outcome(
      data.gamma,
      optimal,
      alpha,
      support,
      feasible,
      probes.selected_share(share, alpha),
    )
    if b1:
      seen['b1'] = _b1(problem)
    return seen | (problem.facts or {})

  return observe


def _separates(s: Structure, problem: Problem, hp: Hp) -> Array:
  """Whether −∇L(0) already has a positive margin for the optimal tokens."""
  data = problem.data
  zero = {'W': jnp.zeros((data.X.shape[-1], data.Z.shape[-1]), s.dtype)}
  gradient = gradient_of(s)(zero, data, hp)[1].tree['W']
  rows = margin_rows(data.X, data.Z, problem.optimal, data.mask)
  return probes.separates_at_zero(gradient, rows)


def _b1(problem: Problem) -> Array:
  """Whether all tokens support the SVM of the optimal ones."""
  data, optimal = problem.data, problem.optimal
  rows = margin_rows(data.X, data.Z, optimal, data.mask)
  solution = svm(rows, queries=len(data.X))
  there = jnp.where(solution.certificate.feasible, solution.W, 0)
  support = probes.support_tokens(there, rows, optimal, data.X.shape[1])
  every = probes.all_support(support, optimal, data.mask)
  return every & solution.certificate.feasible
