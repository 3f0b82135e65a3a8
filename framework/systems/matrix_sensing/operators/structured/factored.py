"""Operators that see FGᵀ through its factors: their common part."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array

from framework.systems.matrix_sensing.operators.base import Residual

__all__ = ['Factored']


@dataclasses.dataclass(frozen=True)
class Factored:
  """An operator whose products with factors need no n₁ × n₂ matrix.

  A form supplies `forward`, `adjoint`, `forward_factors` and
  `adjoint_products`.
  """

  shape: tuple[int, int]
  symmetric: bool

  def forward(self, Z: Array) -> Array:
    """A(Z)."""
    raise NotImplementedError

  def adjoint(self, z: Array) -> Array:
    """A*(z)."""
    raise NotImplementedError

  def forward_factors(self, F: Array, G: Array) -> Array:
    """A(FGᵀ)."""
    raise NotImplementedError

  def adjoint_products(
    self, z: Array, F: Array, G: Array
  ) -> tuple[Array, Array]:
    """(D G, DᵀF) with D = A*(z)."""
    raise NotImplementedError

  def normal(self, Z: Array) -> Array:
    """A*A(Z)."""
    return self.adjoint(self.forward(Z))

  def energy(self, E):
    """‖A(E)‖²."""
    z = self.forward(E)
    return jnp.vdot(z, z)

  def residual(self, F, G, truth):
    """‖A(FGᵀ - M)‖² and the gradients of half of it."""
    M = truth.U * truth.s[None, :], truth.V
    z = self.forward_factors(F, G) - self.forward_factors(*M)
    return Residual(jnp.vdot(z, z), *self.adjoint_products(z, F, G))

  def residual_products(self, F, G, truth):
    """(D G, DᵀF)."""
    return self.residual(F, G, truth)[1:]

  @property
  def bytes_per_normal(self) -> int:
    """Bytes of the operator that one A*A has to read."""
    arrays = jax.tree.leaves(self)
    return 2 * sum(x.size * x.dtype.itemsize for x in arrays)

  @property
  def flops_per_normal(self) -> int:
    """Additions and multiplications of one A*A, for one column of factors."""
    return 4 * sum(x.size for x in jax.tree.leaves(self))
