"""Outputs of the order of one, where the sigmoid weights differ."""

from framework.systems.clusters import xor
from framework.systems.clusters.xor.system import final
from tests.laws.entry import Entry


def entry(draw, differentiable, p=None, slow=False):
  return Entry(
    f'xor, {draw.__name__}',
    xor.system,
    lambda dtype: (
      xor.Structure(n=6, n_test=4, m=5, draw=draw, p=p, dtype=dtype),
    ),
    xor.Hp(alpha=0.05, omega=0.1, signal=2.0, leak=0.2, p=30.0),
    final=final,
    differentiable=differentiable,
    slow=slow,
  )


ENTRIES = [
  entry(xor.explicit_problem, ('alpha', 'omega'), p=12, slow=True),
  entry(xor.bartlett_problem, ('alpha', 'omega', 'signal', 'leak'), slow=True),
  entry(xor.gram_problem, ('alpha', 'omega'), p=12),
]
