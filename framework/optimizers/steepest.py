"""Normalised steepest descent: one step of length η in a norm.

    ΔW = η argmin_{‖U‖ ≤ 1} ⟨∇L, U⟩,    ⟨∇L, ΔW⟩ = −η ‖∇L‖°

    frobenius  −G/‖G‖_F                    normalised gradient descent
    linf       −sign(G)                    sign descent (Adam, no memory)
    l1         −sign(G_ij) e_i e_jᵀ, |G_ij| largest:  coordinate descent
    spectral   −U Vᵀ, G = U Σ Vᵀ           spectral descent (Muon, no memory)
    nuclear    −u₁ v₁ᵀ                     rank-one steps

For linear models such descent maximises the margin in its own norm
(Gunasekar, Lee, Soudry, Srebro 2018): `framework.maths.margin.svm` has the
solution to compare with in each of these norms.

References:
  Gunasekar, Lee, Soudry, Srebro, "Characterizing Implicit Bias in Terms of
  Optimization Geometry", ICML 2018. Bernstein, Newhouse, "Old Optimizer, New
  Norm: An Anthology", 2024.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float

from framework.maths import linalg
from framework.maths.margin.norms import norm_named

__all__ = ['STEEPEST', 'scale_by_steepest', 'steepest', 'steepest_direction']

_Matrix = Float[Array, 'd q']


def _of_order_one(G: _Matrix) -> _Matrix:
  """G over its largest entry: squares of it do not underflow."""
  size = jnp.max(jnp.abs(G))
  return G / jnp.where(size > 0, size, 1)


def _frobenius(G: _Matrix) -> _Matrix:
  G = _of_order_one(G)
  size = jnp.sqrt(jnp.sum(G**2))
  return G / jnp.where(size > 0, size, 1)


def _l1(G: _Matrix) -> _Matrix:
  flat = jnp.abs(G).ravel()
  chosen = jnp.arange(flat.size) == jnp.argmax(flat)
  return jnp.where(chosen.reshape(G.shape), jnp.sign(G), 0)


def _spectral(G: _Matrix) -> _Matrix:
  U, s, Vt = linalg.svd(_of_order_one(G))
  # Directions that the gradient does not have are not moved along.
  real = s > s[0] * max(G.shape) * jnp.finfo(G.dtype).eps
  return (U * real.astype(G.dtype)[None]) @ Vt


def _nuclear(G: _Matrix) -> _Matrix:
  U, s, Vt = linalg.svd(_of_order_one(G))
  return jnp.where(s[0] > 0, U[:, :1] * Vt[:1], 0)


STEEPEST: dict[str, Callable[[_Matrix], _Matrix]] = {
  'frobenius': _frobenius,
  'nuclear': _nuclear,
  'spectral': _spectral,
  'linf': jnp.sign,
  'l1': _l1,
}


def steepest_direction(G: _Matrix, norm: str) -> _Matrix:
  """The U of ‖U‖ ≤ 1 with the largest ⟨G, U⟩, which is ‖G‖°.

  Args:
    G: A gradient; only its direction matters.
    norm: 'frobenius', 'nuclear', 'spectral', 'linf' or 'l1'.

  Returns:
    U; 0 where G is.

  Raises:
    ValueError: If there is no such norm.

  >>> G = jnp.array([[3.0, 0.0], [0.0, -1.0]])
  >>> print(steepest_direction(G, 'l1'), steepest_direction(G, 'spectral'))
  [[1. 0.]
   [0. 0.]] [[ 1.  0.]
   [ 0. -1.]]
  """
  norm_named(norm)
  return STEEPEST[norm](G)


def scale_by_steepest(norm: str) -> optax.GradientTransformation:
  """The direction of steepest ascent in a norm, each matrix for itself.

  Args:
    norm: As in `steepest_direction`.

  Returns:
    A transformation without state; a learning rate is to come after it.

  Raises:
    ValueError: If there is no such norm.
  """
  norm_named(norm)
  direction = STEEPEST[norm]
  return optax.stateless(
    lambda updates, params: jax.tree.map(direction, updates)
  )


def steepest(
  learning_rate: Float[ArrayLike, ''], norm: str
) -> optax.GradientTransformation:
  """Steps of length `learning_rate` in a norm, each matrix for itself.

  Args:
    learning_rate: η, may be traced.
    norm: As in `steepest_direction`.

  Returns:
    A transformation without state.

  Raises:
    ValueError: If there is no such norm.

  >>> rule = steepest(0.5, 'linf')
  >>> G = jnp.array([[3.0, -0.1]])
  >>> print(rule.update(G, rule.init(G))[0])
  [[-0.5  0.5]]
  """
  return optax.chain(
    scale_by_steepest(norm),
    optax.stateless(
      lambda updates, params: jax.tree.map(
        lambda U: -(learning_rate * U).astype(U.dtype), updates
      )
    ),
  )
