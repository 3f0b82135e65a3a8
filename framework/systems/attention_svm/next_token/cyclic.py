"""The finite part of next-token prediction: tokens that share attention.

Keep of every sequence the tokens in the component of its label. On the span of
(e_i − e_j) e_kᵀ, i ≍ j, the loss

    L(W) = −(1/n) Σ_i log Σ_t 1(x_it = y_i) s_it,    s_i = softmax(X_i W z_i),

has a finite minimiser W_fin, to which the part of a trained W in that span
tends while the rest diverges along the graph's SVM.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from framework.maths import linalg
from framework.maths.margin import (
  Constraints,
  combine,
  gram,
  margins,
)
from framework.systems.attention_svm.next_token.graph import (
  Relations,
  graph_rows,
)

__all__ = ['Cyclic', 'cyclic_subproblem', 'span_projection']


class Cyclic(NamedTuple):
  """The minimiser and what shows that it is one."""

  W: Float[Array, 'd d']
  loss: Float[Array, '']
  gradient_norm: Float[Array, '']  # of the loss within the span; L is convex


def cyclic_subproblem(
  E: Float[Array, 'K d'],
  sequences: Int[Array, 'n T'],
  last: Int[Array, ' n'],
  labels: Int[Array, ' n'],
  given: Relations,
  mask: Bool[Array, 'n T'] | None = None,
  size: int | None = None,
  iterations: int = 50,
) -> Cyclic:
  """W_fin by Newton's method with halved steps.

  Args:
    E: Embeddings e_i as rows.
    sequences: Tokens, integers in [0, K).
    last: The token whose query attends, of each sequence.
    labels: The token that comes next; one of the sequence.
    given: The relations of the sequences' own graph.
    mask: Which positions exist.
    size: As in `graph.graph_rows`.
    iterations: Newton steps.

  Returns:
    The minimiser; 0 where no tokens share.
  """
  there = jnp.ones(sequences.shape, bool) if mask is None else mask
  rows = _equations(E, given, size)
  label = labels[:, None]
  kept = there & given.same[last[:, None], label, sequences]
  right = kept & (sequences == label)
  used = jnp.any(right, 1)
  kept = kept | ~used[:, None]
  right = right | ~used[:, None]
  # Logits x_itᵀ W z_i of W = Σ_r u_r A_r are linear in u.
  tokens = E[sequences] @ rows.D.T
  queries = E[last] @ rows.Z.T
  logits = tokens * queries[:, None]
  count = jnp.maximum(jnp.sum(used), 1)

  def loss(u: Float[Array, ' r']) -> Float[Array, '']:
    a = logits @ u

    def total(which):
      return jax.nn.logsumexp(jnp.where(which, a, -jnp.inf), 1)

    return jnp.sum(jnp.where(used, total(kept) - total(right), 0)) / count

  halves = 0.5 ** jnp.arange(24, dtype=E.dtype)

  def step(u, _):
    slope, curvature = jax.grad(loss)(u), jax.hessian(loss)(u)
    # Absent rows and dependent ones leave flat directions.
    small = 1e2 * jnp.finfo(u.dtype).eps
    largest = jnp.max(jnp.diagonal(curvature), initial=0)
    curvature += jnp.eye(len(u), dtype=u.dtype) * jnp.where(
      largest > 0, small * largest, 1
    )
    move = -linalg.solve_spd(curvature, slope[:, None])[:, 0]
    tried = jax.vmap(lambda h: loss(u + h * move))(halves)
    tried = jnp.where(jnp.isfinite(tried), tried, jnp.inf)
    best = halves[jnp.argmin(tried)]
    new = u + best * move
    # Near the end rounding decides which loss is less: take whole steps.
    near = slope @ move > -jnp.sqrt(jnp.finfo(u.dtype).eps)
    whole = jnp.where(near & jnp.all(jnp.isfinite(move)), u + move, new)
    return whole, None

  u = jnp.zeros(len(rows.D), E.dtype)
  if len(u):
    u, _ = jax.lax.scan(step, u, length=iterations)
  W = combine(u, rows)

  def of_matrix(W):
    a = jnp.einsum('ntd,nd->nt', E[sequences], E[last] @ W.T)
    totals = [
      jax.nn.logsumexp(jnp.where(which, a, -jnp.inf), 1)
      for which in (kept, right)
    ]
    return jnp.sum(jnp.where(used, totals[0] - totals[1], 0)) / count

  value, gradient = jax.value_and_grad(of_matrix)(W)
  inside = span_projection(gradient, rows)
  return Cyclic(W, value, jnp.sqrt(jnp.sum(inside**2)))


def _equations(
  E: Float[Array, 'K d'], given: Relations, size: int | None
) -> Constraints:
  """Rows that span (e_i − e_j) e_kᵀ, i ≍ j."""
  nothing = jnp.zeros_like(given.above)
  return graph_rows(E, given._replace(above=nothing), size)


def span_projection(
  W: Float[Array, 'd q'], rows: Constraints
) -> Float[Array, 'd q']:
  """The part of W in the span of the rows that are present.

  >>> from framework.maths.margin import constraints
  >>> rows = constraints(jnp.array([[1.0, 0.0]]), jnp.ones((1, 1)))
  >>> print(span_projection(jnp.array([[2.0], [3.0]]), rows).T)
  [[2. 0.]]
  """
  if not len(rows.D):
    return jnp.zeros_like(W)
  values, vectors = linalg.eigh(gram(rows))
  small = values[-1] * len(values) * jnp.finfo(W.dtype).eps
  real = values > small
  weight = jnp.where(real, 1 / jnp.where(real, values, 1), 0)
  u = vectors @ (weight * (vectors.T @ margins(W, rows)))
  return combine(u, rows)
