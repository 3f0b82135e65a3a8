"""Whether two sets of features tell the same rows apart."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from framework.maths.norms import norm, ratio

__all__ = ['cka']


@jax.jit
def cka(
  X: Float[Array, 'rows p'], Y: Float[Array, 'rows q']
) -> Float[Array, '']:
  """Linear centred kernel alignment of two feature matrices.

      ‖YᵀX‖_F² / (‖XᵀX‖_F ‖YᵀY‖_F),   columns of X and Y centred

  The cosine of the two centred Gram matrices XXᵀ and YYᵀ, so that neither a
  rotation nor a scale of features changes it. Beside features at the start it
  says how far training has moved them: 1 in the lazy regime.

  Args:
    X: Features of some rows.
    Y: Other features of the same rows.

  Returns:
    A number in [0, 1]; 0 where one of them does not tell any rows apart.

  References:
    Kornblith, Norouzi, Lee, Hinton, "Similarity of Neural Network
    Representations Revisited", ICML 2019.

  >>> X = jnp.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
  >>> [round(float(cka(X, Y)), 4) for Y in (3 * X[:, ::-1], X[:, :1])]
  [1.0, 0.7906]
  """
  X, Y = _centred(X), _centred(Y)
  rows, widest = X.shape[0], max(X.shape[1], Y.shape[1])
  if rows < widest:
    K, L = X @ X.T, Y @ Y.T
    return ratio(jnp.sum(K * L), norm(K) * norm(L))
  return ratio(jnp.sum((Y.T @ X) ** 2), norm(X.T @ X) * norm(Y.T @ Y))


def _centred(X: Float[Array, 'rows p']) -> Float[Array, 'rows p']:
  """Without the mean row, and of norm 1: products do not overflow."""
  X = X - jnp.mean(X, 0, keepdims=True)
  return X * ratio(jnp.ones((), X.dtype), norm(X))
