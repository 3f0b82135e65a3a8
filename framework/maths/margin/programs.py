"""The programs whose solutions are max-margin matrices, one for each norm.

    max γ  s.t.  ⟨A_r, W⟩ ≥ γ b_r (or = γ b_r),  ‖W‖ ≤ 1          (margin)
    min ‖Σ λ_r A_r‖°  s.t.  bᵀλ = 1,  λ_r ≥ 0 on inequalities     (game)

are dual to each other, and W/γ solves min ‖W‖ with margins b. Both can be
started strictly inside and neither is unbounded: where no W separates, γ → 0.
The one with fewer unknowns is solved: the game, in (λ, t), for the nuclear and
the l1 norm; the margin, in (W, γ), for the spectral and the linf norm. In the
Frobenius norm it is max bᵀλ − ½ λᵀG λ, with W = Σ λ_r A_r.
"""

import jax.numpy as jnp

from framework.maths.margin import active_set, posed
from framework.maths.margin import interior_point as ip
from framework.maths.margin.game import l1, nuclear
from framework.maths.margin.posed import Posed
from framework.maths.margin.primal import linf, spectral
from framework.maths.margin.rows import (
  Constraints,
  combine,
  gram,
)

__all__ = [
  'PROGRAMS',
  'Posed',
  'frobenius',
  'l1',
  'linf',
  'nuclear',
  'spectral',
]


def frobenius(rows: Constraints) -> Posed:
  """Min ½ λᵀG λ − bᵀλ over λ ≥ 0, with what pivoting makes of it as a guess."""
  some, proved, G = posed.inequality(rows), posed.proved(rows), gram(rows)
  program = ip.Program(
    P=G,
    c=-rows.bound,
    rows=ip.Rows(
      apply=lambda y: y,
      adjoint=lambda z: z,
      weigh=jnp.diag,
      h=jnp.zeros_like(rows.bound),
      inequality=some,
      equality=jnp.zeros_like(some),
    ),
    cone=None,
    unbounded=lambda y, z: proved(y),
  )
  ones = jnp.where(some, 1, jnp.zeros_like(rows.bound))
  start = ip.Start(ones, ones, ones)
  lam, slack, pivots = active_set.pivot(G, rows.bound, rows.equality)
  guess = ip.Iterate(lam, jnp.where(some, lam, 0), slack, None, pivots)
  return Posed(program, start, lambda it: (combine(it.y, rows), it.y), guess)


PROGRAMS = {
  'frobenius': frobenius,
  'nuclear': nuclear,
  'spectral': spectral,
  'l1': l1,
  'linf': linf,
}
