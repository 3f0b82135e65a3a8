"""Reading results of attention runs, and words that its figures share."""

import numpy as np
from xarray import Dataset

from framework.evidence.lanes import lanes
from framework.systems.attention_svm import OUTCOMES

__all__ = ['FORMS', 'OWN', 'PAPER', 'TRAINED', 'cosines', 'ended']

PAPER = 'Tarzanagh et al. 2023'
OWN = {'w': 'frobenius', 'kq': 'nuclear'}  # the norm that a form selects
TRAINED = {'w': 'W', 'kq': 'KQᵀ'}
FORMS = {'w': '$W$', 'kq': r'$KQ^\top$'}  # the same in figures


def cosines(ds: Dataset, norm: str) -> np.ndarray:
  """⟨W_t, W_svm⟩/(‖W_t‖ ‖W_svm‖) of every record, with the final SVM.

  Args:
    ds: Results with W recorded, or a part of them.
    norm: Which SVM.

  Returns:
    (lanes, time); NaN where there is no SVM.
  """
  W, V = lanes(ds, 'W'), lanes(ds, f'svm_{norm}')[:, None]
  size = np.sqrt((W**2).sum((-1, -2)) * (V**2).sum((-1, -2)))
  with np.errstate(invalid='ignore', divide='ignore'):
    found = (W * V).sum((-1, -2)) / size
  return np.where(size == 0, 0.0, found)


def ended(ds: Dataset, *outcomes: str) -> np.ndarray:
  """Which runs ended so: 1 or 0, one a lane; NaN where that is not known."""
  codes = [OUTCOMES.index(name) for name in outcomes]
  found = lanes(ds, 'outcome')
  return np.where(np.isnan(found), np.nan, np.isin(found, codes))
