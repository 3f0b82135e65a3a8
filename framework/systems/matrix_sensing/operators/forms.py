"""Forms of a measurement operator, and functions that build them from rows.

    A(Z)_i = <A_i, Z>,   A*(z) = Σ_i z_i A_i,   A*A(Z) = Σ_i <A_i, Z> A_i.

Gradient descent on the ℓ2 loss needs A*A alone, and everything symmetric is
done in svec coordinates. Operators are pytrees: pass them through `jax.jit`,
share one between lanes (`jax.vmap` with `in_axes=None`), and the matrix-vector
product of a lane becomes one matrix product of all lanes. A symmetric operator
sees the symmetric part of a matrix only: <A_i, Z> = <A_i, (Z + Zᵀ)/2>.

A form is any function (rows, shape, symmetric) -> `Operator`; all of them are
the same map, and differ in what they store and read.
"""

import dataclasses
import functools
import itertools
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from framework.systems.matrix_sensing.ensembles import matrix
from framework.systems.matrix_sensing.operators import packing
from framework.systems.matrix_sensing.operators.base import (
  Packed,
  Residual,
  pytree,
)

__all__ = [
  'Blocks',
  'Dense',
  'Gram',
  'Identity',
  'Svec',
  'blocks',
  'dense',
  'gram',
  'svec',
]

_MAX_BLOCKS = 32  # each costs 80 ms to compile, and L3 serves as well as L2


@dataclasses.dataclass(frozen=True)
class _Rows(Packed):
  """A row of numbers for each measurement."""

  A: Float[Array, 'm p']

  _reads: ClassVar[int] = 2

  def energy(self, E):
    z = self.forward(E)
    return jnp.vdot(z, z)

  def _forward(self, x):
    return self.A @ x

  def _adjoint(self, x):
    # Not A.T @ x: transposing first makes it three to six times slower on CPU.
    return x @ self.A

  def _normal(self, x):
    return self._adjoint(self._forward(x))

  @property
  def size(self) -> int:
    return self.A.shape[0]


@pytree('A')
@dataclasses.dataclass(frozen=True)
class Dense(_Rows):
  """Row i is A_i flattened: m × n₁n₂, read twice for A*A.

  >>> import jax.numpy as jnp
  >>> operator = dense(jnp.eye(4)[:3], (2, 2))
  >>> print(operator.normal(jnp.ones((2, 2))))
  [[1. 1.]
   [1. 0.]]
  """

  def _pack(self, Z, is_symmetric=False):
    return Z.reshape(-1)  # rows are whole matrices even if symmetric

  def _unpack(self, d):
    return d.reshape(self.shape)


@pytree('A')
@dataclasses.dataclass(frozen=True)
class Svec(_Rows):
  """Row i is svec(A_i): m × n(n+1)/2, read twice for A*A.

  >>> import jax.numpy as jnp
  >>> operator = svec(jnp.eye(3)[:2], (2, 2))
  >>> print(operator.normal(jnp.ones((2, 2))).round(6))
  [[1. 1.]
   [1. 0.]]
  """


@pytree('blocks')
@dataclasses.dataclass(frozen=True)
class Blocks(Packed):
  """Rows in separate blocks: A*A = Σ_j A_jᵀA_j reads each of them once.

  A block is still in the cache when its transpose is applied. They are separate
  arrays because slicing one array copies the slice.

  >>> import jax.numpy as jnp
  >>> operator = blocks(jnp.eye(3), (2, 2), block_rows=2)
  >>> len(operator.blocks), operator.size
  (2, 3)
  """

  blocks: tuple[Float[Array, 'rows p'], ...]

  def _forward(self, x):
    return jnp.concatenate([A @ x for A in self.blocks])

  def _adjoint(self, x):
    ends = itertools.accumulate(A.shape[0] for A in self.blocks)
    parts = jnp.split(x, [*ends][:-1])
    products = map(jnp.matmul, parts, self.blocks)
    return functools.reduce(jnp.add, products)

  def _normal(self, x):
    d = jnp.zeros_like(x)
    for A in self.blocks:
      # One block after the other, or the reads of A_j x would all come first.
      d = jax.lax.optimization_barrier(d + (A @ x) @ A)
    return d

  @property
  def size(self) -> int:
    """Measurements m."""
    return sum(A.shape[0] for A in self.blocks)


@pytree('H')
@dataclasses.dataclass(frozen=True)
class Gram(Packed):
  """H = AᵀA in packed coordinates: A*A in one product, whatever m.

  The measurements themselves are gone: `forward` and `adjoint` raise TypeError.

  >>> import jax.numpy as jnp
  >>> operator = gram(2 * jnp.eye(3), (2, 2))
  >>> print(operator.normal(jnp.eye(2)), operator.energy(jnp.eye(2)))
  [[4. 0.]
   [0. 4.]] 8.0
  """

  H: Float[Array, 'p p']
  size: int

  _flops: ClassVar[int] = 2

  def _normal(self, x):
    # The barrier keeps XLA from merging the transpose that follows under vmap
    # into the product, which costs the product of all lanes 1.4x to 1.6x.
    # In the precision of H: a step of one lane costs the bytes of H.
    product = self.H @ x.astype(self.H.dtype)
    return jax.lax.optimization_barrier(product).astype(x.dtype)

  def _forward(self, x):
    raise TypeError('a gram operator keeps A*A only; take svec or dense for A')

  _adjoint = _forward


