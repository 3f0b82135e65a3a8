"""Measurement operators: A(Z)_i = <A_i, Z>, its adjoint, and A*A.

    A*(z) = Σ_i z_i A_i,   A*A(Z) = Σ_i <A_i, Z> A_i.

Gradient descent on the ℓ2 loss needs A*A alone, and everything symmetric is
done in svec coordinates. Operators are pytrees: pass them through `jax.jit`,
share one between lanes (`jax.vmap` with `in_axes=None`), and the matrix-vector
product of a lane becomes one matrix product of all lanes. A symmetric operator
sees the symmetric part of a matrix only: <A_i, Z> = <A_i, (Z + Zᵀ)/2>.
"""

import dataclasses
import functools
import itertools
import math
from typing import ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from framework.systems.matrix_sensing.ensembles import Truth, matrix
from framework.systems.matrix_sensing.formulations import Choice, choose
from framework.systems.matrix_sensing.packing import (
  packed_size,
  svec,
  symmetrise,
  unsvec,
)

__all__ = [
  'Blocks',
  'Choice',
  'Dense',
  'Gram',
  'Identity',
  'Operator',
  'Residual',
  'Svec',
  'build',
  'choose',
]

_MAX_BLOCKS = 32  # each costs 80 ms to compile, and L3 serves as well as L2


class Residual(NamedTuple):
  """What descent wants of E = FGᵀ - M; XLA drops what is not used."""

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

  def residual(
    self, F: Float[Array, 'n1 k'], G: Float[Array, 'n2 k'], truth: Truth
  ) -> 'Residual':
    """‖A(FGᵀ - M)‖² and the gradients of half of it."""

  def residual_products(
    self, F: Float[Array, 'n1 k'], G: Float[Array, 'n2 k'], truth: Truth
  ) -> tuple[Float[Array, 'n1 k'], Float[Array, 'n2 k']]:
    """(D G, DᵀF) with D = A*A(FGᵀ - M)."""


@dataclasses.dataclass(frozen=True)
class _Packed:
  """What all operators share; each supplies its products on packed vectors."""

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
    return self._forward(self._pack(Z))

  def adjoint(self, z):
    return self._unpack(self._adjoint(z))

  def normal(self, Z):
    return self._unpack(self._normal(self._pack(Z)))

  def energy(self, E):
    e = self._pack(E)
    return jnp.vdot(e, self._normal(e))

  def forward_factors(self, F, G):
    # The n₁n₂k flops of the product are nothing next to m n₁n₂, while taking
    # the factors into A one by one would cost k times the latter.
    return self._forward(self._pack(F @ G.T, is_symmetric=F is G))

  def residual(self, F, G, truth):
    e = self._pack(F @ G.T - matrix(truth), is_symmetric=F is G)
    d = self._normal(e)
    D = self._unpack(d)
    DtF = (D if self.symmetric else D.T) @ F
    return Residual(jnp.vdot(e, d), D @ G, DtF)

  def residual_products(self, F, G, truth):
    return self.residual(F, G, truth)[1:]

  @property
  def bytes_per_normal(self) -> int:
    arrays = jax.tree.leaves(self)
    return self._reads * sum(x.size * x.dtype.itemsize for x in arrays)

  @property
  def flops_per_normal(self) -> int:
    return self._flops * sum(x.size for x in jax.tree.leaves(self))

  def _pack(self, Z, is_symmetric: bool = False):
    if not self.symmetric:
      return Z.reshape(-1)
    # svec reads one triangle only: enough for XXᵀ, whose factors are one array.
    return svec(Z if is_symmetric else symmetrise(Z))

  def _unpack(self, d):
    return unsvec(d, self.shape[0]) if self.symmetric else d.reshape(self.shape)


def _pytree(*data: str):
  """Registers a frozen dataclass; fields other than `data` are static."""

  def register(cls):
    names = [field.name for field in dataclasses.fields(cls)]
    meta = [name for name in names if name not in data]
    return jax.tree_util.register_dataclass(cls, [*data], meta)

  return register


@dataclasses.dataclass(frozen=True)
class _Rows(_Packed):
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


@_pytree('A')
@dataclasses.dataclass(frozen=True)
class Dense(_Rows):
  """Row i is A_i flattened: m × n₁n₂, read twice for A*A.

  >>> import jax.numpy as jnp
  >>> operator = build('dense', jnp.eye(4)[:3], (2, 2))
  >>> print(operator.normal(jnp.ones((2, 2))))
  [[1. 1.]
   [1. 0.]]
  """

  def _pack(self, Z, is_symmetric=False):
    return Z.reshape(-1)  # rows are whole matrices even if symmetric

  def _unpack(self, d):
    return d.reshape(self.shape)


