"""The largest curvature of a loss, from products of its Hessian with vectors.

Lanczos: in an orthonormal basis Q of span(v, Hv, ..., H^(k-1) v) the Hessian is
a tridiagonal T = QᵀHQ, whose extreme eigenvalues come to those of H long before
k reaches the number of parameters. No Hessian is ever formed.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree

from framework.checks import check_sizes
from framework.maths import linalg

__all__ = ['Edges', 'hessian_edges', 'hvp', 'sharpness']

_Loss = Callable[[PyTree], Float[Array, '']]


class Edges(NamedTuple):
  """The ends of the spectrum of a Hessian."""

  least: Float[Array, '']
  largest: Float[Array, '']


def hvp(loss: _Loss, params: PyTree, direction: PyTree) -> PyTree:
  """∇²L(θ) v, forward over reverse: the cost of about two gradients.

  Args:
    loss: L: params -> scalar.
    params: θ.
    direction: v, like the parameters.

  Returns:
    The product, like the parameters.

  >>> print(hvp(lambda w: jnp.sum(w**3), jnp.array([1.0, 2.0]), jnp.ones(2)))
  [ 6. 12.]
  """
  return jax.jvp(jax.grad(loss), (params,), (direction,))[1]


def sharpness(
  key: Key[Array, ''], loss: _Loss, params: PyTree, steps: int = 32
) -> Float[Array, '']:
  """λ_max(∇²L(θ)), from below.

  Gradient descent with rate η is stable at a minimum while λ_max < 2/η; large
  nets under full batches rise to that and stay there, the edge of stability.

  Args:
    key: Draws the vector to begin with.
    loss: L: params -> scalar.
    params: θ.
    steps: Products with the Hessian, each about two gradients, and as many
      vectors like the parameters in memory.

  Returns:
    The largest eigenvalue of T: never above λ_max but for rounding, and rising
    to it with the steps; exact with as many steps as parameters.

  Raises:
    ValueError: If `steps` is below 1.

  References:
    Cohen, Kaur, Li, Kolter, Talwalkar, "Gradient Descent on Neural Networks
    Typically Occurs at the Edge of Stability", ICLR 2021. Golub, Van Loan,
    "Matrix Computations", chapter 10.

  >>> def loss(w):
  ...   return 0.5 * jnp.sum(jnp.array([1.0, 4.0, -9.0]) * w**2)
  >>> print(sharpness(jax.random.key(0), loss, jnp.ones(3)).round(4))
  4.0
  """
  return hessian_edges(key, loss, params, steps).largest


def hessian_edges(
  key: Key[Array, ''], loss: _Loss, params: PyTree, steps: int = 32
) -> Edges:
  """The least and the largest eigenvalue of ∇²L(θ), from inside.

  Args:
    key: As in `sharpness`.
    loss: As in `sharpness`.
    params: As in `sharpness`.
    steps: As in `sharpness`.

  Returns:
    Both ends; the least is negative at a saddle.

  Raises:
    ValueError: If `steps` is below 1.

  >>> def loss(w):
  ...   return 0.5 * jnp.sum(jnp.array([1.0, 4.0, -9.0]) * w**2)
  >>> print(hessian_edges(jax.random.key(0), loss, jnp.ones(3)).least.round(4))
  -9.0
  """
  check_sizes(steps=steps)
  flat, tree_of = ravel_pytree(params)
  steps = min(steps, flat.size)
  dtype = jnp.promote_types(flat.dtype, jnp.float32)

  def product(v: Float[Array, ' n']) -> Float[Array, ' n']:
    along = tree_of(v.astype(flat.dtype))
    return ravel_pytree(hvp(loss, params, along))[0].astype(dtype)

  def one_step(j, carry):
    basis, diagonal, beside = carry
    v = basis[j]
    w = product(v)
    # Where no direction is left v is 0. Then any number within the spectrum may
    # stand on the diagonal, such as the first.
    alpha = jnp.where(jnp.any(v != 0), v @ w, diagonal[0])
    # Against all vectors so far, and twice: rounding makes a plain recursion
    # find the same eigenvector again and again.
    for _ in range(2):
      w = w - (basis @ w) @ basis
    beta = jnp.linalg.norm(w)
    following = w / jnp.where(beta > 0, beta, 1)
    return (
      basis.at[j + 1].set(following, mode='drop'),
      diagonal.at[j].set(alpha),
      beside.at[j].set(beta),
    )

  v = jax.random.normal(key, flat.shape, dtype)
  basis = jnp.zeros((steps, flat.size), dtype)
  none = jnp.zeros(steps, dtype)
  carry = (basis.at[0].set(v / jnp.linalg.norm(v)), none, none)
  _, diagonal, beside = jax.lax.fori_loop(0, steps, one_step, carry)
  T = jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1)
  eigenvalues = linalg.eigvalsh(T)
  return Edges(eigenvalues[0], eigenvalues[-1])
