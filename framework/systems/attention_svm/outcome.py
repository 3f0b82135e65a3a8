"""Where a run ended: its tokens, their SVM, and how near W came to it.

The SVM depends on the selected tokens alone, so it is solved once a lane, for
the tokens of the last step (or for the optimal ones, without any training).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from framework.maths.linalg import singular_values
from framework.maths.margin import norm_named, svm
from framework.probes import cosine, numerical_rank
from framework.systems.attention_svm import layer, probes
from framework.systems.attention_svm.rows import margin_rows
from framework.systems.attention_svm.system import (
  Hp,
  Problem,
  Structure,
  gradient_of,
  logits_of,
)

__all__ = ['ATTRIBUTES', 'final', 'optimal', 'own_norm', 'selected']

RANK_TRAINED = 1e-2  # of σ_1: what a trained product's rank is counted from
RANK_SVM = 1e-5  # the same of a certified solution

_NORMS = {
  'frobenius': 'Frobenius',
  'nuclear': 'nuclear',
  'spectral': 'spectral',
  'l1': 'l1',
  'linf': 'linf',
}
ATTRIBUTES = {
  'share_end': {'long_name': 'least softmax of a chosen token', 'units': '1'},
  'rank': {'long_name': 'singular values of W above σ_1/100', 'units': '1'},
  'outcome': {
    'long_name': f'0 ... 4: {", ".join(probes.OUTCOMES)}',
    'units': '1',
  },
  'separates': {'long_name': '−∇L(0) separates optimal tokens', 'units': '1'},
  'b1': {'long_name': 'all tokens support W^mm', 'units': '1'},
} | {
  f'{name}_{norm}': {'long_name': f'{text}, {title} SVM', 'units': '1'}
  for norm, title in _NORMS.items()
  for name, text in (
    ('alignment', 'cosine of W'),
    ('margin_ratio', 'margin of W over the greatest'),
    ('norm', '‖W_svm‖'),
    ('rank', 'singular values above 1e-5 σ_1'),
    ('gap', '(primal − dual)/primal'),
    ('feasible', 'solution found'),
    ('infeasible', 'proved to have none'),
    ('svm', 'W_svm'),
  )
}


def selected(share: Float[Array, 'n T'], problem: Problem) -> Int[Array, ' n']:
  """The token of each sample that attention selects."""
  del problem
  return jnp.argmax(share, -1)


def optimal(share: Float[Array, 'n T'], problem: Problem) -> Int[Array, ' n']:
  """The token of each sample with the best score."""
  del share
  return problem.optimal


def own_norm(structure: Structure) -> str:
  """The norm of the SVM that a parametrisation turns to.

  >>> own_norm(Structure()), own_norm(Structure(rank=10))
  ('frobenius', 'nuclear')
  """
  return 'frobenius' if structure.rank is None else 'nuclear'


def final(
  structure: Structure,
  norms: tuple[str, ...] = ('frobenius', 'nuclear'),
  *,
  tokens: Callable[..., Int[Array, ' n']] = selected,
  b1: bool = False,
) -> Callable[..., dict[str, Array]]:
  """The end of a run: its tokens, their SVM in some norms, how near W is.

  Args:
    structure: What is fixed in the compiled program.
    norms: In which the SVM is solved. Support tokens are those of the norm that
      belongs to the parametrisation (nuclear for KQᵀ) where it is among them,
      else of the first.
    tokens: Whose SVM it is: `selected` by attention or `optimal`.
    b1: Whether to tell if the SVM of the optimal tokens has assumption B.1.

  Returns:
    (state, problem, hp) -> {share_end: least softmax of a selected token,
    rank: singular values of W above σ_1/100, outcome: index into
    `probes.OUTCOMES`, separates: whether −∇L(0) separates the optimal tokens,
    and for each norm alignment_ / margin_ratio_ / norm_ / rank_ / gap_ /
    feasible_ / infeasible_<norm>, with `weights` also svm_<norm>}. Units are in
    `ATTRIBUTES`.

  Raises:
    ValueError: If there is no norm, or one that is not known.
  """
  s = structure
  if not norms:
    raise ValueError('norms is empty, expected at least one')
  for norm in norms:
    norm_named(norm)
  home = own_norm(s)
  home = home if home in norms else norms[0]

  def observe(state: PyTree, problem: Problem, hp: Hp) -> dict[str, Array]:
    data = problem.data
    n, T, _ = data.X.shape
    W = layer.weights_of(state.params)
    share = jax.nn.softmax(logits_of(state.params, data), -1)
    alpha = tokens(share, problem)
    rows = margin_rows(data.X, data.Z, alpha, data.mask)
    seen = {
      'share_end': jnp.min(probes.selected_share(share, alpha)),
      'rank': numerical_rank(singular_values(W), RANK_TRAINED),
      'separates': _separates(s, problem, hp),
    }
    support: Any = None
    feasible: Any = None
    for norm in norms:
      solution = svm(rows, norm, queries=n)
      found = solution.certificate
      there = jnp.where(found.feasible, solution.W, 0)
      rank = numerical_rank(singular_values(there), RANK_SVM)
      if norm == home:
        near = probes.support_tokens(there, rows, alpha, T)
        support, feasible = near, found.feasible
      mine = {
        'alignment': cosine(W, solution.W),
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
      problem.optimal,
      alpha,
      support,
      feasible,
      probes.selected_share(share, alpha),
    )
    if b1:
      seen['b1'] = _b1(problem)
    return seen

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
  data, best = problem.data, problem.optimal
  rows = margin_rows(data.X, data.Z, best, data.mask)
  solution = svm(rows, queries=len(data.X))
  there = jnp.where(solution.certificate.feasible, solution.W, 0)
  support = probes.support_tokens(there, rows, best, data.X.shape[1])
  every = probes.all_support(support, best, data.mask)
  return every & solution.certificate.feasible
