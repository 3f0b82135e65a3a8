"""Comparisons that know what they do not know.

In numpy `nan > 3` is false and `~(nan > 3)` is true, so a run that diverged, or
was never recorded, can turn into evidence. Here a comparison with something
that is not a number is not a number either, and what is computed from it stays
so up to the claim, which then cannot hold.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ['known', 'negated', 'where_known']


def known(compare: Callable[..., Any], *operands: Any) -> np.ndarray:
  """1 where a comparison is true, 0 where it is false, NaN where unknown.

  Means, products (and), maxima (or) and minima (and) of the result carry NaN
  on, as they should.

  Args:
    compare: A numpy comparison, or any function of arrays to booleans.
    *operands: Arrays that broadcast; NaN in one of them makes the result NaN.
      An infinite operand is known.

  Returns:
    float64, of the broadcast shape.

  >>> known(np.less, [1.0, 5.0, np.nan], 3.0)
  array([ 1.,  0., nan])
  >>> known(np.less, [1.0, 5.0, np.nan], 3.0).mean()
  np.float64(nan)
  """
  arrays = np.broadcast_arrays(*[np.asarray(x, float) for x in operands])
  with np.errstate(invalid='ignore'):
    found = np.asarray(compare(*arrays), float)
  missing = np.any([np.isnan(x) for x in arrays], axis=0)
  return np.where(missing, np.nan, found)


def negated(truth: Any) -> np.ndarray:
  """Not: 1 for 0, 0 for 1, NaN for NaN.

  >>> negated([1.0, 0.0, np.nan])
  array([ 0.,  1., nan])
  """
  return 1.0 - np.asarray(truth, float)


def where_known(truth: Any, *operands: Any) -> np.ndarray:
  """Booleans as numbers, NaN where one of the operands is NaN.

  For a truth that was computed elsewhere, such as by a fit, from `operands`.

  Args:
    truth: Booleans.
    *operands: What they were computed from, arrays that broadcast to them.

  Returns:
    float64, of the shape of `truth`.

  >>> where_known([True, False], [2.0, np.nan])
  array([ 1., nan])
  """
  return known(lambda t, *rest: t, np.asarray(truth, float), *operands)
