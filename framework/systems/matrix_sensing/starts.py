"""Where descent starts: small random factors, or the spectrum of A*(ψ(y)).

A start is a function (key, problem, k_max, symmetric) -> (F̃, G̃) of singular
values about one; the system multiplies by α and keeps the first k columns.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from framework.maths import draws, linalg
from framework.systems.matrix_sensing.problem import Problem, measured

__all__ = ['gaussian', 'spectral']


def gaussian(
  key: Key[Array, ''], problem: Problem, k_max: int, symmetric: bool
) -> tuple[Float[Array, 'n1 k'], Float[Array, 'n2 k']]:
  """Independent entries N(0, 1/n): singular values about one.

  Args:
    key: Random key.
    problem: Supplies the shape.
    k_max: Columns.
    symmetric: Whether the second factor is the first.

  Returns:
    (F̃, G̃).
  """
  key_f, key_g = jax.random.split(key)
  n1, n2 = problem.operator.shape
  dtype = jnp.result_type(problem.y_energy)

  def draw(key: Key[Array, ''], n: int) -> Float[Array, 'n k']:
    # Column by column, so that column j does not depend on k_max.
    return draws.normal(key, (k_max, n), dtype).T / n**0.5

  F = draw(key_f, n1)
  return F, F if symmetric else draw(key_g, n2)


def spectral(
  weigh: Callable[[Array], Array] = jnp.sign,
) -> Callable[..., tuple[Array, Array]]:
  """The leading spectrum of C = (1/m) Σ ψ(y_i) A_i.

      XXᵀ   F̃ = V_k (Λ_k)₊^½ of C = VΛVᵀ, largest eigenvalues first
      FGᵀ   F̃ = U_k S_k^½, G̃ = V_k S_k^½ of C = USVᵀ

  With ψ = sign outliers of any size have the weight of one measurement.

  *Deviation*: as remembered from [1], whose text could not be had in full.

  Args:
    weigh: ψ, elementwise; the identity for clean measurements.

  Returns:
    A start.

  References:
    [1] Ma, Fattahi, "Global Convergence of Sub-gradient Method for Robust
        Matrix Recovery", 2022.
  """

  def start(key, problem, k_max, symmetric):
    del key
    y = measured(problem)
    count = y.size if problem.used is None else jnp.sum(problem.used)
    root = jnp.sqrt(jnp.asarray(y.size, y.dtype))
    C = problem.operator.adjoint(weigh(root * y)) * root / count
    if symmetric:
      values, vectors = linalg.eigh((C + C.T) / 2)
      values, vectors = values[::-1][:k_max], vectors[:, ::-1][:, :k_max]
      F = vectors * jnp.sqrt(jnp.maximum(values, 0))[None, :]
      return F, F
    U, s, Vt = linalg.svd(C)
    root = jnp.sqrt(s[None, :k_max])
    return U[:, :k_max] * root, Vt[:k_max].T * root

  return start
