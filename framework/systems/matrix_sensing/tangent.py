"""The linearisation of descent in the factors: its kernel and its rates.

At a point where FGᵀ = M the error obeys δ⁺ = (I - η JᵀJ) δ, so the squared
error falls as (1 - η λ⁺)^2t with λ⁺ the least eigenvalue of JᵀJ that is not
zero by structure.

References:
  Xiong, Ding, Du (2023), How over-parameterization slows down gradient descent
  in matrix sensing: the curses of symmetry and initialization.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from framework.maths import linalg
from framework.systems.matrix_sensing.operators.base import Operator

__all__ = [
  'noise_eigenvalue',
  'noise_rate',
  'ntk',
  'ntk_edges',
  'structural_zeros',
]


@functools.partial(jax.jit, static_argnames='symmetric')
def ntk(
  F: Float[Array, 'n1 k'],
  G: Float[Array, 'n2 k'],
  operator: Operator,
  symmetric: bool,
) -> Float[Array, 'd d']:
  """The Gauss-Newton matrix JᵀJ in the parameters.

      ¼‖A(XXᵀ) - y‖²   dX       ↦ A*A(dX Xᵀ + X dXᵀ) X
      ½‖A(FGᵀ) - y‖²   (dF, dG) ↦ (D G, DᵀF),  D = A*A(dF Gᵀ + F dGᵀ)

  Args:
    F: Left factor, or X.
    G: Right factor; not used if symmetric.
    operator: The measurements; for XXᵀ only their symmetric part counts.
    symmetric: Which of the two losses.

  Returns:
    A matrix over the entries of X (d = nk), or of F and then G
    (d = (n₁ + n₂)k), row after row. Columns that are zero in both factors add
    zero rows and columns.

  >>> from framework.systems.matrix_sensing.operators import Identity
  >>> X = jnp.array([[2.0], [0.0]])
  >>> print(ntk(X, X, Identity((2, 2), symmetric=True), symmetric=True))
  [[8. 0.]
   [0. 4.]]
  """

  def product(change):
    if symmetric:
      dX = change.reshape(F.shape)
      D = operator.normal(dX @ F.T + F @ dX.T)
      return ((D + D.T) / 2 @ F).reshape(-1)
    dF, dG = jnp.split(change, [F.size])
    D = operator.normal(dF.reshape(F.shape) @ G.T + F @ dG.reshape(G.shape).T)
    return jnp.concatenate([(D @ G).reshape(-1), (D.T @ F).reshape(-1)])

  size = F.size if symmetric else F.size + G.size
  # Symmetric, so the images of the unit vectors may be its rows.
  return jax.vmap(product)(jnp.eye(size, dtype=F.dtype))


@jax.jit
def ntk_edges(
  JtJ: Float[Array, 'd d'], zeros: Int[ArrayLike, '']
) -> tuple[Float[Array, ''], Float[Array, '']]:
  """λ⁺_min and λ_max: the linear rate and the edge of stability.

  Args:
    JtJ: The matrix of `ntk`.
    zeros: Eigenvalues that are zero by structure; may be traced.

  Returns:
    (least eigenvalue after the `zeros` lowest, greatest eigenvalue). Descent is
    stable for η < 2/λ_max.

  >>> lowest, highest = ntk_edges(jnp.diag(jnp.array([3.0, 0.0, 1.0])), 1)
  >>> print(lowest, highest)
  1.0 3.0
  """
  eigenvalues = linalg.eigvalsh(JtJ)
  return eigenvalues[zeros], eigenvalues[-1]


def structural_zeros(
  n1: int,
  n2: int,
  k: Int[ArrayLike, ''],
  r: int,
  symmetric: bool,
  k_max: int | None = None,
) -> Int[ArrayLike, '']:
  """How many eigenvalues of JᵀJ vanish whatever the measurements.

      XXᵀ  r(r-1)/2 rotations of the signal columns and, the gradient of the
           square vanishing there, all n(k-r) entries of the noise columns
      FGᵀ  n₁k + n₂k - (n₂k + n₁r - kr): FGᵀ moves within
           {dF Gᵀ} + {F dGᵀ}, of dimensions n₁r and n₂k, kr of them shared

  Assumed: rank X = r; F of full rank k and G of rank r, that is, a limit that
  kept its imbalance; measurements that tell these directions apart. By symmetry
  exchange n₁ and n₂ if it is G that kept full rank.

  Args:
    n1: Rows of F.
    n2: Rows of G.
    k: Columns in use; may be traced.
    r: Rank of the truth.
    symmetric: Whether the product is XXᵀ.
    k_max: Columns of the arrays; each beyond k is zero in both factors and adds
      a zero for every entry, n₁ + n₂ (n for XXᵀ). k when None.

  Returns:
    The number of zeros.

  >>> structural_zeros(30, 30, k=3, r=3, symmetric=True)
  3
  >>> structural_zeros(30, 30, k=5, r=3, symmetric=False)
  75
  """
  padding = 0 if k_max is None else k_max - k
  if symmetric:
    return r * (r - 1) // 2 + n1 * (k - r) + n1 * padding
  return n1 * (k - r) + k * r + (n1 + n2) * padding


def noise_eigenvalue(
  F: Float[Array, 'n1 k'], k: Int[ArrayLike, ''] | None = None
) -> Float[Array, '']:
  """λ_min(FᵀF): the rate at which the noise rows of G die, exactly.

      V_⊥ᵀG⁺ = V_⊥ᵀG (I - η FᵀF)

  at population, V_⊥ the complement of the truth's right basis. An eigenvalue of
  JᵀJ with n₂ - r copies.

  Args:
    F: Left factor at the limit.
    k: Columns in use, those beyond being zero; may be traced. All when None.

  Returns:
    The eigenvalue.

  >>> print(noise_eigenvalue(jnp.diag(jnp.array([2.0, 3.0, 0.0])), k=2))
  4.0
  """
  k_max = F.shape[1]
  return linalg.eigvalsh(F.T @ F)[0 if k is None else k_max - k]


@functools.partial(jax.jit, static_argnames='r')
def noise_rate(
  F: Float[Array, 'n1 k'],
  G: Float[Array, 'n2 k'],
  r: int,
  k: Int[ArrayLike, ''] | None = None,
) -> Float[Array, '']:
  """λ_min(NᵀFᵀF N), N the null space of the rows of G: the noise block's rate.

  The noise follows G⁺ = G(I - η FᵀF), so the squared error of an asymmetric run
  falls as (1 - ηλ)^2t to leading order in the scale α of the start. Beyond it
  the noise in G also meets the signal columns of F: exact for the population is
  λ_min(FᵀF), an eigenvalue of JᵀJ, smaller by a relative O(α²).

  Args:
    F: Left factor at the limit.
    G: Right factor at the limit, numerically of rank r.
    r: Rank of the truth.
    k: Columns in use, those beyond being zero in both factors; may be traced.
      All of them when None.

  Returns:
    The eigenvalue; infinite if k ≤ r, where there is no noise block.

  >>> F, G = jnp.diag(jnp.array([1.0, 3.0])), jnp.diag(jnp.array([1.0, 0.0]))
  >>> print(noise_rate(F, G, 1))
  9.0
  """
  k_max = F.shape[1]
  k = k_max if k is None else k
  if k_max <= r:
    return jnp.asarray(jnp.inf, F.dtype)
  _, _, Vt = linalg.svd(G, full=True)
  N = Vt[r:].T
  # Zero columns lie in the null space too. Weighing them more than anything
  # else takes them out of the minimum, whatever basis the SVD has chosen.
  unused = (jnp.arange(k_max) >= k).astype(F.dtype)
  weight = 1 + jnp.sum(F**2)
  FtF = F.T @ F + jnp.diag(weight * unused)
  lowest = linalg.eigvalsh(N.T @ FtF @ N)[0]
  return jnp.where(jnp.asarray(k) > r, lowest, jnp.inf)
