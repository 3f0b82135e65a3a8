"""How far a measurement operator is from an isometry on low-rank matrices."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from framework.maths import draws, linalg
from framework.systems.matrix_sensing.operators.base import Operator

__all__ = ['rip_lower_bound']


def rip_lower_bound(
  key: Key[Array, ''],
  operator: Operator,
  rank: int,
  iterations: int = 50,
  restarts: int = 4,
) -> Float[Array, '']:
  """A lower bound on the restricted isometry constant δ_q.

      δ_q = max |‖A(X)‖² - 1| over ‖X‖_F = 1, rank X ≤ q

  Generalised power iteration from random starts: X⁺ is the best rank-q
  approximation of A*A(X), normalised, which never lowers ‖A(X)‖²; and of
  c X - A*A(X) for the other side. A diagnostic: descent converges in practice
  where this bound is far above what theorems ask.

  Args:
    key: Random key of the starts.
    operator: The measurements; X is symmetric if they are.
    rank: q.
    iterations: Power iterations >= 1, each one SVD.
    restarts: Starts for either side; they share the operator.

  Returns:
    The largest deviation found, at most δ_q.

  Raises:
    ValueError: If the rank or the number of iterations or restarts is out of
      range.

  >>> from framework.systems.matrix_sensing.operators.forms import Identity
  >>> delta = rip_lower_bound(jax.random.key(0), Identity((4, 4)), 1)
  >>> bool(delta < 1e-5)
  True
  """
  if not 1 <= rank <= min(operator.shape):
    raise ValueError(f'rank is {rank}, expected 1 to {min(operator.shape)}')
  if iterations < 1 or restarts < 1:
    raise ValueError(
      f'{iterations} iterations and {restarts} restarts, expected >= 1 of each'
    )
  # The population holds no array that would tell its type.
  dtype = jnp.result_type(*jax.tree.leaves(operator) or [float])

  def project(Z):
    if operator.symmetric:
      values, vectors = linalg.eigh((Z + Z.T) / 2)
      _, largest = jax.lax.top_k(jnp.abs(values), rank)
      values, vectors = values[largest], vectors[:, largest]
      X = (vectors * values[None, :]) @ vectors.T
    else:
      U, s, Vt = linalg.svd(Z)
      X = (U[:, :rank] * s[None, :rank]) @ Vt[:rank]
    return X / jnp.sqrt(jnp.sum(X**2))

  def search(X, sign, shift):
    def improve(_, X):
      return project(shift * X + sign * operator.normal(X))

    X = jax.lax.fori_loop(0, iterations, improve, X)
    return jnp.abs(operator.energy(X) - 1)

  # Of full rank, until the first iteration.
  starts = draws.normal(key, (2, restarts, *operator.shape), dtype)
  # ‖A(X)‖² ranges to about 2 on low-rank matrices, so that much shift keeps
  # 2‖X‖² - ‖A(X)‖² convex where it matters; any X gives a valid bound.
  sides = jnp.array([[1, 0], [-1, 2]], dtype)
  lanes = jax.vmap(jax.vmap(search, (0, None, None)))
  return jnp.max(lanes(starts, sides[:, 0], sides[:, 1]))
