"""Trained attention heads as margin problems.

A head with biases and a scale attends by

    a_st = (Wq h_s + bq)ᵀ (Wk h_t + bk)/√h = x_tᵀ W z_s,
    x_t = (h_t, 1),  z_s = (h_s, 1),   W = [Wk bk]ᵀ [Wq bq]/√h,

so it is attention with one matrix W, of rank h. What it does to one text
depends on the part of W between the spans of the differences of tokens and of
the queries alone: there the problem has at most T × n unknowns, and least norms
are what they were. With α_s the token that query s attends to most, W has
margins min (x_α − x_t)ᵀ W z_s > 0, and the SVM of α the largest possible ones.

How near a head is to it is a measurement; no theorem speaks of networks of many
layers, trained for a finite time on something else. One does of what follows:
with score 1 for the α_s and 0 for all other tokens (scores of non-optimal
tokens are equal) no W is stationary and ⟨∇L(W), W_svm⟩ < 0 at every W, so
training from anywhere, such as from the head, grows along the SVM. It need not
end there: where the SVM of the other queries alone keeps a query that has
strayed off its token by more than their margin, its pull vanishes faster than
theirs, and it stays off. That is rare.

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Key

from framework.maths import draws, linalg
from framework.maths.margin import Constraints, margins, svm
from framework.probes import cosine
from framework.system import System
from framework.systems.attention_svm import gradient as horizon
from framework.systems.attention_svm.layer import logits
from framework.systems.attention_svm.losses import logistic
from framework.systems.attention_svm.probes import margin_ratio
from framework.systems.attention_svm.rows import margin_rows

__all__ = [
  'ATTRIBUTES',
  'Data',
  'Hp',
  'Problem',
  'Reduced',
  'Structure',
  'head_matrix',
  'reduce',
  'system',
]

ATTRIBUTES = {
  'alignment': {'long_name': 'cosine of W and W_svm', 'units': '1'},
  'margin_ratio': {'long_name': 'margin of W over the greatest', 'units': '1'},
  'share': {
    'long_name': 'attention on the choice, mean',
    'units': '1',
  },
  'share_min': {
    'long_name': 'attention on the choice, least',
    'units': '1',
  },
  'kept': {'long_name': 'queries attending to what the head did', 'units': '1'},
  'rank': {'long_name': '(Σσ)²/Σσ² of W', 'units': '1'},
  'logit_margin': {'long_name': 'least margin ⟨A, W⟩', 'units': '1'},
  'feasible': {'long_name': 'the SVM has a solution', 'units': '1'},
  'gap': {'long_name': '(primal − dual)/primal', 'units': '1'},
  'visible': {'long_name': '‖W‖ between the spans, of all', 'units': '1'},
}


class Data(NamedTuple):
  """Layers of heads and what goes into them."""

  Wq: Float[Array, 'layers d d']
  Wk: Float[Array, 'layers d d']
  bq: Float[Array, 'layers d']
  bk: Float[Array, 'layers d']
  hidden: Float[Array, 'layers passages T d']


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane."""

  eta: Float[ArrayLike, ''] = 0.3  # length of a step
  head_index: Int[ArrayLike, ''] = 0  # layer × heads + head
  null: Float[ArrayLike, ''] = 0.0  # 1: random weights of the same rank


@dataclasses.dataclass(frozen=True)
class Structure:
  """Heads of a layer and queries of a passage: fixed in the program.

  Raises:
    ValueError: If a size is out of range, naming it.
  """

  heads: int = 12  # of a layer
  queries: int = 8  # drawn from the passage
  causal: bool = False  # a query sees what comes up to it
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    for name in ('heads', 'queries'):
      value = getattr(self, name)
      if value < 1:
        raise ValueError(f'{name} is {value}, expected an integer >= 1')


class Reduced(NamedTuple):
  """Attention within the spans that a text has."""

  X: Float[Array, 'T r']  # centred tokens; root mean square length 1
  Z: Float[Array, 'n q']  # queries; root mean square length 1
  W: Float[Array, 'r q']
  visible: Float[Array, '']  # ‖W‖ in the spans over all of it


