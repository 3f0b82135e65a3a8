"""Operators with structure: never an n × n matrix where factors suffice.

RankOne    <a_i b_iᵀ, Z>: rank_one (a = b, phase retrieval), pairs, and
           quadratic differences a aᵀ − b bᵀ
quickest   of these as they are, as rows, or as A*A alone, and why
Entries    known entries of a matrix, gathered row by row and column by column
Masked     the same, from the whole matrix: quicker where many are known
completion the one of the two that is quicker, and why
draw_...   random ones, (key, m, shape, symmetric, dtype) -> operator
"""

from framework.systems.matrix_sensing.operators.structured.completion import (
  Entries,
  Masked,
  completion,
  entries,
  masked,
)
from framework.systems.matrix_sensing.operators.structured.expanded import (
  quickest,
)
from framework.systems.matrix_sensing.operators.structured.rank_one import (
  RankOne,
  draw_pairs,
  draw_quadratic,
  draw_rank_one,
  rank_one,
)
from framework.systems.matrix_sensing.operators.structured.rows import (
  draw_rademacher,
  draw_rows,
)

__all__ = [
  'Entries',
  'Masked',
  'RankOne',
  'completion',
  'draw_pairs',
  'draw_quadratic',
  'draw_rademacher',
  'draw_rank_one',
  'draw_rows',
  'entries',
  'masked',
  'quickest',
  'rank_one',
]
