"""Measurements a_iᵀ Z b_i of rank one: O(mnk) for factors of k columns.

    A(FGᵀ)_i = <Fᵀa_i, Gᵀb_i>,   A*(z) G = Σ_i z_i a_i (Gᵀb_i)ᵀ

References:
  [1] Chen, Chi, Goldsmith, "Exact and stable covariance estimation from
      quadratic sampling via convex programming", 2015.
  [2] Li, Ma, Chen, Chi, "Nonconvex matrix factorization from rank-one
      measurements", 2019.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, Key

from framework.systems.matrix_sensing.operators.base import pytree
from framework.systems.matrix_sensing.operators.structured.factored import (
  Factored,
)

__all__ = [
  'RankOne',
  'draw_pairs',
  'draw_quadratic',
  'draw_rank_one',
  'rank_one',
]


@pytree('a', 'b')
@dataclasses.dataclass(frozen=True)
class RankOne(Factored):
  """A_i = a_i b_iᵀ, or its symmetric part: m(n₁ + n₂) numbers, not m n₁n₂.

  >>> import jax.numpy as jnp
  >>> a = jnp.array([[1.0, 2.0]])
  >>> print(rank_one(a).forward(jnp.eye(2)), rank_one(a).adjoint(jnp.ones(1)))
  [5.] [[1. 2.]
   [2. 4.]]
  """

  a: Float[Array, 'm n1']
  b: Float[Array, 'm n2'] | None = None  # a again when None

  @property
  def size(self) -> int:
    """Measurements m."""
    return self.a.shape[0]

  def forward(self, Z):
    """A(Z): of a matrix, through its n₁ × n₂ entries."""
    b = self.a if self.b is None else self.b
    return jnp.sum((self.a @ Z) * b, axis=1)

  def adjoint(self, z):
    """A*(z)."""
    b = self.a if self.b is None else self.b
    D = (z[:, None] * self.a).T @ b
    return (D + D.T) / 2 if self.symmetric and self.b is not None else D

  def forward_factors(self, F, G):
    """A(FGᵀ)."""
    left = self.a @ F
    if self.b is None and F is G:
      return jnp.sum(left**2, axis=1)
    return jnp.sum(left * ((self.a if self.b is None else self.b) @ G), axis=1)

  def adjoint_products(self, z, F, G):
    """(D G, DᵀF) with D = A*(z)."""

    # Weights on the m × k side, which is the smaller one.
    def along(a, b, G):
      return a.T @ (z[:, None] * (b @ G))

    a, b = self.a, self.b
    if b is None:
      DG = along(a, a, G)
      return DG, DG if F is G else along(a, a, F)
    if not self.symmetric:
      return along(a, b, G), along(b, a, F)
    DG = (along(a, b, G) + along(b, a, G)) / 2
    if F is G:
      return DG, DG
    return DG, (along(a, b, F) + along(b, a, F)) / 2


def rank_one(
  a: Float[Array, 'm n1'],
  b: Float[Array, 'm n2'] | None = None,
  symmetric: bool | None = None,
) -> RankOne:
  """The operator of vectors that are given.

  Args:
    a: Left vectors, one a row.
    b: Right vectors; a again when None.
    symmetric: Whether A_i is (a_i b_iᵀ + b_i a_iᵀ)/2; when None, whether b is
      None.

  Returns:
    The operator.

  Raises:
    ValueError: If the vectors are not as many, or none.
  """
  other = a if b is None else b
  if a.ndim != 2 or other.ndim != 2 or len(a) != len(other) or not len(a):
    raise ValueError(
      f'vectors have shapes {a.shape} and {other.shape}, expected (m, n1) and '
      '(m, n2) with one m >= 1'
    )
  symmetric = b is None if symmetric is None else symmetric
  shape = a.shape[1], other.shape[1]
  if symmetric and shape[0] != shape[1]:
    raise ValueError(f'symmetric matrices are square, got {shape}')
  return RankOne(shape, symmetric, a, b)


def draw_rank_one(
  key: Key[Array, ''],
  m: int,
  shape: tuple[int, int],
  symmetric: bool,
  dtype: DTypeLike = jnp.float32,
) -> RankOne:
  """Phase retrieval: a_iᵀ Z a_i, of Gaussian a_i.

  For positive semidefinite Z the mean of a measurement is tr Z, and not zero:
  E‖A(Z)‖² is (2‖Z‖_F² + (tr Z)²)/3, no isometry.

  Args:
    key: Random key.
    m: Measurements.
    shape: (n, n).
    symmetric: True; these A_i are.
    dtype: Floating-point type.

  Returns:
    The operator.

  Raises:
    ValueError: If it is not for symmetric matrices.
  """
  _check_symmetric('rank_one', shape, symmetric)
  a = jax.random.normal(key, (m, shape[0]), dtype)
  return RankOne(shape, True, a / (3 * m) ** 0.25)


def draw_pairs(
  key: Key[Array, ''],
  m: int,
  shape: tuple[int, int],
  symmetric: bool,
  dtype: DTypeLike = jnp.float32,
) -> RankOne:
  """a_iᵀ Z b_i of independent Gaussian pairs: E‖A(Z)‖² = ‖Z‖_F².

  Args:
    key: Random key.
    m: Measurements.
    shape: (n₁, n₂).
    symmetric: Whether A_i is the symmetric part of a_i b_iᵀ.
    dtype: Floating-point type.

  Returns:
    The operator.
  """
  left, right = jax.random.split(key)
  a = jax.random.normal(left, (m, shape[0]), dtype)
  b = jax.random.normal(right, (m, shape[1]), dtype)
  return rank_one(a / m**0.25, b / m**0.25, symmetric)


def draw_quadratic(
  key: Key[Array, ''],
  m: int,
  shape: tuple[int, int],
  symmetric: bool,
  dtype: DTypeLike = jnp.float32,
) -> RankOne:
  """Differences of quadratic samples, (a_iᵀ Z a_i − b_iᵀ Z b_i)/2.

  The mean tr Z of each drops out, which leaves E‖A(Z)‖² = ‖Z‖_F² [1]. As
  a aᵀ − b bᵀ is the symmetric part of (a + b)(a − b)ᵀ, it is one pair.

  Args:
    key: Random key.
    m: Measurements, each of two samples.
    shape: (n, n).
    symmetric: True; these A_i are.
    dtype: Floating-point type.

  Returns:
    The operator.

  Raises:
    ValueError: If it is not for symmetric matrices.
  """
  _check_symmetric('quadratic', shape, symmetric)
  a, b = jax.random.normal(key, (2, m, shape[0]), dtype)
  scale = (2 * m**0.5) ** 0.5
  return RankOne(shape, True, (a + b) / scale, (a - b) / scale)


def _check_symmetric(
  name: str, shape: tuple[int, int], symmetric: bool
) -> None:
  if not symmetric or shape[0] != shape[1]:
    raise ValueError(f'{name} measures symmetric matrices, got {shape} for FGᵀ')
