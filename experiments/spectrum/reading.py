"""Means of simulations beside what theory says of them."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from xarray import Dataset

from framework.evidence.claims import Claim, at_most
from framework.evidence.scatter import quantile

__all__ = ['SHARP', 'falls', 'inside', 'last', 'rising']

SHARP = 0.25  # standard errors over theory, up to which a cell says anything


def inside(
  id: str,
  statement: str,
  source: str,
  mean: ArrayLike,
  error: ArrayLike,
  theory: ArrayLike,
  draws: int,
  *,
  headline: bool = False,
) -> Claim:
  """Claims that theory is within the errors of every mean, all of them small.

  Args:
    id: As of a claim.
    statement: As of a claim.
    source: As of a claim.
    mean: Of the draws, one a cell.
    error: Standard error of it.
    theory: The prediction.
    draws: In each cell.
    headline: As of a claim.

  Returns:
    The claim: in each cell the larger of |mean − theory| over so many standard
    errors, and of the standard error over a tenth of theory, is at most 1.
  """
  mean, error, theory = (
    np.ravel(np.asarray(x, float)) for x in (mean, error, theory)
  )
  many = quantile(mean.size, draws)
  with np.errstate(divide='ignore', invalid='ignore'):
    off = np.abs(mean - theory) / (many * error)
    blur = error / (SHARP * np.abs(theory))
  return at_most(
    id,
    statement,
    source,
    1.0,
    np.maximum(off, blur),
    each=True,
    derivation=f'{many:.2f} standard errors: three for one of {mean.size} '
    f'means, of {draws} draws each; none of them above a quarter of theory',
    kind='theorem',
    headline=headline,
  )


def last(ds: Dataset) -> Dataset:
  """The results at the last step."""
  return ds.isel(time=-1)


def rising(x: ArrayLike) -> np.ndarray:
  """The largest relative rise along the last axis, of each row.

  >>> rising([[4.0, 3.0, 3.3], [1.0, np.nan, 0.0]])
  array([0.1, nan])
  """
  x = np.asarray(x, float)
  with np.errstate(divide='ignore', invalid='ignore'):
    return (x[..., 1:] / x[..., :-1] - 1).max(-1)


def falls(
  id: str,
  statement: str,
  source: str,
  tables: ArrayLike,
  tolerance: float,
  why: str,
  **options: Any,
) -> Claim:
  """Claims that rows of a table do not rise along their last axis.

  Args:
    id: As of a claim.
    statement: As of a claim.
    source: As of a claim.
    tables: (..., values).
    tolerance: Relative rise that is rounding.
    why: Where the tolerance comes from.
    **options: More for the claim.

  Returns:
    The claim.
  """
  rises = rising(tables)
  if not math.isfinite(tolerance) or tolerance < 0:
    raise ValueError(f'tolerance is {tolerance}, expected >= 0')
  return at_most(
    id,
    statement,
    source,
    tolerance,
    rises,
    each=True,
    derivation=why,
    **options,
  )
