"""Gates: which lanes can show a law, decided before looking at what came out.

A claim is made of the lanes that can show it. Where there are none it is 'not
testable', and says why.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  equals,
  untestable,
)

__all__ = ['Gate', 'gate']


class Gate(NamedTuple):
  """Lanes that can show a law, and what the others lack."""

  can: np.ndarray  # boolean, (lanes,)
  why: str

  def claim(
    self,
    make: Callable[..., Claim],
    id: str,
    statement: str,
    source: str,
    *numbers: float,
    samples: np.ndarray,
    kind: str,
    headline: bool = False,
    **options: Any,
  ) -> Claim:
    """A claim on the lanes that can show it.

    Args:
      make: `at_most`, `at_least`, `equals` or `within`.
      id: As there.
      statement: As there.
      source: As there.
      *numbers: The bound, the number or the two ends.
      samples: One for each lane.
      kind: As there.
      headline: As there.
      **options: More for `make`.

    Returns:
      The claim.
    """
    words = {'kind': kind, 'headline': headline}
    if self.can.any():
      found = np.asarray(samples)[self.can]
      return make(id, statement, source, *numbers, found, **words, **options)
    low, high = numbers[0], numbers[-1]
    if make is at_most:
      low = -math.inf
    if make is at_least:
      high = math.inf
    predicted = low if make is equals else (low, high)
    return untestable(
      id, statement, source, self.why, predicted=predicted, **words
    )


def gate(*needs: tuple[Any, str] | Gate) -> Gate:
  """Lanes that have all that a law needs.

  Args:
    *needs: (whether each lane has it, what is wrong where it has not), or
      another gate; the most fundamental first.

  Returns:
    The gate. Its reasons are those that shut lanes out.

  >>> gate(([True, False], 'k <= r'), ([False, True], 'T is too short'))
  Gate(can=array([False, False]), why='k <= r; T is too short')
  """
  can, why = np.array(True), []
  for has, reason in needs:
    left = can & np.asarray(has, bool)
    if np.any(can & ~np.asarray(has, bool)):
      why.append(reason)
    can = left
  return Gate(can, '; '.join(why))
