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
  [3] Lewis, Sendov, "Nonsmooth analysis of singular values", 2005.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from framework.maths import linalg
from framework.system import System
from framework.systems.matrix_sensing.problem import measured

__all__ = [
  'ConvexHp',
  'ConvexState',
  'absolute',
  'lowered',
  'nuclear_norm',
  'squares',
]


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


@jax.custom_jvp
def lowered(
  V: Float[Array, 'n k'], tau: Float[Array, '']
) -> Float[Array, 'n k']:
  """SVT_τ(V) = P diag(max(s − τ, 0)) Qᵀ, differentiable at equal values, too.

  The derivative is that of a function of singular values [3], f(s) = (s − τ)₊,
  in divided differences: that of the decomposition divides by differences of
  singular values, of which many may be zero.

  >>> print(lowered(jnp.diag(jnp.array([3.0, 1.0])), jnp.array(2.0)))
  [[1. 0.]
   [0. 0.]]
  """
  P, s, Qt = linalg.svd(V)
  return (P * jnp.maximum(s - tau, 0)[None, :]) @ Qt


@lowered.defjvp
def _lowered_jvp(primals, tangents):
  (V, tau), (dV, dtau) = primals, tangents
  P, s, Qt = linalg.svd(V)
  f, slope = jnp.maximum(s - tau, 0), (s > tau).astype(s.dtype)
  A = P.T @ dV @ Qt.T
  gap, total = s[:, None] - s[None, :], s[:, None] + s[None, :]
  apart = jnp.abs(gap) > 1e-6 * total
  ratio = (f[:, None] - f[None, :]) / jnp.where(apart, gap, 1)
  even = jnp.where(apart, ratio, (slope[:, None] + slope[None, :]) / 2)
  odd = (f[:, None] + f[None, :]) / jnp.where(total > 0, total, 1)
  inner = even * (A + A.T) / 2 + odd * (A - A.T) / 2
  share = (f / jnp.where(s > 0, s, 1))[None, :]
  # What of dV is in the span of one side alone.
  left = (dV - P @ (P.T @ dV)) @ Qt.T
  right = (dV - (dV @ Qt.T) @ Qt).T @ P
  dZ = P @ inner @ Qt + (left * share) @ Qt + P @ (right * share).T
  return (P * f[None, :]) @ Qt, dZ - dtau * ((P * slope[None, :]) @ Qt)


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
    Z = lowered(V, jnp.asarray(hp.tau, V.dtype)).astype(state.Z.dtype)
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
