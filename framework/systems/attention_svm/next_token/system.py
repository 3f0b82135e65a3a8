"""Next-token prediction with one attention layer, by gradient descent.

A sequence of tokens ends in a token k, whose embedding is the query; its label
is the token that comes next, one of the sequence. With an output head tied to
the embeddings, the probability of the label is the attention on its places:

    L(W) = −(1/n) Σ_i log Σ_t 1(x_it = y_i) s_it,   s_i = softmax(X_i W z_i),

convex in W. With S_fin the span of (e_i − e_j) e_kᵀ over tokens that share a
component of the graph of k (`graph`), gradient descent has

    Π_fin W(t) → W_fin       the minimiser of the cyclic subproblem,
    W(t)/‖W(t)‖ → W_svm/‖W_svm‖   the solution of the graph's SVM.

References:
  Li, Huang, Ildiz, Rawat, Oymak, "Mechanics of Next Token Prediction with
  Self-Attention", arXiv:2403.08081.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Key

from framework.descent import DescentState, descent
from framework.maths import draws, linalg
from framework.maths.margin import Constraints, svm
from framework.probes import cosine
from framework.system import System
from framework.systems.attention_svm.layer import logits
from framework.systems.attention_svm.next_token.cyclic import cyclic_subproblem
from framework.systems.attention_svm.next_token.graph import (
  graph_rows,
  priority_graph,
  relations,
)

__all__ = [
  'ATTRIBUTES',
  'Corpus',
  'Hp',
  'Laws',
  'Structure',
  'laws',
  'loss',
  'random_corpus',
  'split',
  'system',
]

ATTRIBUTES = {
  'loss': {'long_name': 'loss L', 'units': '1'},
  'excess': {'long_name': 'loss above its infimum', 'units': '1'},
  'finite_error': {'long_name': '‖Π_fin W − W_fin‖_F', 'units': '1'},
  'finite_norm': {'long_name': '‖W_fin‖_F', 'units': '1'},
  'direction_error': {'long_name': '1 − cos(Π_⊥ W, W_svm)', 'units': '1'},
  'norm': {'long_name': '‖W‖_F', 'units': '1'},
  'cyclic': {'long_name': 'dimension of S_fin', 'units': '1'},
  'ordered': {'long_name': 'a token has priority', 'units': '1'},
  'feasible': {
    'long_name': 'the graph has an SVM solution',
    'units': '1',
  },
}


class Corpus(NamedTuple):
  """Sequences and what comes after them."""

  E: Float[Array, 'K d']  # embeddings
  sequences: Int[Array, 'n T']
  last: Int[Array, ' n']  # the token whose query attends
  labels: Int[Array, ' n']  # one of the sequence
  mask: Bool[Array, 'n T']


class Laws(NamedTuple):
  """Where gradient descent goes."""

  direction: Float[Array, 'd d']  # W_svm; 0 if no token has priority
  finite: Float[Array, 'd d']  # W_fin
  span: Float[Array, 'd2 r']  # orthonormal basis of S_fin, zero columns else
  feasible: Bool[Array, '']
  gap: Float[Array, '']  # of the certificate of W_svm
  least: Float[Array, '']  # infimum of L: the loss of the cyclic subproblem


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane."""

  eta: Float[ArrayLike, ''] = 1.0  # step size
  init_scale: Float[ArrayLike, ''] = 0.0  # of W(0), Gaussian


