"""The parametrisations that have names, as exact data.

Exponents of n of the input weights (and biases), the hidden weights and the
readout. Tables 3, 8 and 9 of TP5 are three ways to write muP: each is a shift
of the others, so that they train alike at every width.

| | input | hidden | readout |
|---|---|---|---|
| Table 3 | 1 | 1 | 1 |
| Table 8, ties embeddings | 1 | 1 | n^-1 |
| Table 9, as in TP4 | n^1/2 | 1 | n^-1/2 |

(forward multipliers; the rest follows by symmetry).

References:
  Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021 (TP4):
  Table 1. Yang, Hu, Babuschkin, Sidor, et al., "Tensor Programs V: Tuning Large
  Neural Networks via Zero-Shot Hyperparameter Transfer", 2022 (TP5).
"""

import math
from fractions import Fraction
from typing import NamedTuple

from framework.mup import abc

__all__ = [
  'NAMED',
  'TABLES',
  'Pattern',
  'parametrisation',
  'tp5',
  'zero_readout',
]

_Row = tuple[Fraction, Fraction, Fraction]
_0, _1 = Fraction(0), Fraction(1)
_H = Fraction(1, 2)


class Pattern(NamedTuple):
  """Exponents of (input, hidden, readout) for any depth."""

  a: _Row
  b: _Row
  sgd: _Row  # c for SGD
  adam: _Row | None = None  # c for Adam; None if the source does not say


# muP as three tables of TP5; `fan_in` and `fan_out` are n.
TABLES = {
  '3': Pattern((_0, _0, _0), (_0, _H, _1), (-_1, _0, _1), (_0, _1, _1)),
  '8': Pattern((_0, _0, _1), (_0, _H, _0), (-_1, _0, -_1), (_0, _1, _0)),
  '9': Pattern((-_H, _0, _H), (_H, _H, _H), (_0, _0, _0), (_H, _1, _H)),
}

NAMED = {
  'sp': Pattern((_0, _0, _0), (_0, _H, _H), (_1, _1, _1), (_1, _1, _1)),
  'sp, lr 1': Pattern((_0, _0, _0), (_0, _H, _H), (_0, _0, _0), (_0, _0, _0)),
  'ntp': Pattern((_0, _H, _H), (_0, _0, _0), (_0, _0, _0)),
  'mfp': Pattern((_0, _0, _1), (_0, _0, _0), (-_1, -_1, -_1)),
  'mup': TABLES['9'],
  **{f'table {name}': pattern for name, pattern in TABLES.items()},
}


def parametrisation(name: str, depth: int, optimizer: str = 'sgd') -> abc.Abc:
  """A parametrisation by name.

  Args:
    name: A key of `NAMED`: 'sp' (learning rate 1/n), 'sp, lr 1', 'ntp' (neural
      tangent), 'mfp' (mean field, one hidden layer), 'mup', 'table 3', ...
    depth: L >= 1, the hidden layers.
    optimizer: 'sgd' or 'adam'.

  Returns:
    An `Abc` of L + 1 layers.

  Raises:
    ValueError: If there is none of that name, depth or optimizer.

  >>> p = parametrisation('mup', depth=2)
  >>> [str(x) for x in p.a], [str(x) for x in p.b], [str(x) for x in p.c]
  (['-1/2', '0', '1/2'], ['1/2', '1/2', '1/2'], ['0', '0', '0'])
  """
  if name not in NAMED:
    known = ', '.join(map(repr, NAMED))
    raise ValueError(f'parametrisation {name!r}: expected one of {known}')
  if depth < 1:
    raise ValueError(f'depth is {depth}, expected at least one hidden layer')
  if name == 'mfp' and depth > 1:
    raise ValueError(f'mfp has one hidden layer, not {depth}')
  if optimizer not in abc.OPTIMIZERS:
    known = ', '.join(abc.OPTIMIZERS)
    raise ValueError(f'optimizer is {optimizer!r}, expected one of {known}')
  pattern = NAMED[name]
  c = pattern.sgd if optimizer == 'sgd' else pattern.adam
  if c is None:
    raise ValueError(f'{name} has no learning rates for {optimizer}, only sgd')

  def rows(row: _Row) -> tuple[Fraction, ...]:
    return (row[0], *(row[1],) * (depth - 1), row[2])

  return abc.Abc(rows(pattern.a), rows(pattern.b), rows(c))


def tp5(table: str, depth: int, optimizer: str = 'sgd') -> abc.Abc:
  """The muP of a table of TP5.

  Args:
    table: '3', '8' or '9'.
    depth: L >= 1, the hidden layers.
    optimizer: 'sgd' or 'adam'.

  Returns:
    An `Abc`.

  Raises:
    ValueError: If there is no such table, depth or optimizer.

  >>> tp5('8', 2).a == parametrisation('table 8', 2).a
  True
  """
  if table not in TABLES:
    known = ', '.join(TABLES)
    raise ValueError(f'table is {table!r}, expected one of {known}')
  return parametrisation(f'table {table}', depth, optimizer)


def zero_readout(p: abc.Abc) -> abc.Abc:
  """The same with a readout that starts at zero.

  >>> zero_readout(parametrisation('ntp', 1)).b
  (Fraction(0, 1), inf)
  """
  return p._replace(b=(*p.b[:-1], math.inf))
