"""Nuclear-norm recovery, the convex way: a primal-dual method as a `System`.

    min_Z ‖Z‖_* + Σ_i ρ(A(Z)_i − y_i)

    u⁺ = prox_{σρ*}(u + σ(A(Z̄) − y)),
    Z⁺ = SVT_τ(Z − τ A*(u⁺)),   Z̄⁺ = 2Z⁺ − Z,   στ‖A‖² <= 1

SVT_τ lowers singular values by τ. One SVD of the whole matrix a step: what
descent on factors is measured against, not meant for large matrices.

References:
  [1] Chambolle, Pock, "A first-order primal-dual algorithm for convex problems
      with applications to imaging", 2011.
  [2] Candès, Li, Ma, Wright, "Robust principal component analysis?", 2011.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from framework.maths import linalg
from framework.system import System
from framework.systems.matrix_sensing.problem import measured

__all__ = ['ConvexHp', 'ConvexState', 'absolute', 'nuclear_norm', 'squares']


class ConvexHp(NamedTuple):
  """Hyperparameters: traced scalars."""

  weight: Any = 1.0  # w of ρ, against the nuclear norm
  tau: Any = 1.0  # step τ in Z
  sigma: Any = 1.0  # step σ in u


class ConvexState(NamedTuple):
  """Primal and dual iterate."""

  Z: Float[Array, 'n1 n2']
  ahead: Float[Array, 'n1 n2']  # Z̄
  u: Float[Array, ' m']


def absolute(
  u: Float[Array, ' m'], sigma: Any, weight: Any
) -> Float[Array, ' m']:
  """The dual step of ρ = w|·|: robust principal component analysis [2].

  >>> print(absolute(jnp.array([-3.0, 0.5]), 1.0, 1.0))
  [-1.   0.5]
  """
  del sigma
  return jnp.clip(u, -weight, weight)


def squares(
  u: Float[Array, ' m'], sigma: Any, weight: Any
) -> Float[Array, ' m']:
  """The dual step of ρ = (w/2)(·)²; w = inf makes A(Z) = y.

  >>> print(squares(jnp.array([3.0]), 1.0, 0.5))
  [1.]
  """
  return u / (1 + sigma / weight)


def nuclear_norm(
  dual: Callable[..., Array] = squares, dtype: Any = jnp.float64
) -> System:
  """The primal-dual method on measurements that are given as a `Problem`.

  Args:
    dual: (u, σ, w) -> u: `squares`, or `absolute` under outliers.
    dtype: Of the computation.

  Returns:
    A `System` over `ConvexHp`; its `sample` takes the `Problem` as data. It
    records objective ‖Z‖_*, misfit (1/m) Σ|√m z| and, where M is known,
    squared_error.

  >>> from framework import rollout
  >>> from framework.systems.matrix_sensing import Problem, operators
  >>> op = operators.structured.rank_one(jnp.eye(2))  # the diagonal
  >>> y = jnp.array([2.0, 0.0])
  >>> problem = Problem(op, None, None, jnp.sum(y**2), y=y)
  >>> state, seen = rollout(
  ...   nuclear_norm(dtype=y.dtype), jax.random.key(0),
  ...   ConvexHp(jnp.inf, 0.5, 0.5), jnp.array([100]), problem)
  >>> print(state.Z.round(3))
  [[2. 0.]
   [0. 0.]]
  """

  def sample(key, hp, data):
    del key, hp
    return jax.tree.map(
      lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x,
      data,
    )

  def init(key, problem, hp):
    del key, hp
    y = measured(problem)
    Z = jnp.zeros(problem.operator.shape, y.dtype)
    return ConvexState(Z, Z, jnp.zeros_like(y))

  def step(key, state, problem, hp):
    del key
    op = problem.operator
    z = op.forward(state.ahead) - measured(problem)
    u = dual(state.u + hp.sigma * z, hp.sigma, hp.weight).astype(z.dtype)
    V = state.Z - hp.tau * op.adjoint(u)
    P, s, Qt = linalg.svd(V)
    s = jnp.maximum(s - hp.tau, 0)
    Z = ((P * s[None, :]) @ Qt).astype(state.Z.dtype)
    return ConvexState(Z, 2 * Z - state.Z, u)

  def observe(state, problem, hp):
    del hp
    z = problem.operator.forward(state.Z) - measured(problem)
    seen = {
      'objective': jnp.sum(linalg.singular_values(state.Z)),
      'misfit': jnp.mean(jnp.abs(z)) * z.size**0.5,
    }
    if problem.M is not None:
      seen['squared_error'] = jnp.sum((state.Z - problem.M) ** 2)
    return seen

  return System(sample, init, step, observe)