@dataclasses.dataclass(frozen=True)
class Structure:
  """Sizes of a random corpus: each of them compiles a program of its own.

  Raises:
    ValueError: If a size is out of range, naming it.
  """

  K: int = 6  # vocabulary
  d: int = 8  # dimension of embeddings
  n: int = 7  # sequences
  T: int = 4  # tokens of each
  queries: int = 2  # tokens that sequences end in
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    for name, low in (('K', 2), ('n', 1), ('T', 2), ('queries', 1)):
      value = getattr(self, name)
      if value < low:
        raise ValueError(f'{name} is {value}, expected an integer >= {low}')
    if self.queries > self.K:
      raise ValueError(
        f'queries is {self.queries}, expected at most K = {self.K}'
      )
    if self.d < self.K:
      raise ValueError(
        f'd is {self.d}, expected at least K = {self.K}: independent embeddings'
      )

  @property
  def rows(self) -> int:
    """Rows of the graph's SVM at most: pairs of tokens for each query."""
    return self.queries * (self.K * (self.K - 1) // 2)


def random_corpus(
  key: Key[Array, ''],
  K: int,
  d: int,
  n: int,
  T: int,
  queries: int,
  dtype: Any = jnp.float32,
) -> Corpus:
  """Tokens, last tokens and labels uniform; embeddings Gaussian, of length 1.

  Args:
    key: A key.
    K: Vocabulary.
    d: Dimension.
    n: Sequences.
    T: Tokens of each, the last of which queries.
    queries: Sequences end in one of the first so many tokens.
    dtype: Of the embeddings.

  Returns:
    A `Corpus`. A label is a token at a random place of its sequence.
  """
  keys = jax.random.split(key, 4)
  E = draws.normal(keys[0], (K, d), dtype)
  E = E / jnp.sqrt(jnp.sum(E**2, 1, keepdims=True))
  last = jax.random.randint(keys[1], (n,), 0, queries)
  sequences = jax.random.randint(keys[2], (n, T), 0, K).at[:, -1].set(last)
  place = jax.random.randint(keys[3], (n, 1), 0, T)
  labels = jnp.take_along_axis(sequences, place, 1)[:, 0]
  return Corpus(E, sequences, last, labels, jnp.ones((n, T), bool))


def loss(W: Float[Array, 'd d'], corpus: Corpus) -> Float[Array, '']:
  """−(1/n) Σ_i log of the attention on the label.

  >>> E = jnp.eye(2)
  >>> one = jnp.array([0])
  >>> corpus = Corpus(E, jnp.array([[1, 0]]), one, one, jnp.ones((1, 2), bool))
  >>> print(loss(jnp.zeros((2, 2)), corpus).round(4))
  0.6931
  """
  E, sequences, last, labels, mask = corpus
  a = logits(W, E[sequences], E[last], mask)
  right = jnp.where(sequences == labels[:, None], a, -jnp.inf)
  total, kept = (jax.nn.logsumexp(x, 1) for x in (a, right))
  return jnp.mean(total - kept)


def laws(corpus: Corpus, size: int) -> Laws:
  """The solution of the graph's SVM and of the cyclic subproblem.

  Args:
    corpus: The sequences.
    size: Rows to make room for, as in `graph.graph_rows`.

  Returns:
    `Laws`.
  """
  E, sequences, last, labels, mask = corpus
  graph = priority_graph(sequences, last, labels, len(E), mask)
  given = relations(graph)
  rows = graph_rows(E, given, size)
  solution = svm(rows)
  cyclic = cyclic_subproblem(E, sequences, last, labels, given, mask, size)
  some = jnp.any(rows.present & ~rows.equality)
  flat = _matrices(rows._replace(present=rows.equality))
  return Laws(
    jnp.where(some, solution.W, 0),
    cyclic.W,
    _basis(flat),
    solution.certificate.feasible,
    solution.certificate.gap,
    cyclic.loss,
  )


def _matrices(rows: Constraints) -> Float[Array, 'm d2']:
  """The rows that are present, as flat matrices; 0 elsewhere."""
  A = rows.D[:, :, None] * rows.Z[:, None, :]
  return jnp.where(rows.present[:, None], A.reshape(len(A), -1), 0)


def _basis(A: Float[Array, 'm d2']) -> Float[Array, 'd2 r']:
  _, values, Vt = linalg.svd(A)
  small = values[0] * max(A.shape) * jnp.finfo(A.dtype).eps
  return jnp.where((values > small)[None], Vt.T, 0)


def split(
  W: Float[Array, 'd d'], span: Float[Array, 'd2 r']
) -> tuple[Float[Array, 'd d'], Float[Array, 'd d']]:
  """W in S_fin and off it."""
  inside = (span @ (span.T @ W.ravel())).reshape(W.shape)
  return inside, W - inside


def system(structure: Structure) -> System:
  """Gradient descent on the next-token loss.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`. Observations: loss; excess, the loss above its
    infimum; finite_error ‖Π_fin W − W_fin‖_F; finite_norm ‖W_fin‖_F;
    direction_error 1 − cos(Π_⊥ W, W_svm); norm ‖W‖; cyclic and ordered, the
    dimension of S_fin and whether W_svm is not 0; feasible.
  """
  s = structure

  def sample(key: Key[Array, ''], hp: Hp) -> tuple[Corpus, Laws]:
    del hp
    corpus = random_corpus(key, s.K, s.d, s.n, s.T, s.queries, s.dtype)
    return corpus, laws(corpus, s.rows)

  def init_params(key, problem, hp: Hp):
    del problem
    scale = jnp.asarray(hp.init_scale, s.dtype)
    return {'W': scale * draws.normal(key, (s.d, s.d), s.dtype)}

  down = descent(
    init_params,
    lambda params, problem, hp: loss(params['W'], problem[0]),
    lambda hp: optax.sgd(hp.eta),
  )

  def observe(state: DescentState, problem, hp: Hp) -> dict[str, Array]:
    del hp
    W, (corpus, law) = state.params['W'], problem
    inside, outside = split(W, law.span)
    value = loss(W, corpus)
    return {
      'loss': value,
      'excess': value - law.least,
      'finite_error': _norm(inside - law.finite),
      'finite_norm': _norm(law.finite),
      'direction_error': 1 - cosine(outside, law.direction),
      'norm': _norm(W),
      'cyclic': jnp.sum(jnp.any(law.span != 0, 0), dtype=s.dtype),
      'ordered': jnp.any(law.direction != 0).astype(s.dtype),
      'feasible': law.feasible.astype(s.dtype),
    }

  return System(sample, down.init, down.step, observe)


def _norm(W: Float[Array, 'd q']) -> Float[Array, '']:
  """‖W‖_F with a derivative of 0 at 0."""
  square = jnp.sum(W**2)
  return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
