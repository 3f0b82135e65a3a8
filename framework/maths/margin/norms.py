"""Norms of matrices and their duals, ‖M‖° = max ⟨M, W⟩ over ‖W‖ ≤ 1.

    name       ‖W‖                  dual       steepest descent in it
    frobenius  √(Σ W_ij²)           frobenius  gradient descent, normalised
    nuclear    Σ σ_i                spectral   rank-one steps
    spectral   σ_1                  nuclear    orthogonalised steps (Muon)
    linf       max |W_ij|           l1         sign descent
    l1         Σ |W_ij|             linf       coordinate descent

A norm is a name here, not a function: each needs a convex program of its own,
see `programs`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from framework.maths import linalg

__all__ = ['NORMS', 'Norm', 'norm_named']

_Matrix = Float[Array, 'd q']


class Norm(NamedTuple):
  """A norm of matrices and the dual norm, max ⟨M, W⟩ over ‖W‖ ≤ 1."""

  value: Callable[[_Matrix], Float[Array, '']]
  dual: Callable[[_Matrix], Float[Array, '']]


def _frobenius(W: _Matrix) -> Float[Array, '']:
  square = jnp.sum(W**2)
  zero = square == 0
  return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, square)))


def _nuclear(W: _Matrix) -> Float[Array, '']:
  return jnp.sum(linalg.singular_values(W))


def _spectral(W: _Matrix) -> Float[Array, '']:
  return jnp.max(linalg.singular_values(W))


def _linf(W: _Matrix) -> Float[Array, '']:
  return jnp.max(jnp.abs(W))


def _l1(W: _Matrix) -> Float[Array, '']:
  return jnp.sum(jnp.abs(W))


NORMS = {
  'frobenius': Norm(_frobenius, _frobenius),
  'nuclear': Norm(_nuclear, _spectral),
  'spectral': Norm(_spectral, _nuclear),
  'linf': Norm(_linf, _l1),
  'l1': Norm(_l1, _linf),
}


def norm_named(name: str) -> Norm:
  """The norm of that name.

  >>> print(norm_named('nuclear').dual(jnp.diag(jnp.array([1.0, 2.0]))))
  2.0

  Raises:
    ValueError: If there is no such norm.
  """
  if name not in NORMS:
    raise ValueError(f'norm is {name!r}, expected one of {", ".join(NORMS)}')
  return NORMS[name]
