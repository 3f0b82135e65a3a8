"""A product of L square factors, from a multiple of the identity.

    L(W) = ½ ‖A(W_L ⋯ W_1) − y‖²,   W_l(0) = αI

The factors stay balanced, W_l+1ᵀW_l+1 = W_l W_lᵀ, so that each eigenvalue of a
positive semidefinite truth is a problem of its own:
ds/dt = L s^(2 − 2/L) (σ − s), s_0 = α^L.

References:
  [1] Arora, Cohen, Hu, Luo, "Implicit regularization in deep matrix
      factorization", 2019.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import ArrayLike, Float

from framework.descent import descent
from framework.maths import linalg
from framework.system import System
from framework.systems.matrix_sensing import ensembles, operators
from framework.systems.matrix_sensing.problem import Problem

__all__ = ['DeepHp', 'DeepStructure', 'deep']


class DeepHp(NamedTuple):
  """Hyperparameters: traced scalars."""

  eta: Float[ArrayLike, ''] = 0.05
  alpha: Float[ArrayLike, ''] = 0.3
  kappa: Float[ArrayLike, ''] = 2.0  # σ_1/σ_r of the truth


@dataclasses.dataclass(frozen=True)
class DeepStructure:
  """The static part.

  Raises:
    ValueError: If a size is out of range.
  """

  n: int = 10
  r: int = 2
  depth: int = 3
  m: int | None = None  # measurements; None: population, A*A = identity
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    if not 1 <= self.r <= self.n:
      raise ValueError(f'r is {self.r}, expected 1 <= r <= n = {self.n}')
    if self.depth < 2:
      raise ValueError(f'depth is {self.depth}, expected an integer >= 2')
    if self.m is not None and self.m < 1:
      raise ValueError(f'm is {self.m}, expected an integer >= 1')


def deep(structure: DeepStructure) -> System:
  """Gradient descent on a product of L factors.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `DeepHp`. It records squared_error ‖P − M‖_F², loss, and
    the eigenvalues of (P + Pᵀ)/2, not increasing.

  >>> from framework import rollout
  >>> _, seen = rollout(deep(DeepStructure(n=3, r=1, dtype=jnp.float32)),
  ...   jax.random.key(0), DeepHp(0.1, 0.5, 1.0), jnp.array([0, 300]))
  >>> print(seen['eigenvalues'][:, 0].round(2))
  [0.12 1.  ]
  """
  s = structure

  def sample(key, hp):
    key_truth, key_operator = jax.random.split(key)
    sigma = ensembles.linear_spectrum(s.r, hp.kappa).astype(s.dtype)
    truth = ensembles.low_rank(key_truth, s.n, s.n, sigma, True)
    op: Any = operators.Identity((s.n, s.n))
    if s.m is not None:
      A = ensembles.gaussian(key_operator, s.m, s.n, s.n, s.dtype)
      op = operators.gram(A, (s.n, s.n), False)
    M = ensembles.matrix(truth)
    return Problem(op, truth, M, jnp.sum(sigma**2))

  def product(W):
    return functools.reduce(lambda P, X: X @ P, W)

  def init(key, problem, hp):
    del key, problem
    eye = jnp.asarray(hp.alpha, s.dtype) * jnp.eye(s.n, dtype=s.dtype)
    return (eye,) * s.depth

  def loss(W, problem, hp):
    del hp
    return problem.operator.energy(product(W) - problem.M) / 2

  def observe(state, problem, hp):
    P = product(state.params)
    return {
      'squared_error': jnp.sum((P - problem.M) ** 2),
      'loss': loss(state.params, problem, hp),
      'eigenvalues': linalg.eigvalsh((P + P.T) / 2)[::-1],
    }

  gd = descent(init, loss, lambda hp: optax.sgd(hp.eta))
  return System(sample, *gd, observe)
