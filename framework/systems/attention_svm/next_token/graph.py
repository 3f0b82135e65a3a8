"""Next-token prediction: priorities of tokens as a graph, and its SVM.

For every token k that ends sequences there is a graph: each sequence that ends
in k has edges from its label y to its other tokens. Tokens that reach each
other (i ≍ j) share attention for ever, and where only i reaches j (i ⇒ j), i
wins:

    min ‖W‖_F  s.t.  (e_i − e_j)ᵀ W e_k = 0 for i ≍ j,  ≥ 1 for i ⇒ j in G^(k).

References:
  Li, Huang, Ildiz, Rawat, Oymak, "Mechanics of Next Token Prediction with
  Self-Attention", arXiv:2403.08081.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from framework.maths.margin import Constraints, Solution, constraints, svm

__all__ = [
  'Relations',
  'graph_rows',
  'graph_svm',
  'priority_graph',
  'relations',
]


class Relations(NamedTuple):
  """Relations of tokens i, j in the graph of k, as [k, i, j]."""

  same: Bool[Array, 'K K K']  # i ≍ j, i and j reach each other, or i = j
  above: Bool[Array, 'K K K']  # i ⇒ j, i reaches j and not conversely


@functools.partial(jax.jit, static_argnames='K')
def priority_graph(
  sequences: Int[Array, 'n T'],
  last: Int[Array, ' n'],
  labels: Int[Array, ' n'],
  K: int,
  mask: Bool[Array, 'n T'] | None = None,
) -> Bool[Array, 'K K K']:
  """Edges label → token of every sequence, by its last token.

  Args:
    sequences: Tokens, integers in [0, K).
    last: The token whose query attends, of each sequence.
    labels: The token that comes next.
    K: Size of the vocabulary.
    mask: Which positions exist.

  Returns:
    Whether there is an edge i → j in the graph of k, as [k, i, j].

  >>> G = priority_graph(jnp.array([[0, 1, 2]]), jnp.array([2]),
  ...                    jnp.array([1]), 3)
  >>> print(G[2].astype(int))
  [[0 0 0]
   [1 0 1]
   [0 0 0]]
  """
  there = jnp.ones(sequences.shape, bool) if mask is None else mask
  k, i = last[:, None], labels[:, None]
  edge = there & (sequences != i)
  return jnp.zeros((K, K, K), bool).at[k, i, sequences].max(edge)


@jax.jit
def relations(graph: Bool[Array, 'K K K']) -> Relations:
  """Strongly connected components and the order of them.

  Reachability by log2 K squarings of the graph with its loops.

  Args:
    graph: Edges as [k, i, j].

  Returns:
    The relations.

  >>> graph = jnp.zeros((3, 3, 3), bool).at[0, 0, 1].set(True)
  >>> graph = graph.at[0, 1, 0].set(True).at[0, 1, 2].set(True)
  >>> print(relations(graph).above[0].astype(int))
  [[0 0 1]
   [0 0 1]
   [0 0 0]]
  """
  K = graph.shape[-1]
  reach = graph | jnp.eye(K, dtype=bool)[None]
  for _ in range(math.ceil(math.log2(max(K, 2)))):
    counts = reach.astype(jnp.float32)
    reach = counts @ counts > 0
  back = jnp.swapaxes(reach, -1, -2)
  return Relations(reach & back, reach & ~back)


def graph_rows(
  E: Float[Array, 'K d'], given: Relations, size: int | None = None
) -> Constraints:
  """The rows of the graph's SVM.

  Each component has one token that stands for it: the others are equal to it,
  and inequalities between those that stand say the rest.

  Args:
    E: Embeddings e_i as rows.
    given: The relations.
    size: Number of rows to make room for, which `jit` and `vmap` need; as many
      as there are if none is given. What does not fit is left out without a
      word: 'present' then has no absent row.

  Returns:
    Equations and inequalities.

  >>> graph = jnp.zeros((2, 2, 2), bool).at[0, 0, 1].set(True)
  >>> rows = graph_rows(jnp.eye(2), relations(graph))
  >>> print(rows.D, rows.Z)
  [[ 1. -1.]] [[1. 0.]]
  """
  K = len(E)
  wanted, tied = _wanted(given)
  return _rows_at(E, tied, *jnp.nonzero(wanted, size=size, fill_value=K))


@jax.jit
def _wanted(given: Relations) -> tuple[Array, Array]:
  """Which [k, i, j] have a row, and which of these are equations."""
  K = given.same.shape[-1]
  stands = jnp.argmax(given.same, -1)  # the first token of each component
  tokens = jnp.broadcast_to(jnp.arange(K)[None], (K, K))
  lone = stands == tokens
  pair = given.above & lone[:, :, None] & lone[:, None, :]
  # i stands for j, j ≠ i.
  tied = (stands[:, None, :] == tokens[:, :, None]) & ~lone[:, None, :]
  return pair | tied, tied


@jax.jit
def _rows_at(E, tied, k, i, j) -> Constraints:
  there = k < len(E)
  k, i, j = (jnp.where(there, x, 0) for x in (k, i, j))
  equal = tied[k, i, j]
  bound = jnp.where(equal, 0.0, 1.0).astype(E.dtype)
  return constraints(E[i] - E[j], E[k], bound, equal, there)


def graph_svm(
  E: Float[Array, 'K d'], given: Relations, size: int | None = None
) -> Solution:
  """The direction that W diverges in.

  Args:
    E: Embeddings e_i as rows.
    given: The relations.
    size: As in `graph_rows`.

  Returns:
    The solution.

  Raises:
    ValueError: If no token has priority over another.
  """
  rows = graph_rows(E, given, size)
  if not len(rows.D):
    raise ValueError(
      'relations are empty, expected at least one pair of tokens'
    )
  return svm(rows, queries=len(E))