class Problem(NamedTuple):
  """One head on one text: tokens, queries, its choices, their SVM."""

  X: Float[Array, 'n T r']
  Z: Float[Array, 'n q']
  mask: Bool[Array, 'n T']
  tokens: Int[Array, ' n']  # α: what the head attends to
  start: Float[Array, 'r q']  # the head
  rows: Constraints
  W: Float[Array, 'r q']  # the SVM of α
  least: Float[Array, '']  # its norm
  feasible: Bool[Array, '']
  gap: Float[Array, '']
  visible: Float[Array, '']


def head_matrix(
  Wq: Float[Array, 'h d'],
  Wk: Float[Array, 'h d'],
  bq: Float[Array, ' h'],
  bk: Float[Array, ' h'],
) -> Float[Array, 'd1 d1']:
  """W = [Wk bk]ᵀ [Wq bq]/√h: logits (h_t, 1)ᵀ W (h_s, 1).

  Args:
    Wq: Rows of the query's weights that belong to the head.
    Wk: Those of the key's.
    bq: Bias of the query.
    bk: Bias of the key, which no softmax sees.

  Returns:
    W, of rank h at most.

  >>> one = jnp.ones((1, 1))
  >>> print(head_matrix(2 * one, 3 * one, one[0], 0 * one[0]))
  [[6. 3.]
   [0. 0.]]
  """
  query = jnp.concatenate([Wq, bq[:, None]], 1)
  key = jnp.concatenate([Wk, bk[:, None]], 1)
  return key.T @ query / jnp.sqrt(jnp.asarray(len(Wq), Wq.dtype))


def reduce(
  tokens: Float[Array, 'T d'],
  queries: Float[Array, 'n d'],
  W: Float[Array, 'd1 d1'],
) -> Reduced:
  """Coordinates in the spans of token differences and of queries.

      x̃_tᵀ W̃ z̃_s = (x_t − x̄)ᵀ W z_s: softmax and margins are the same.

  Args:
    tokens: h_t.
    queries: h_s.
    W: As `head_matrix` makes it.

  Returns:
    The problem in min(T, d) × min(n, d + 1) unknowns.
  """
  centred = tokens - jnp.mean(tokens, 0, keepdims=True)
  X = jnp.pad(centred, ((0, 0), (0, 1)))  # the constant drops out
  Z = jnp.pad(queries, ((0, 0), (0, 1)), constant_values=1)
  left, right = _basis(X), _basis(Z)
  X, Z, inside = X @ left.T, Z @ right.T, left @ W @ right.T
  x, z = (jnp.sqrt(jnp.mean(jnp.sum(F**2, 1))) for F in (X, Z))
  share = jnp.sqrt(jnp.sum(inside**2) / jnp.sum(W**2))
  return Reduced(X / x, Z / z, inside * (x * z), share)


def _basis(F: Float[Array, 'm k']) -> Float[Array, 'r k']:
  """Orthonormal rows that span those of F; as many as can be, the rest 0.

  Directions that no row has would be arbitrary, and W has a part along them.
  """
  _, values, Vt = linalg.svd(F)
  needed = values > max(F.shape) * jnp.finfo(F.dtype).eps * values[0]
  return jnp.where(needed[:, None], Vt, 0)


