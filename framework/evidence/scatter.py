"""How far many means may be off, if one may by three standard errors."""

import statistics

__all__ = ['quantile']


def quantile(cells: int, draws: int) -> float:
  """How many standard errors all of many means are within, as one is within 3.

  Args:
    cells: Means that are compared.
    draws: Samples in each: Student's t, to first order in their number.

  Returns:
    Standard errors.

  >>> round(quantile(1, 10**6), 3), round(quantile(40, 80), 2)
  (3.0, 4.2)
  """
  one = 2 * (1 - statistics.NormalDist().cdf(3.0))
  z = statistics.NormalDist().inv_cdf(1 - one / 2 / max(cells, 1))
  return z + (z**3 + z) / (4 * max(draws - 1, 1))
