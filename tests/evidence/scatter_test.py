"""How far many means may be off together."""

import numpy as np
from scipy import stats

from framework.evidence.scatter import quantile


def test_it_is_that_of_student_for_all_of_them():
  for cells, draws in ((1, 200), (40, 80), (300, 1000)):
    chance = 2 * stats.norm.sf(3) / cells
    wanted = stats.t.isf(chance / 2, draws - 1)
    np.testing.assert_allclose(
      quantile(cells, draws), wanted, rtol=0.01, atol=0
    )