def system(structure: Structure) -> System:
  """Training a head, from where it is, on what it already attends to.

      W ← W − η ∇L/‖∇L‖,   L = (1/n) Σ_s ℓ(attention of s on α_s)

  At step 0 the observations are those of the head itself. A seed draws a
  passage and the positions that query.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp` whose `sample` takes `Data`. Observations: alignment
    cos(W, W_svm); margin_ratio; share and share_min, mean and least attention
    on α; kept, the share of queries still attending to α; rank, the
    participation ratio (Σσ)²/Σσ² of W; logit_margin; feasible; gap; visible.
  """
  s = structure

  def sample(key: Key[Array, ''], hp: Hp, data: Data) -> Problem:
    key_passage, key_queries, key_null = jax.random.split(key, 3)
    # What numpy holds cannot be indexed by a tracer.
    data = Data(*map(jnp.asarray, data))
    d = data.Wq.shape[-1]
    h = d // s.heads
    layer, which = jnp.divmod(jnp.asarray(hp.head_index), s.heads)

    def part(x, axis):  # the head's rows
      own = jnp.asarray(x[layer], s.dtype)
      return jax.lax.dynamic_slice_in_dim(own, which * h, h, axis)

    Wq, Wk, bq, bk = (part(x, 0) for x in (data.Wq, data.Wk, data.bq, data.bk))
    W = head_matrix(Wq, Wk, bq, bk)
    passages, T = data.hidden.shape[1:3]
    passage = jax.random.randint(key_passage, (), 0, passages)
    hidden = jnp.asarray(data.hidden[layer, passage], s.dtype)
    places = jax.random.permutation(key_queries, T)[: s.queries]
    key_null = jax.random.fold_in(key_null, hp.head_index)
    drawn = draws.normal(key_null, (2, h, d), s.dtype)
    zeros = jnp.zeros(h, s.dtype)
    random = head_matrix(drawn[0], drawn[1], zeros, zeros)
    random = random * jnp.sqrt(jnp.sum(W**2) / jnp.sum(random**2))
    W = jnp.where(jnp.asarray(hp.null) > 0, random, W)
    return problem_of(hidden, places, W, s.causal)

  def init(key, problem: Problem, hp: Hp) -> Float[Array, 'r q']:
    del key, hp
    return problem.start

  def gradient(W, problem: Problem) -> horizon.ScaledGradient:
    T = problem.X.shape[1]
    gamma = (jnp.arange(T)[None] == problem.tokens[:, None]).astype(s.dtype)
    return horizon.gradient(
      W, problem.X, problem.Z, gamma, logistic, problem.mask
    )

  def step(key, W, problem: Problem, hp: Hp) -> Float[Array, 'r q']:
    del key
    G = gradient(W, problem).tree['W']
    size = jnp.sqrt(jnp.sum(G**2))
    return W - jnp.asarray(hp.eta, s.dtype) * G / jnp.where(size > 0, size, 1)

  def observe(W, problem: Problem, hp: Hp) -> dict[str, Array]:
    del hp
    a = logits(W, problem.X, problem.Z, problem.mask)
    own = jax.nn.softmax(a, -1)
    own = jnp.take_along_axis(own, problem.tokens[:, None], 1)
    own_margins = jnp.where(
      problem.rows.present, margins(W, problem.rows), jnp.inf
    )
    sigma = linalg.singular_values(W)
    return {
      'alignment': cosine(W, problem.W),
      'margin_ratio': margin_ratio(W, problem.rows, problem.least),
      'share': jnp.mean(own),
      'share_min': jnp.min(own),
      'kept': jnp.mean(jnp.argmax(a, -1) == problem.tokens, dtype=s.dtype),
      'rank': jnp.sum(sigma) ** 2 / jnp.sum(sigma**2),
      'logit_margin': jnp.min(own_margins),
      'feasible': problem.feasible.astype(s.dtype),
      'gap': problem.gap,
      'visible': problem.visible,
    }

  return System(sample, init, step, observe)


def problem_of(
  hidden: Float[Array, 'T d'],
  places: Int[Array, ' n'],
  W: Float[Array, 'd1 d1'],
  causal: bool = False,
) -> Problem:
  """The margin problem of one head on one text.

  Args:
    hidden: What goes into the layer.
    places: Positions that query. With `causal` position 0 has no choice and
      asks nothing.
    W: The head, as `head_matrix` makes it.
    causal: Whether a query sees only what comes up to it.

  Returns:
    A `Problem` with the SVM of what the head attends to.
  """
  n, T = len(places), len(hidden)
  small = reduce(hidden, hidden[places], W)
  X = jnp.broadcast_to(small.X[None], (n, *small.X.shape))
  seen = jnp.arange(T)[None] <= places[:, None]
  mask = seen if causal else jnp.ones((n, T), bool)
  tokens = jnp.argmax(logits(small.W, X, small.Z, mask), -1)
  rows = margin_rows(X, small.Z, tokens, mask)
  solution = svm(rows)
  certificate = solution.certificate
  return Problem(
    X,
    small.Z,
    mask,
    tokens,
    small.W,
    rows,
    solution.W,
    certificate.primal,
    certificate.feasible,
    certificate.gap,
    small.visible,
  )
