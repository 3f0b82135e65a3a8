"""Exact risks and their drawn twins."""

from framework.systems.spectrum import ridge, sgd
from tests.laws.entry import Entry


def small(kind, **fields):
  return lambda dtype: (kind(dtype=dtype, **fields),)


ENTRIES = [
  Entry(
    'ridge, drawn',
    ridge.sampled,
    small(ridge.Structure, n_max=4, k_max=3, modes=6),
    ridge.Hp(n=3, k=2),
    other=ridge.Hp(n=4, k=0, ridge=0.3),
    differentiable=('ridge', 'noise', 'alpha', 'beta'),
    looser=100.0,
  ),
  Entry(
    'ridge, tuned',
    ridge.search.tuning,
    small(ridge.search.Structure, modes=30, tail=True),
    ridge.search.Hp(n=6, k=4),
    other=ridge.search.Hp(n=5, k=0, noise=0.3, ridge=0.1),
    looser=1e4,
  ),
  Entry(
    'SGD, expected',
    sgd.expected,
    small(sgd.Structure, modes=5, tail=True),
    sgd.Hp(width=4, decay=0.1),
    differentiable=('eta', 'noise', 'decay', 'alpha', 'beta'),
  ),
  Entry(
    'SGD, drawn',
    sgd.sampled,
    small(sgd.Structure, modes=5, rows_max=4, batch=2),
    sgd.Hp(width=4, rows=3, decay=0.1),
    differentiable=('eta', 'noise', 'decay', 'alpha', 'beta'),
  ),
]
