"""A measured truth, y = A(M) + s, and the losses of the residual.

    z = A(FGᵀ) − y,   L = ρ(z),   ∇_F L = D G,   ∇_G L = Dᵀ F,   D = A*(∇ρ(z))

A loss is a function (problem, F, G) -> `Slope`. For XXᵀ half of it is taken, so
that its step is X⁺ = X − η D X.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from framework.systems.matrix_sensing import ensembles

__all__ = ['Loss', 'Problem', 'Slope', 'least_squares', 'residual_loss']


class Problem(NamedTuple):
  """A truth with its measurements: all that is fixed over time."""

  operator: Any  # an `operators.Operator`
  truth: ensembles.Truth
  M: Float[Array, 'n1 n2']
  y_energy: Float[Array, '']  # ‖y‖²
  noise_adjoint: Float[Array, 'n1 n2'] | None = None  # A*(s) of the noise s
  noise_energy: Float[Array, ''] | None = None  # ‖s‖²
  noise: Float[Array, ' m'] | None = None  # s


class Slope(NamedTuple):
  """The value of a loss, and its gradients in F and G."""

  value: Float[Array, '']
  F: Float[Array, 'n1 k']  # D G
  G: Float[Array, 'n2 k']  # Dᵀ F


Loss: TypeAlias = Callable[[Problem, Array, Array], Slope]


def least_squares(
  problem: Problem, F: Float[Array, 'n1 k'], G: Float[Array, 'n2 k']
) -> Slope:
  """½ ‖A(FGᵀ) − y‖²: needs A*A alone, whatever form the operator has.

  Args:
    problem: Operator, truth and noise.
    F: Left factor.
    G: Right factor; F again for XXᵀ.

  Returns:
    The value and the gradients, with D = A*(A(FGᵀ) − y).
  """
  energy, DG, DtF = problem.operator.residual(F, G, problem.truth)
  Q, noise = problem.noise_adjoint, problem.noise_energy
  if Q is not None and noise is not None:  # y = A(M) + s, Q = A*(s)
    DG, DtF = DG - Q @ G, DtF - Q.T @ F
    energy += noise - 2 * jnp.vdot(F @ G.T - problem.M, Q)
  return Slope(energy / 2, DG, DtF)


def residual_loss(rho: Callable[[Array], Array]) -> Loss:
  """Any loss of the residual, such as the absolute value or Huber's.

  Args:
    rho: Residuals z (m,) -> ρ(z), a scalar that JAX can differentiate. An
      operator that keeps its measurements is needed: not `gram`.

  Returns:
    The loss.

  >>> import jax.numpy as jnp
  >>> from framework.systems.matrix_sensing import operators
  >>> one = jnp.ones((1, 1))
  >>> truth = ensembles.Truth(one, jnp.ones(1), one)
  >>> A = operators.dense(jnp.array([[1.0], [3.0]]), (1, 1))
  >>> absolute = residual_loss(lambda z: jnp.mean(jnp.abs(z)))
  >>> F = jnp.array([[2.0]])
  >>> value, dF, _ = absolute(Problem(A, truth, one, 10.0), F, F)
  >>> print(value, dF)
  6.0 [[4.]]
  """

  def loss(problem: Problem, F: Array, G: Array) -> Slope:
    z = problem.operator.forward(F @ G.T - problem.M)
    z = z if problem.noise is None else z - problem.noise
    value, weights = jax.value_and_grad(rho)(z)
    D = problem.operator.adjoint(weights)
    return Slope(value, D @ G, D.T @ F)

  return loss
