"""A measurement operator: the interface, and what all forms of one share."""

import dataclasses
from typing import ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from framework.systems.matrix_sensing.ensembles import Truth, matrix
from framework.systems.matrix_sensing.operators.packing import (
  svec,
  symmetrise,
  unsvec,
)

__all__ = ['Operator', 'Packed', 'Residual', 'pytree']


class Residual(NamedTuple):
  """Energy and gradients of E = FGᵀ - M; XLA drops what is not used."""

  energy: Float[Array, '']  # ‖A(E)‖²
  DG: Float[Array, 'n1 k']  # D = A*A(E)
  DtF: Float[Array, 'n2 k']


class Operator(Protocol):
  """A linear map from n₁ × n₂ matrices to m measurements."""

  @property
  def shape(self) -> tuple[int, int]:
    """(n₁, n₂)."""

  @property
  def symmetric(self) -> bool:
    """Whether every A_i is."""

  @property
  def size(self) -> int:
    """Measurements m."""

  @property
  def bytes_per_normal(self) -> int:
    """Bytes of the operator that one A*A has to read."""

  @property
  def flops_per_normal(self) -> int:
    """Additions and multiplications of one A*A."""

  def forward(self, Z: Float[Array, 'n1 n2']) -> Float[Array, ' m']:
    """A(Z)."""

  def adjoint(self, z: Float[Array, ' m']) -> Float[Array, 'n1 n2']:
    """A*(z)."""

  def normal(self, Z: Float[Array, 'n1 n2']) -> Float[Array, 'n1 n2']:
    """A*A(Z)."""

  def energy(self, E: Float[Array, 'n1 n2']) -> Float[Array, '']:
    """<E, A*A(E)> = ‖A(E)‖²."""

  def forward_factors(
    self, F: Float[Array, 'n1 k'], G: Float[Array, 'n2 k']
  ) -> Float[Array, ' m']:
    """A(FGᵀ)."""

  def adjoint_products(
    self,
    z: Float[Array, ' m'],
    F: Float[Array, 'n1 k'],
    G: Float[Array, 'n2 k'],
  ) -> tuple[Float[Array, 'n1 k'], Float[Array, 'n2 k']]:
    """(D G, DᵀF) with D = A*(z)."""

  def residual(
    self, F: Float[Array, 'n1 k'], G: Float[Array, 'n2 k'], truth: Truth
  ) -> Residual:
    """‖A(FGᵀ - M)‖² and the gradients of half of it."""

  def residual_products(
    self, F: Float[Array, 'n1 k'], G: Float[Array, 'n2 k'], truth: Truth
  ) -> tuple[Float[Array, 'n1 k'], Float[Array, 'n2 k']]:
    """(D G, DᵀF) with D = A*A(FGᵀ - M)."""


@dataclasses.dataclass(frozen=True)
class Packed:
  """An operator on packed vectors; a form supplies its three products."""

  shape: tuple[int, int]
  symmetric: bool

  _reads: ClassVar[int] = 1  # how often A*A reads each array
  _flops: ClassVar[int] = 4  # and what it does with each entry

  def _forward(self, x: Float[Array, ' p']) -> Float[Array, ' m']:
    raise NotImplementedError

  def _adjoint(self, x: Float[Array, ' m']) -> Float[Array, ' p']:
    raise NotImplementedError

  def _normal(self, x: Float[Array, ' p']) -> Float[Array, ' p']:
    raise NotImplementedError

  def forward(self, Z):
    """A(Z)."""
    return self._forward(self._pack(Z))

  def adjoint(self, z):
    """A*(z)."""
    return self._unpack(self._adjoint(z))

  def normal(self, Z):
    """A*A(Z)."""
    return self._unpack(self._normal(self._pack(Z)))

  def energy(self, E):
    """‖A(E)‖²."""
    e = self._pack(E)
    return jnp.vdot(e, self._normal(e))

  def forward_factors(self, F, G):
    """A(FGᵀ)."""
    # The n₁n₂k flops of the product are nothing next to m n₁n₂, while taking
    # the factors into A one by one would cost k times the latter.
    return self._forward(self._pack(F @ G.T, is_symmetric=F is G))

  def adjoint_products(self, z, F, G):
    """(D G, DᵀF) with D = A*(z)."""
    D = self.adjoint(z)
    return D @ G, D.T @ F

  def residual(self, F, G, truth):
    """‖A(FGᵀ - M)‖² and the gradients of half of it."""
    e = self._pack(F @ G.T - matrix(truth), is_symmetric=F is G)
    d = self._normal(e)
    D = self._unpack(d)
    DtF = (D if self.symmetric else D.T) @ F
    return Residual(jnp.vdot(e, d), D @ G, DtF)

  def residual_products(self, F, G, truth):
    """(D G, DᵀF)."""
    return self.residual(F, G, truth)[1:]

  @property
  def bytes_per_normal(self) -> int:
    """Bytes of the operator that one A*A has to read."""
    arrays = jax.tree.leaves(self)
    return self._reads * sum(x.size * x.dtype.itemsize for x in arrays)

  @property
  def flops_per_normal(self) -> int:
    """Additions and multiplications of one A*A."""
    return self._flops * sum(x.size for x in jax.tree.leaves(self))

  def _pack(self, Z, is_symmetric: bool = False):
    if not self.symmetric:
      return Z.reshape(-1)
    # svec reads one triangle only: enough for XXᵀ, whose factors are one array.
    return svec(Z if is_symmetric else symmetrise(Z))

  def _unpack(self, d):
    return unsvec(d, self.shape[0]) if self.symmetric else d.reshape(self.shape)


def pytree(*data: str):
  """Registers a frozen dataclass; fields other than `data` are static."""

  def register(cls):
    names = [field.name for field in dataclasses.fields(cls)]
    meta = [name for name in names if name not in data]
    return jax.tree_util.register_dataclass(cls, [*data], meta)

  return register
