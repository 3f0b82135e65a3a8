"""How far a step may go before a slack or a matrix leaves its cone."""

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float

__all__ = ['nearly_to_singular', 'symmetric', 'to_boundary', 'to_singular']

_S = Float[Array, 'N N']

_SQUARINGS = 4


def symmetric(A: _S) -> _S:
  """(A + Aᵀ) / 2."""
  return (A + A.T) / 2


def to_boundary(
  x: Float[Array, ' p'], dx: Float[Array, ' p'], some: Bool[Array, ' p']
) -> Float[Array, '']:
  """The largest a with x + a dx ≥ 0.

  >>> print(to_boundary(jnp.ones(2), jnp.array([-2.0, 1.0]), jnp.array(True)))
  0.5
  """
  down = some & (dx < 0)
  ratio = jnp.where(down, -x / jnp.where(down, dx, -1), jnp.inf)
  return jnp.min(ratio, initial=jnp.inf)


def to_singular(L: _S, dA: _S) -> Float[Array, '']:
  """The largest a with L Lᵀ + a dA ⪰ 0.

  >>> print(to_singular(jnp.eye(2), jnp.diag(jnp.array([-2.0, 1.0]))))
  0.5
  """
  least = jnp.linalg.eigvalsh(_between(L, dA))[0]
  return jnp.where(least < 0, -1 / jnp.where(least < 0, least, -1), jnp.inf)


def nearly_to_singular(L: _S, dA: _S) -> Float[Array, '']:
  """A lower bound of `to_singular` without eigenvalues, which cost most.

  With ρ ≥ ‖B‖_op, λ_min(B) = ρ − ‖ρ I − B‖_op ≥ ρ − ‖(ρ I − B)^k‖_F^(1/k).
  """
  B = _between(L, dA)
  rho = jnp.sqrt(jnp.sum(B**2))
  unit = jnp.where(rho > 0, rho, 1)
  A = jnp.eye(len(B), dtype=B.dtype) - B / unit
  for _ in range(_SQUARINGS):
    A = A @ A
  bound = jnp.sum(A**2) ** (0.5 / 2**_SQUARINGS)
  least = unit * (1 - bound)
  return jnp.where(least < 0, -1 / jnp.where(least < 0, least, -1), jnp.inf)


def _between(L: _S, dA: _S) -> _S:
  """L⁻¹ dA L⁻ᵀ."""
  half = solve_triangular(L, dA, lower=True)
  return symmetric(solve_triangular(L, half.T, lower=True))
