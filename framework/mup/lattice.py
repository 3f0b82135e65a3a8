"""Parametrisations to try the classifier on: those with names, and a lattice.

Two hidden layers. The lattice is one of invariants, written with a = 0: all
hidden layers start at size one and are moved by n^-r, and α of the readout,
γ of the readout and r take values on either side of every condition of
stability. So each of the four kinds occurs, at more than one r.
"""

import itertools
from fractions import Fraction

from framework.mup import abc
from framework.mup.parametrisations import parametrisation, zero_readout

__all__ = ['cases', 'lattice', 'named']

_H, _Q = Fraction(1, 2), Fraction(1, 4)


def named(optimizer: str) -> dict[str, abc.Abc]:
  """Parametrisations with names, two hidden layers.

  Args:
    optimizer: 'sgd' or 'adam'.

  Returns:
    {name: parametrisation}.

  Raises:
    ValueError: If there is no such optimizer.

  >>> list(named('adam'))[:2]
  ['muP', 'muP, readout 0']
  """
  mup = parametrisation('mup', 2, optimizer)
  found = {
    'muP': mup,
    'muP, readout 0': zero_readout(mup),
    'muP shifted': abc.shift(mup, (_H, -_Q, _H), optimizer),
    'SP, lr 1/n': parametrisation('sp', 2, optimizer),
    'SP, lr 1': parametrisation('sp, lr 1', 2, optimizer),
  }
  if optimizer == 'sgd':
    ntp = parametrisation('ntp', 2)
    found |= {
      'NTP': ntp,
      'NTP, lr n^-1/2': ntp._replace(c=(_H,) * 3),
      'NTP, readout 0': zero_readout(ntp),
      'layer 1 not maximal': abc.abc((-_Q, 0, _H), (_Q, _H, _H), 0),
      'between NTP and muP': abc.abc((-_Q, _Q, _H), (_Q, _Q, _Q), 0),
    }
  return found


def lattice(optimizer: str) -> dict[str, abc.Abc]:
  """A lattice of invariants around the edge of stability.

  Args:
    optimizer: 'sgd' or 'adam'.

  Returns:
    {'α r γ' in numbers: parametrisation}.

  Raises:
    ValueError: If there is no such optimizer.

  >>> kinds = {abc.classify(p).kind for p in lattice('sgd').values()}
  >>> sorted(kinds)
  ['feature', 'kernel', 'trivial', 'unstable']
  """
  if optimizer not in abc.OPTIMIZERS:
    known = ', '.join(abc.OPTIMIZERS)
    raise ValueError(f'optimizer is {optimizer!r}, expected one of {known}')
  found = {}
  for alpha, gamma, r in itertools.product(
    (_H, 3 * _Q, Fraction(1)), (Fraction(1), 3 * _H), (-_Q, 0, _Q, _H)
  ):
    back = min(alpha, gamma) if optimizer == 'sgd' else 0
    hidden = r + 1 - back  # γ_l + 1(l = 1)
    p = abc.abc((0, 0, 0), (0, _H, alpha), (hidden - 1, hidden, gamma))
    found[f'α={alpha} γ={gamma} r={r}'] = p
  return found


def cases(optimizer: str) -> dict[str, abc.Abc]:
  """All of them, the named ones first.

  Args:
    optimizer: 'sgd' or 'adam'.

  Returns:
    {name: parametrisation}.

  >>> len(cases('sgd')), len(cases('adam'))
  (34, 29)
  """
  return named(optimizer) | lattice(optimizer)
