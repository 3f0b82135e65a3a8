"""The tests' own Systems: every kind of leaf of a problem and of a state."""

import numpy as np

from tests import toy
from tests.laws.entry import Entry

ENTRIES = [
  Entry(
    'every kind of problem',
    toy.linear,
    lambda dtype: (3, 4, dtype),
    toy.LinearHp(),
    differentiable=('eta', 'scale', 'noise'),
  ),
  Entry(
    'shared operator',
    toy.shared,
    lambda dtype: (3, dtype),
    toy.LinearHp(),
    np.arange(12.0).reshape(4, 3) / 12,
    differentiable=('eta', 'scale'),
    slow=True,
  ),
  Entry(
    'walk with a key',
    toy.walk,
    lambda dtype: (dtype,),
    toy.WalkHp(),
    differentiable=('drift',),
  ),
]
