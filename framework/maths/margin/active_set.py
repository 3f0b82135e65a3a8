"""The least distance by pivoting: exact where rounding lets it be.

    min ½ λᵀG λ − bᵀλ  over  λ_r ≥ 0 on inequalities, free on equations

has a solution with λ_S = G_SS⁻¹ b_S on a set S of rows and zeros elsewhere. The
principal pivoting method finds S a row at a time: a row that is missed, w_r < 0
with w = G λ − b, is driven, that is its multiplier grows, and with it

    dλ_S = −G_SS⁻¹ G_Sr dλ_r,   dw_r = (G_rr − G_rS G_SS⁻¹ G_Sr) dλ_r,

until w_r = 0, and the row joins S, or until a multiplier of S becomes zero, and
that one leaves and r is driven on. Where neither happens the direction is a
Farkas ray: no W satisfies the rows. Of the rows that are missed the one is
driven that gains most, w_r² / 2 dw_r. One pivot sweeps the matrix

    [−G_SS⁻¹, G_SS⁻¹ G_SN;  G_NS G_SS⁻¹, G_NN − G_NS G_SS⁻¹ G_SN] ,

a product of a column and a row: no factorisation, and about as many pivots as
there are support vectors. What is found is not certain, rows that depend on one
another may defeat it: the caller measures it.

References:
  Cottle, Dantzig, "Complementary pivot theory of mathematical programming",
  Linear Algebra Appl. 1 (1968), sec. 4. Lawson, Hanson, "Solving Least Squares
  Problems", ch. 23, solves the same problem from the factors of G.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

__all__ = ['Pivoted', 'pivot']

_REFINEMENTS = 2
_PIVOTS_A_ROW = 3  # rows join about once, and leave seldom


class Pivoted(NamedTuple):
  """Multipliers, or a ray, and what they leave."""

  multipliers: Float[Array, ' m']
  slack: Float[Array, ' m']  # G λ − b of inequalities outside S, else zero
  pivots: Int[Array, '']


class _Tableau(NamedTuple):
  """The state of the loop."""

  T: Float[Array, 'm m']
  lam: Float[Array, ' m']
  w: Float[Array, ' m']
  inside: Bool[Array, ' m']  # S
  driven: Int[Array, '']
  more: Bool[Array, '']  # a row is missed
  ray: Bool[Array, '']  # nothing stops the row that is driven
  pivots: Int[Array, '']


def pivot(
  G: Float[Array, 'm m'],
  b: Float[Array, ' m'],
  equality: Bool[Array, ' m'],
) -> Pivoted:
  """Multipliers of min ½ λᵀG λ − bᵀλ.

  Args:
    G: Gram matrix of the rows, of order one.
    b: Their bounds, zero for rows that ask nothing.
    equality: Whether λ_r is free.

  Returns:
    Multipliers and slacks, complementary; a ray where one is found.

  >>> G = jnp.array([[1.0, 0.9], [0.9, 1.0]])
  >>> found = pivot(G, jnp.array([1.0, 0.5]), jnp.array([False, False]))
  >>> print(found.multipliers, found.slack.round(6))
  [1. 0.] [0.  0.4]
  """
  m, eps = len(b), jnp.finfo(G.dtype).eps
  size = jnp.diagonal(G)
  index = jnp.arange(m)
  missed = 10 * m * eps  # less is rounding
  singular = jnp.maximum(size, eps) * eps**0.6  # a pivot of dependent rows

  def choose(T, w, inside) -> tuple[Int[Array, ''], Bool[Array, '']]:
    violation = jnp.where(equality, jnp.abs(w), -w)
    violation = jnp.where(inside | (violation <= missed), 0, violation)
    gain = violation**2 / jnp.maximum(jnp.diagonal(T), singular)
    j = jnp.argmax(gain)
    return j, gain[j] > 0

  def step(at: _Tableau) -> _Tableau:
    j, inside = at.driven, at.inside
    row = at.T[j]
    sign = jnp.where(at.w[j] < 0, 1, -1).astype(G.dtype)
    dlam = sign * jnp.where(inside, -row, index == j)
    down = inside & ~equality & (dlam < 0)
    ends = jnp.where(down, -at.lam / jnp.where(down, dlam, -1), jnp.inf)
    first = jnp.argmin(ends)
    alone = row[j] > singular[j]
    joins = jnp.where(alone, jnp.abs(at.w[j]) / row[j], jnp.inf)
    length = jnp.minimum(joins, ends[first])
    ray = ~jnp.isfinite(length)
    enters = joins <= ends[first]
    k = jnp.where(enters, j, first)
    length = jnp.where(ray, 0, length)
    lam = at.lam + length * dlam
    lam = jnp.where((index == first) & ~enters, 0, lam)
    w = jnp.where(inside, 0, at.w + length * sign * row)
    # The sweep of row k, back again if it was inside.
    column = at.T[k]
    d = column[k]
    edge = column / jnp.where(enters, d, -d)
    swept = at.T - column[:, None] * (column / d)[None]
    swept = jnp.where((index == k)[:, None], edge[None], swept)
    swept = jnp.where((index == k)[None], edge[:, None], swept)
    both = (index == k)[:, None] & (index == k)[None]
    swept = jnp.where(both, -1 / d, swept)
    inside = jnp.where(index == k, enters, inside)
    w = jnp.where((index == k) & enters, 0, w)
    other, more = choose(swept, w, inside)
    return _Tableau(
      jnp.where(ray, at.T, swept),
      jnp.where(ray, dlam, lam),
      w,
      jnp.where(ray, at.inside, inside),
      jnp.where(enters, other, j),
      more | ~enters,
      ray,
      at.pivots + 1,
    )

  nothing = jnp.zeros_like(equality)
  j, more = choose(G, -b, nothing)
  at = _Tableau(
    G, jnp.zeros_like(b), -b, nothing, j, more, jnp.array(False), jnp.int32(0)
  )
  at = jax.lax.while_loop(
    lambda at: at.more & ~at.ray & (at.pivots < _PIVOTS_A_ROW * m + 10),
    step,
    at,
  )

  def refine(_, lam):
    left = jnp.where(at.inside, b - G @ lam, 0)
    return lam - jnp.where(at.inside, at.T @ left, 0)

  lam = jax.lax.fori_loop(0, _REFINEMENTS, refine, at.lam)
  lam = jnp.where(at.ray, at.lam, jnp.where(equality, lam, jnp.maximum(lam, 0)))
  free = ~at.inside & ~equality
  slack = jnp.where(free, jnp.maximum(G @ lam - b, 0), 0)
  return Pivoted(lam, slack, at.pivots)
