"""Probes of a factored iterate FGᵀ (or XXᵀ) on its way to M.

Pure and unbatched. Columns that are zero in both factors, the padding that lets
runs of different k share one program, change none of these values. The probes
of the linearisation are in `tangent`, that of the operator is `rip_lower_bound`
of `operators`; all are here by name.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from framework.maths import linalg
from framework.systems.matrix_sensing.ensembles import Truth, matrix
from framework.systems.matrix_sensing.operators.isometry import (
  rip_lower_bound,
)
from framework.systems.matrix_sensing.tangent import (
  noise_eigenvalue,
  noise_rate,
  ntk,
  ntk_edges,
  structural_zeros,
)

__all__ = [
  'ErrorBlocks',
  'Recomposition',
  'error_blocks',
  'imbalance',
  'imbalance_step',
  'noise_eigenvalue',
  'noise_rate',
  'ntk',
  'ntk_edges',
  'recompose',
  'rip_lower_bound',
  'singular_values',
  'squared_error',
  'structural_zeros',
]


class Recomposition(NamedTuple):
  """Norms of the blocks of XXᵀ - M: squared, 1, 2 and 1 of them make it up."""

  signal: Float[Array, '']
  cross: Float[Array, '']
  residual: Float[Array, '']


class ErrorBlocks(NamedTuple):
  """Norms of the blocks of FGᵀ - M; their squares sum to its square."""

  signal: Float[Array, '']
  left: Float[Array, '']  # columns outside span U, rows inside span V
  right: Float[Array, '']  # columns inside span U, rows outside span V
  residual: Float[Array, '']


def squared_error(
  F: Float[Array, 'n1 k'], G: Float[Array, 'n2 k'], truth: Truth
) -> Float[Array, '']:
  """‖FGᵀ - M‖_F², from the n₁ × n₂ difference.

  Expanding the square instead would save memory but lose the error below
  rounding of ‖M‖², where linear convergence is still measured.

  >>> from framework.systems.matrix_sensing.targets import from_matrix
  >>> X = jnp.array([[1.0], [1.0]])
  >>> print(squared_error(X, X, from_matrix(jnp.eye(2))).round(6))
  2.0
  """
  return jnp.sum((F @ G.T - matrix(truth)) ** 2)


def recompose(X: Float[Array, 'n k'], truth: Truth) -> Recomposition:
  """Splits the error of XXᵀ into signal, cross and residual.

      S = UᵀX,  E = U_⊥ᵀX,
      signal ‖Σ - SSᵀ‖_F,  cross ‖SEᵀ‖_F,  residual ‖EEᵀ‖_F,
      ‖XXᵀ - M‖_F² = signal² + 2 cross² + residual².

  (I - UUᵀ)X stands for E, which has the same norms and needs no U_⊥.

  Args:
    X: The factor.
    truth: M = U diag(s) Uᵀ.

  Returns:
    The three norms.

  References:
    Ma, Fattahi (2022), Global convergence of sub-gradient method for robust
    matrix recovery.

  >>> truth = Truth(jnp.eye(3)[:, :1], jnp.array([4.0]), jnp.eye(3)[:, :1])
  >>> print(*recompose(jnp.array([[1.0], [2.0], [0.0]]), truth))
  3.0 2.0 4.0
  """
  S, E = _split(X, truth.U)
  return Recomposition(
    signal=_norm(jnp.diag(truth.s) - S @ S.T),
    cross=_norm(S @ E.T),
    residual=_norm(E.T @ E),
  )


def error_blocks(
  F: Float[Array, 'n1 k'], G: Float[Array, 'n2 k'], truth: Truth
) -> ErrorBlocks:
  """Splits the error of FGᵀ in the bases of the truth.

      F = U S_F + E_F,  G = V S_G + E_G,
      signal ‖S_F S_Gᵀ - Σ‖,  left ‖E_F S_Gᵀ‖,  right ‖S_F E_Gᵀ‖,
      residual ‖E_F E_Gᵀ‖ (Frobenius norms),
      ‖FGᵀ - M‖² = signal² + left² + right² + residual².

  Args:
    F: Left factor.
    G: Right factor.
    truth: M = U diag(s) Vᵀ.

  Returns:
    The four norms.

  >>> truth = Truth(jnp.eye(2)[:, :1], jnp.array([4.0]), jnp.eye(2)[:, :1])
  >>> F, G = jnp.array([[1.0], [2.0]]), jnp.array([[1.0], [3.0]])
  >>> print(*error_blocks(F, G, truth))
  3.0 2.0 3.0 6.0
  """
  S_F, E_F = _split(F, truth.U)
  S_G, E_G = _split(G, truth.V)
  return ErrorBlocks(
    signal=_norm(S_F @ S_G.T - jnp.diag(truth.s)),
    left=_norm(E_F @ S_G.T),
    right=_norm(S_F @ E_G.T),
    residual=_norm(E_F @ E_G.T),
  )


def imbalance(
  F: Float[Array, 'n1 k'], G: Float[Array, 'n2 k']
) -> Float[Array, 'k k']:
  """Δ = FᵀF - GᵀG, constant under gradient flow.

  >>> print(imbalance(jnp.array([[2.0]]), jnp.array([[1.0]])))
  [[3.]]
  """
  return F.T @ F - G.T @ G


def imbalance_step(
  F: Float[Array, 'n1 k'],
  G: Float[Array, 'n2 k'],
  D: Float[Array, 'n1 n2'],
  eta: Float[Array, ''] | float,
) -> Float[Array, 'k k']:
  """The change of Δ in one step of gradient descent, exact for every η.

      F⁺ = F - η D G,  G⁺ = G - η DᵀF,
      Δ⁺ - Δ = η² (GᵀDᵀDG - FᵀDDᵀF).

  Args:
    F: Left factor before the step.
    G: Right factor.
    D: Gradient of the loss in the product FGᵀ, A*(A(FGᵀ) - y).
    eta: Step size η.

  Returns:
    Δ⁺ - Δ.

  >>> F, G, D, eta = (jnp.full((1, 1), x) for x in (2.0, 1.0, 4.0, 0.5))
  >>> step = imbalance(F - eta * D * G, G - eta * D * F) - imbalance(F, G)
  >>> print(step, imbalance_step(F, G, D, 0.5))
  [[-12.]] [[-12.]]
  """
  DG, DtF = D @ G, D.T @ F
  return eta**2 * (DG.T @ DG - DtF.T @ DtF)


def singular_values(
  F: Float[Array, 'n1 k'], G: Float[Array, 'n2 k']
) -> Float[Array, ' k']:
  """Singular values of FGᵀ from a k × k matrix, not increasing.

      F = Q_F R_F,  G = Q_G R_G,  σ(FGᵀ) = σ(R_F R_Gᵀ).

  Args:
    F: Left factor.
    G: Right factor; F again for XXᵀ.

  Returns:
    min(k, n₁, n₂) values; those of zero columns are zero.

  >>> F, G = jnp.array([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), jnp.eye(2)
  >>> print(singular_values(F, G))
  [2. 1.]
  """
  R_F = linalg.qr_r(F)
  R_G = linalg.qr_r(G)
  return linalg.singular_values(R_F @ R_G.T)


def _split(
  X: Float[Array, 'n k'], U: Float[Array, 'n r']
) -> tuple[Float[Array, 'r k'], Float[Array, 'n k']]:
  """Coordinates in the basis and what is orthogonal to it."""
  S = U.T @ X
  return S, X - U @ S


def _norm(Z: Float[Array, 'a b']) -> Float[Array, '']:
  return jnp.sqrt(jnp.sum(Z**2))