@_pytree('A')
@dataclasses.dataclass(frozen=True)
class Svec(_Rows):
  """Row i is svec(A_i): m × n(n+1)/2, read twice for A*A.

  >>> import jax.numpy as jnp
  >>> operator = build('svec', jnp.eye(3)[:2], (2, 2))
  >>> print(operator.normal(jnp.ones((2, 2))).round(6))
  [[1. 1.]
   [1. 0.]]
  """


@_pytree('blocks')
@dataclasses.dataclass(frozen=True)
class Blocks(_Packed):
  """Rows in separate blocks: A*A = Σ_j A_jᵀA_j reads each of them once.

  A block is still in the cache when its transpose is applied. They are separate
  arrays because slicing one array copies the slice.

  >>> import jax.numpy as jnp
  >>> operator = build('blocks', jnp.eye(3), (2, 2), block_rows=2)
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


@_pytree('H')
@dataclasses.dataclass(frozen=True)
class Gram(_Packed):
  """H = AᵀA in packed coordinates: A*A in one product, whatever m.

  The measurements themselves are gone: `forward` and `adjoint` raise TypeError.

  >>> import jax.numpy as jnp
  >>> operator = build('gram', 2 * jnp.eye(3), (2, 2))
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
    return jax.lax.optimization_barrier(self.H @ x)

  def _forward(self, x):
    raise TypeError('a gram operator keeps A*A only; build svec or dense for A')

  _adjoint = _forward


@_pytree()
@dataclasses.dataclass(frozen=True)
class Identity(_Packed):
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
    return packed_size(*self.shape, self.symmetric)


def build(
  kind: str,
  A: Float[Array, 'm p'],
  shape: tuple[int, int],
  *,
  symmetric: bool | None = None,
  block_rows: int | None = None,
) -> Operator:
  """Makes an operator of one kind from the rows of its measurements.

  Args:
    kind: 'dense', 'svec' (symmetric only), 'blocks' or 'gram'.
    A: One measurement a row: svec(A_i), n(n+1)/2 numbers, if symmetric, else
      A_i flattened, n₁n₂ numbers.
    shape: (n₁, n₂).
    symmetric: Whether rows are svec(A_i); when None, told by their length.
    block_rows: Rows of a block; when None, as many as 1 MiB holds, or more so
      that there are at most 32 blocks.

  Returns:
    The operator; all kinds are the same map.

  Raises:
    ValueError: If the kind is unknown or the rows have the wrong length.
  """
  n1, n2 = shape
  columns = A.shape[-1]
  if symmetric is None:
    symmetric = n1 == n2 and columns == packed_size(n1, n2, True)
  if symmetric and n1 != n2:
    raise ValueError(f'symmetric matrices are square, got {n1} x {n2}')
  p = packed_size(n1, n2, symmetric)
  if A.ndim != 2 or columns != p or A.shape[0] < 1:
    raise ValueError(
      f'measurements have shape {A.shape}, expected (m >= 1, {p}) for '
      f'{"symmetric " * symmetric}{n1} x {n2} matrices'
    )
  if kind == 'svec':
    if not symmetric:
      raise ValueError('svec packs symmetric measurements; build dense')
    return Svec((n1, n2), symmetric, A)
  if kind == 'dense':
    if symmetric:
      A = jax.vmap(lambda row: unsvec(row, n1).reshape(-1))(A)
    return Dense((n1, n2), symmetric, A)
  if kind == 'gram':
    H = jnp.matmul(A.T, A, precision='highest')
    return Gram((n1, n2), symmetric, H, A.shape[0])
  if kind == 'blocks':
    m = A.shape[0]
    if block_rows is not None and block_rows < 1:
      raise ValueError(f'block_rows is {block_rows}, expected an integer >= 1')
    rows = block_rows or max(
      (1 << 20) // (p * A.dtype.itemsize), math.ceil(m / _MAX_BLOCKS), 1
    )
    blocks = tuple(A[i : i + rows] for i in range(0, m, rows))
    return Blocks((n1, n2), symmetric, blocks)
  raise ValueError(
    f"operator is {kind!r}, expected 'dense', 'svec', 'blocks' or 'gram'"
  )
