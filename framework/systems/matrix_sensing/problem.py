"""Measurements y = A(M) + s of a truth, and the losses of their residuals.

    z = A(FGᵀ) − y,   L = ρ(z),   ∇_F L = D G,   ∇_G L = Dᵀ F,   D = A*(∇ρ(z))

A loss is a function (problem, F, G) -> `Slope`. For XXᵀ half of it is taken, so
that its step is X⁺ = X − η D X.

Here A_i has entries of variance 1/m. Losses that care for the size of a
residual see e = √m z instead, in units in which that variance is one:
`mean_residual(jnp.abs)` is (1/m) Σ |<A_i, FGᵀ> − y_i| as papers on robust
recovery write it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

__all__ = [
  'Loss',
  'Problem',
  'Slope',
  'huber',
  'in_units',
  'least_squares',
  'mean_residual',
  'measured',
  'residual_loss',
  'residuals',
  'unit_residuals',
]


class Problem(NamedTuple):
  """Measurements, with the truth where it is known: fixed over time.

  With `y` residuals are A(FGᵀ) − y; without it they are A(FGᵀ − M) − s, which
  keeps the digits below rounding of y.
  """

  operator: Any  # an `operators.Operator`
  truth: Any  # an `ensembles.Truth`, or None
  M: Any  # (n1, n2), or None
  y_energy: Float[Array, '']  # ‖y‖²
  noise_adjoint: Float[Array, 'n1 n2'] | None = None  # A*(s) of the noise s
  noise_energy: Float[Array, ''] | None = None  # ‖s‖²
  noise: Float[Array, ' m'] | None = None  # s
  y: Float[Array, ' m'] | None = None
  used: Bool[Array, ' m'] | None = None  # measurements that count; None: all


class Slope(NamedTuple):
  """The value of a loss, and its gradients in F and G."""

  value: Float[Array, '']
  F: Float[Array, 'n1 k']  # D G
  G: Float[Array, 'n2 k']  # Dᵀ F
  weights: Float[Array, ' m'] | None = None  # ∇ρ(z), where z is formed
  residuals: Float[Array, ' m'] | None = None  # z, if the loss forms it


Loss: TypeAlias = Callable[[Problem, Array, Array], Slope]


def residuals(
  problem: Problem, F: Float[Array, 'n1 k'], G: Float[Array, 'n2 k']
) -> Float[Array, ' m']:
  """Z = A(FGᵀ) − y, of an operator that keeps its measurements.

  Args:
    problem: Operator and measurements.
    F: Left factor.
    G: Right factor; F again for XXᵀ.

  Returns:
    z; 0 for a measurement that is not used.
  """
  if problem.y is not None:
    z = problem.operator.forward_factors(F, G) - problem.y
  else:
    z = problem.operator.forward(F @ G.T - problem.M)
    z = z if problem.noise is None else z - problem.noise
  return z if problem.used is None else jnp.where(problem.used, z, 0)


def unit_residuals(
  problem: Problem, F: Float[Array, 'n1 k'], G: Float[Array, 'n2 k']
) -> Float[Array, ' m']:
  """E = √m z, NaN for a measurement that is not used."""
  return in_units(problem, residuals(problem, F, G))


def in_units(problem: Problem, z: Float[Array, ' m']) -> Float[Array, ' m']:
  """The `unit_residuals` of residuals z."""
  e = jnp.sqrt(jnp.asarray(z.size, z.dtype)) * z
  return e if problem.used is None else jnp.where(problem.used, e, jnp.nan)


def measured(problem: Problem) -> Float[Array, ' m']:
  """The measurements y; 0 for one that is not used."""
  y = problem.y
  if y is None:
    y = problem.operator.forward(problem.M)
    y = y if problem.noise is None else y + problem.noise
  return y if problem.used is None else jnp.where(problem.used, y, 0)


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
  if problem.y is not None or problem.used is not None:
    z = residuals(problem, F, G)
    DG, DtF = problem.operator.adjoint_products(z, F, G)
    return Slope(jnp.vdot(z, z) / 2, DG, DtF, z, z)
  energy, DG, DtF = problem.operator.residual(F, G, problem.truth)
  Q, noise = problem.noise_adjoint, problem.noise_energy
  if Q is not None and noise is not None:  # y = A(M) + s, Q = A*(s)
    DG, DtF = DG - Q @ G, DtF - Q.T @ F
    energy += noise - 2 * jnp.vdot(F @ G.T - problem.M, Q)
  return Slope(energy / 2, DG, DtF)


def residual_loss(rho: Callable[[Array], Array]) -> Loss:
  """Any loss of the residuals, written as a function of all of them.

  Args:
    rho: Residuals z (m,) -> ρ(z), a scalar that JAX can differentiate. An
      operator that keeps its measurements is needed: not `gram`.

  Returns:
    The loss.

  >>> import jax.numpy as jnp
  >>> from framework.systems.matrix_sensing import ensembles, operators
  >>> one = jnp.ones((1, 1))
  >>> truth = ensembles.Truth(one, jnp.ones(1), one)
  >>> A = operators.dense(jnp.array([[1.0], [3.0]]), (1, 1))
  >>> absolute = residual_loss(lambda z: jnp.mean(jnp.abs(z)))
  >>> F = jnp.array([[2.0]])
  >>> value, dF, *_ = absolute(Problem(A, truth, one, 10.0), F, F)
  >>> print(value, dF)
  6.0 [[4.]]
  """

  def loss(problem: Problem, F: Array, G: Array) -> Slope:
    z = residuals(problem, F, G)
    value, weights = jax.value_and_grad(rho)(z)
    DG, DtF = problem.operator.adjoint_products(weights, F, G)
    return Slope(value, DG, DtF, weights, z)

  return loss


def mean_residual(rho: Callable[[Array], Array]) -> Loss:
  """(1/m) Σ ρ(e_i), e = √m z: a separable loss over the used measurements.

  Args:
    rho: Elementwise, with ρ(0) = 0: `jnp.abs`, `huber(0.1)`, or one's own.

  Returns:
    The loss.
  """

  def loss(problem: Problem, F: Array, G: Array) -> Slope:
    z = residuals(problem, F, G)
    root = jnp.sqrt(jnp.asarray(z.size, z.dtype))
    used = problem.used
    count = z.size if used is None else jnp.sum(used).astype(z.dtype)
    value, weights = jax.value_and_grad(
      lambda z: jnp.sum(rho(root * z)) / count
    )(z)
    if used is not None:  # whatever ρ'(0) is
      weights = jnp.where(used, weights, 0)
    DG, DtF = problem.operator.adjoint_products(weights, F, G)
    return Slope(value, DG, DtF, weights, z)

  return loss


def huber(delta: Float[ArrayLike, '']) -> Callable[[Array], Array]:
  """Huber's ρ: |e| − δ/2, rounded to e²/2δ below δ; δ → 0 is |e|.

  Args:
    delta: δ > 0, in the units of e.

  Returns:
    An elementwise function.

  >>> print(huber(1.0)(jnp.array([0.5, -3.0])))
  [0.125 2.5  ]
  """

  def rho(e: Float[Array, ' m']) -> Float[Array, ' m']:
    size = jnp.abs(e)
    inside = jnp.minimum(size, delta)
    return inside**2 / (2 * delta) + size - inside

  return rho