@pytree()
@dataclasses.dataclass(frozen=True)
class Identity(Packed):
  """Infinitely many measurements, the population: A*A is the identity.

  >>> import jax.numpy as jnp
  >>> Identity((2, 2), symmetric=True).forward(jnp.eye(2)).shape
  (3,)
  """

  symmetric: bool = False

  def _forward(self, x):
    return x

  _adjoint = _normal = _forward

  def residual(self, F, G, truth):
    """D G = F(GᵀG) - U(s·VᵀG), DᵀF alike, without an n₁ × n₂ matrix."""
    energy = self.energy(F @ G.T - matrix(truth))
    U, s, V = truth.U, truth.s[:, None], truth.V
    DG = F @ (G.T @ G) - U @ (s * (V.T @ G))
    DtF = G @ (F.T @ F) - V @ (s * (U.T @ F))
    if not self.symmetric or F is G:
      return Residual(energy, DG, DtF)
    # D is the symmetric part of FGᵀ - M, and M is symmetric.
    DtG = G @ (F.T @ G) - V @ (s * (U.T @ G))
    DF = F @ (G.T @ F) - U @ (s * (V.T @ F))
    return Residual(energy, (DG + DtG) / 2, (DF + DtF) / 2)

  @property
  def size(self) -> int:
    """Numbers that `forward` gives."""
    return packing.packed_size(*self.shape, self.symmetric)


def dense(
  A: Float[Array, 'm p'], shape: tuple[int, int], symmetric: bool | None = None
) -> Dense:
  """Stores whole matrices; arguments and errors as for `gram`."""
  rows = _rows(A, shape, symmetric)
  if rows.symmetric:
    A = jax.vmap(lambda row: packing.unsvec(row, shape[0]).reshape(-1))(A)
  return Dense(shape, rows.symmetric, A)


def svec(
  A: Float[Array, 'm p'], shape: tuple[int, int], symmetric: bool | None = None
) -> Svec:
  """Stores packed symmetric matrices; arguments and errors as for `gram`."""
  rows = _rows(A, shape, symmetric)
  if not rows.symmetric:
    raise ValueError('svec packs symmetric measurements; take dense')
  return Svec(shape, True, A)


def gram(
  A: Float[Array, 'm p'], shape: tuple[int, int], symmetric: bool | None = None
) -> Gram:
  """Stores A*A alone, as one matrix.

  Args:
    A: One measurement a row: svec(A_i), n(n+1)/2 numbers, if symmetric, else
      A_i flattened, n₁n₂ numbers.
    shape: (n₁, n₂).
    symmetric: Whether rows are svec(A_i); when None, told by their length.

  Returns:
    The operator.

  Raises:
    ValueError: If the rows have the wrong length, or there are none.
  """
  rows = _rows(A, shape, symmetric)
  H = jnp.matmul(A.T, A, precision='highest')
  return Gram(shape, rows.symmetric, H, A.shape[0])


def gram_single(
  A: Float[Array, 'm p'], shape: tuple[int, int], symmetric: bool | None = None
) -> Gram:
  """A*A in float32, of iterates in float64: half the bytes of `gram` to read.

  Without noise the residual XXᵀ − M is formed in float64 and vanishes exactly
  where it did: A*A only turns it, by 1e-7 of its length. The path differs by as
  much, the fixed point does not. With noise the fixed point moves by as much.

  Args:
    A: As for `gram`.
    shape: (n₁, n₂).
    symmetric: As for `gram`.

  Returns:
    The operator.

  Raises:
    ValueError: As `gram`.

  >>> gram_single(2 * jnp.eye(3), (2, 2)).H.dtype.name
  'float32'
  """
  exact = gram(A, shape, symmetric)
  return dataclasses.replace(exact, H=exact.H.astype(jnp.float32))


def blocks(
  A: Float[Array, 'm p'],
  shape: tuple[int, int],
  symmetric: bool | None = None,
  block_rows: int | None = None,
) -> Blocks:
  """Stores rows in blocks that fit into a cache.

  Args:
    A: One measurement a row, as for `gram`.
    shape: (n₁, n₂).
    symmetric: Whether rows are svec(A_i); when None, told by their length.
    block_rows: Rows of a block; when None, as many as 1 MiB holds, or more so
      that there are at most 32 blocks.

  Returns:
    The operator.

  Raises:
    ValueError: If the rows have the wrong length, or there are none.
  """
  rows = _rows(A, shape, symmetric)
  if block_rows is not None and block_rows < 1:
    raise ValueError(f'block_rows is {block_rows}, expected an integer >= 1')
  m, p = A.shape
  size = block_rows or max(
    (1 << 20) // (p * A.dtype.itemsize), math.ceil(m / _MAX_BLOCKS), 1
  )
  parts = tuple(A[i : i + size] for i in range(0, m, size))
  return Blocks(shape, rows.symmetric, parts)


def _rows(A, shape: tuple[int, int], symmetric: bool | None) -> Packed:
  """Shape and symmetry of the rows; refuses those of another length."""
  n1, n2 = shape
  columns = A.shape[-1]
  if symmetric is None:
    symmetric = n1 == n2 and columns == packing.packed_size(n1, n2, True)
  if symmetric and n1 != n2:
    raise ValueError(f'symmetric matrices are square, got {n1} x {n2}')
  p = packing.packed_size(n1, n2, symmetric)
  if A.ndim != 2 or columns != p or A.shape[0] < 1:
    raise ValueError(
      f'measurements have shape {A.shape}, expected (m >= 1, {p}) for '
      f'{"symmetric " * symmetric}{n1} x {n2} matrices'
    )
  return Packed(shape, symmetric)
