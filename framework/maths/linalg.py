"""Small dense linear algebra that is safe and quick when lanes are vmapped.

On a CPU, XLA's LAPACK kernels split a batch of matrices over the thread pool
and wait for it from inside that pool: with as many kernels running at once as
the pool has threads (two devices on two cores will do) the program waits for
ever. So here a batch on a CPU is a loop of single matrices, which for the small
matrices of this library costs nothing; elsewhere it is the batched kernel.

Use these in anything that is vmapped: `step`, `observe`, what they call.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

__all__ = [
  'eigh',
  'eigvalsh',
  'one_by_one',
  'qr',
  'qr_r',
  'singular_values',
  'solve_lower',
  'solve_spd',
  'svd',
]


def one_by_one(f: Callable) -> Callable:
  """`f` of single matrices; under vmap a loop on CPU, batched elsewhere."""

  @custom_vmap
  def single(*args):
    return f(*args)

  @single.def_vmap
  def batched(size, is_batched, *args):
    whole = [
      x if b else jnp.broadcast_to(x, (size, *jnp.shape(x)))
      for x, b in zip(args, is_batched, strict=True)
    ]
    out = jax.lax.platform_dependent(
      *whole,
      cpu=lambda *xs: jax.lax.map(lambda x: single(*x), xs),
      default=lambda *xs: jax.vmap(f)(*xs),
    )
    return out, jax.tree.map(lambda _: True, out)

  # Derivatives take the plain function: what `custom_vmap` derives does not end
  # where tangents alone are batched, as under `jax.jacfwd`.
  @jax.custom_jvp
  def differentiable(*args):
    return single(*args)

  @differentiable.defjvp
  def _(primals, tangents):
    return jax.jvp(f, primals, tangents)

  return differentiable


_eigh = one_by_one(lambda A: tuple(jnp.linalg.eigh(A)))
_qr = one_by_one(lambda F: tuple(jnp.linalg.qr(F)))
_eigvalsh = one_by_one(jnp.linalg.eigvalsh)
_qr_r = one_by_one(lambda F: jnp.linalg.qr(F, mode='r'))
_singular_values = one_by_one(lambda Z: jnp.linalg.svd(Z, compute_uv=False))
_svd = one_by_one(lambda F: tuple(jnp.linalg.svd(F, full_matrices=False)))
_full_svd = one_by_one(lambda F: tuple(jnp.linalg.svd(F, full_matrices=True)))


def _lower(transposed: bool) -> Callable:
  return one_by_one(
    lambda L, B: jax.scipy.linalg.solve_triangular(
      L, B, trans=int(transposed), lower=True
    )
  )


_LOWER = {transposed: _lower(transposed) for transposed in (False, True)}
_solve_spd = one_by_one(
  lambda A, B: jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(A), B)
)


def eigh(
  A: Float[Array, 'k k'],
) -> tuple[Float[Array, ' k'], Float[Array, 'k k']]:
  """Eigenvalues of a symmetric matrix, ascending, and eigenvectors in columns.

  >>> values, vectors = eigh(jnp.diag(jnp.array([2.0, 1.0])))
  >>> print(values, abs(vectors))
  [1. 2.] [[0. 1.]
   [1. 0.]]
  """
  return _eigh(A)


def qr(
  F: Float[Array, 'n k'],
) -> tuple[Float[Array, 'n j'], Float[Array, 'j k']]:
  """F = QR with orthonormal columns of Q, j = min(n, k).

  >>> Q, R = qr(jnp.array([[3.0], [4.0]]))
  >>> print(abs(Q).round(6).T, abs(R))
  [[0.6 0.8]] [[5.]]
  """
  return _qr(F)


def eigvalsh(A: Float[Array, 'k k']) -> Float[Array, ' k']:
  """Eigenvalues of a symmetric matrix, ascending.

  >>> print(eigvalsh(jnp.diag(jnp.array([2.0, 1.0]))))
  [1. 2.]
  """
  return _eigvalsh(A)


def qr_r(F: Float[Array, 'n k']) -> Float[Array, 'j k']:
  """The triangular factor of F = QR, j = min(n, k).

  >>> print(abs(qr_r(jnp.array([[3.0], [4.0]]))))
  [[5.]]
  """
  return _qr_r(F)


def singular_values(Z: Float[Array, 'n m']) -> Float[Array, ' j']:
  """Singular values, descending, j = min(n, m).

  >>> print(singular_values(jnp.diag(jnp.array([1.0, 2.0]))))
  [2. 1.]
  """
  return _singular_values(Z)


def svd(
  F: Float[Array, '*b n k'], full: bool = False
) -> tuple[
  Float[Array, '*b n j'], Float[Array, '*b j'], Float[Array, '*b j k']
]:
  """F = U diag(s) Vᵀ, thin (j = min(n, k)) or full.

  Args:
    F: Any matrix, or matrices.
    full: Whether U and V are square.

  Returns:
    (U, s, Vᵀ).

  >>> U, s, Vt = svd(jnp.eye(3)[:, :2])
  >>> U.shape, s.shape, Vt.shape
  ((3, 2), (2,), (2, 2))
  """
  one = _full_svd if full else _svd
  for _ in range(F.ndim - 2):
    one = jax.vmap(one)
  return one(F)


def solve_spd(
  A: Float[Array, 'k k'], B: Float[Array, 'k n']
) -> Float[Array, 'k n']:
  """A⁻¹B for a symmetric positive definite A, by Cholesky.

  >>> print(solve_spd(4 * jnp.eye(2), jnp.ones((2, 1))))
  [[0.25]
   [0.25]]
  """
  return _solve_spd(A, B)


def solve_lower(
  L: Float[Array, 'k k'], B: Float[Array, 'k n'], transposed: bool = False
) -> Float[Array, 'k n']:
  """L⁻¹B, or L⁻ᵀB, for a lower triangular L; above its diagonal nothing counts.

  >>> print(solve_lower(jnp.array([[2.0, 9.0], [2.0, 1.0]]), jnp.ones((2, 1))))
  [[0.5]
   [0. ]]
  """
  return _LOWER[transposed](L, B)
