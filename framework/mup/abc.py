"""abc-parametrisations: which of them are stable, and which learn features.

A perceptron with L hidden layers of width n, W^l = n^-a_l w^l, w^l drawn from
N(0, n^-2b_l) and trained with learning rate η n^-c_l:

    h^1 = W^1 ξ,   x^l = φ(h^l),   h^l+1 = W^l+1 x^l,   f = W^L+1 x^L

All that matters are two numbers a layer, the size α_l = a_l + b_l of the start
and that γ_l of a step, 2a_l + c_l (SGD) or a_l + c_l (Adam): a shift of a_l by
θ, of b_l by -θ and of c_l by -2θ (Adam: -θ) changes nothing at any width.
Everything here is exact: exponents are fractions.

References:
  Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021 (TP4):
  Theorems 3.3 and 3.4, Definitions 3.2 and 5.2. The forms with one c a layer
  and for Adam are derived: the same argument with γ_l of each layer.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

__all__ = [
  'OPTIMIZERS',
  'Abc',
  'Classification',
  'Exponent',
  'Invariants',
  'abc',
  'classify',
  'invariants',
  'shift',
]

Exponent = Fraction | float  # a float only if infinite: a start at zero
OPTIMIZERS = ('sgd', 'adam')


class Abc(NamedTuple):
  """Exponents of n, one a layer: L hidden ones and the readout."""

  a: tuple[Fraction, ...]  # multiplier n^-a
  b: tuple[Exponent, ...]  # standard deviation n^-b; inf for zero
  c: tuple[Fraction, ...]  # learning rate n^-c

  @property
  def depth(self) -> int:
    """L, the hidden layers."""
    return len(self.a) - 1


class Invariants(NamedTuple):
  """A parametrisation up to symmetry."""

  alpha: tuple[Exponent, ...]  # W^l starts at size n^-α
  gamma: tuple[Fraction, ...]  # a step moves W^l by n^-γ times its gradient


class Classification(NamedTuple):
  """The limit that a parametrisation has as n → ∞.

  An unstable one has none. Its `r`, `moves`, `change`, `shares`, `maximal` and
  `start_maximal` are those of one step from activations of the order of one
  and f_0 of the order n^-start, which its own start need not have, or need not
  keep: they say which layer is to blame, and no more. See `reason` first.
  """

  kind: str  # 'feature', 'kernel', 'trivial' or 'unstable'
  r: Exponent  # x^L moves by n^-r
  moves: tuple[Exponent, ...]  # h^l by n^-moves[l - 1], of layers 1 ... L
  start: Exponent  # f_0 is of the order n^-start
  change: Exponent  # f_t - f_0 of the order n^-change
  stable: bool
  nontrivial: bool
  # Layers whose step is as large as is stable, 1 ... L + 1: by it h^l moves in
  # the order of one, and by that of the readout f does (γ_L+1 = 1).
  maximal: tuple[bool, ...]
  # Whether the readout also starts as large as is stable: γ_L+1 = 1, and what
  # the features have moved by is seen in f through W^L+1_0 in the order of one,
  # α_L+1 + r = 1 (Definition 5.2). So at r = 0 it is α_L+1 = 1, as in muP.
  start_maximal: bool
  shares: tuple[Exponent, ...]  # a step on W^l moves f_0 by n^-shares[l - 1]
  kernel_layers: tuple[bool, ...]  # layers in the limiting kernel, 1 ... L + 1
  reason: str  # what an unstable one violates; '' if stable

  @property
  def feature_learning(self) -> bool:
    """Whether h^L moves as much as it is large."""
    return self.kind == 'feature'

  @property
  def kernel(self) -> bool:
    """Whether f follows the gradient flow of a fixed kernel."""
    return self.kind == 'kernel'


def abc(
  a: Sequence[float | Fraction],
  b: Sequence[float | Fraction],
  c: float | Fraction | Sequence[float | Fraction],
) -> Abc:
  """An abc-parametrisation from numbers, read as the fraction they mean.

  Args:
    a: Multiplier exponents (L + 1,), L at least 1.
    b: Exponents of the standard deviation (L + 1,); inf for zero.
    c: Learning-rate exponents (L + 1,), or one for all.

  Returns:
    An `Abc` of fractions.

  Raises:
    ValueError: If lengths differ, or a number is not finite (an infinite b of
      the readout, a start at zero, is).

  >>> abc((0, 0, 0), (0, 0.5, math.inf), 1).c
  (Fraction(1, 1), Fraction(1, 1), Fraction(1, 1))
  """
  each = list(c) if isinstance(c, Sequence) else [c] * len(a)
  if not len(a) == len(b) == len(each) or len(a) < 2:
    raise ValueError(
      f'lengths of a, b, c are {len(a)}, {len(b)}, {len(each)}, expected one '
      'for each hidden layer (at least one) and the readout'
    )
  for name, values in (('a', a), ('b', b[:-1]), ('c', each)):
    for value in values:
      if not math.isfinite(value):
        raise ValueError(f'{name} is {value}, expected a finite number')
  if math.isnan(b[-1]) or b[-1] == -math.inf:
    raise ValueError(f'b of the readout is {b[-1]}, expected a number or inf')
  last = math.inf if b[-1] == math.inf else _fraction(b[-1])
  return Abc(
    tuple(map(_fraction, a)),
    (*map(_fraction, b[:-1]), last),
    tuple(map(_fraction, each)),
  )


def _fraction(x: float | Fraction) -> Fraction:
  """The fraction that is meant: what is within 1e-9 of a tenth is a tenth.

  >>> _fraction(0.1 + 1e-9), _fraction(-1 / 3)
  (Fraction(1, 10), Fraction(-1, 3))
  """
  return Fraction(x).limit_denominator(10**6)


def invariants(p: Abc, optimizer: str = 'sgd') -> Invariants:
  """The sizes of start and step of each layer.

      α_l = a_l + b_l,   γ_l = 2a_l + c_l (SGD),  a_l + c_l (Adam)

  Args:
    p: The parametrisation.
    optimizer: 'sgd', or 'adam' for all whose step is the gradient entrywise
      divided by its own size.

  Returns:
    `Invariants` of layers 1 ... L + 1.

  Raises:
    ValueError: If there is no such optimizer.
  """
  _check(optimizer)
  times = 2 if optimizer == 'sgd' else 1
  return Invariants(
    tuple(a + b for a, b in zip(p.a, p.b, strict=True)),
    tuple(times * a + c for a, c in zip(p.a, p.c, strict=True)),
  )


def shift(
  p: Abc, theta: Sequence[Fraction | float], optimizer: str = 'sgd'
) -> Abc:
  """The same training, at every finite width, written differently.

      a_l + θ_l,   b_l - θ_l,   c_l - 2θ_l (SGD),  c_l - θ_l (Adam)

  Exact for Adam if its ε is 0 or scaled with the gradient.

  Args:
    p: The parametrisation.
    theta: θ, one a layer.
    optimizer: 'sgd' or 'adam'.

  Returns:
    An `Abc`.

  Raises:
    ValueError: If the number of θ differs or there is no such optimizer.

  >>> p = abc((0, 0), (0, 1), (-1, 1))
  >>> shift(p, (0, 0.5)).a, invariants(shift(p, (0, 0.5))) == invariants(p)
  ((Fraction(0, 1), Fraction(1, 2)), True)
  """
  _check(optimizer)
  if len(theta) != len(p.a):
    raise ValueError(f'{len(theta)} values of theta, expected {len(p.a)}')
  t = [_fraction(x) for x in theta]
  times = 2 if optimizer == 'sgd' else 1
  return Abc(
    tuple(a + x for a, x in zip(p.a, t, strict=True)),
    tuple(b - x for b, x in zip(p.b, t, strict=True)),
    tuple(c - times * x for c, x in zip(p.c, t, strict=True)),
  )


def classify(p: Abc, optimizer: str = 'sgd') -> Classification:
  """The dynamical dichotomy: features or a kernel, never both.

      r = min(α_L+1, γ_L+1) - 1 + min_l≤L [γ_l + 1(l = 1)]   (SGD)
      r = min_l≤L [γ_l + 1(l = 1)] - 1                       (Adam)

  Stable: α_1 = 0, α_l = 1/2 for 2 ≤ l ≤ L, α_L+1 ≥ 1/2, r ≥ 0, γ_L+1 ≥ 1 and
  α_L+1 + r ≥ 1. Nontrivial: γ_L+1 = 1 or α_L+1 + r = 1. A stable nontrivial one
  learns features if r = 0 and has a kernel limit if r > 0.

  A step on layer l alone moves f by its size times the gradient, ‖∇_W^l f‖² for
  SGD and the sum of |∇_W^l f| for Adam: at the start by n^-s_l,

      s_l = γ_l + 1(l = 1) + 2α_L+1 - 2  (Adam: α_L+1 once),  s_L+1 = γ_L+1 - 1

  and the layers in the kernel are those with s_l = 0.

  Args:
    p: The parametrisation.
    optimizer: 'sgd' or 'adam'.

  Returns:
    A `Classification`.

  Raises:
    ValueError: If there is no such optimizer.

  >>> half = Fraction(1, 2)
  >>> ntp = abc((0, half, half), (0, 0, 0), 0)
  >>> found = classify(ntp)
  >>> found.kind, str(found.r), found.kernel_layers
  ('kernel', '1/2', (True, True, True))
  """
  alpha, gamma = invariants(p, optimizer)
  L = p.depth
  sgd = optimizer == 'sgd'
  # What a unit of change of a preactivation is worth at the output: the size of
  # the readout, as it started or as it has become (Adam divides it away).
  back = min(alpha[-1], gamma[-1]) if sgd else Fraction(0)
  own = [back - 1 + gamma[i] + (i == 0) for i in range(L)]
  moves = tuple(min(own[: i + 1]) for i in range(L))
  r = moves[-1]
  change = min(alpha[-1] + r, gamma[-1]) - 1
  reason = _unstable(alpha, gamma, r)
  nontrivial = not reason and change == 0
  if reason:
    kind = 'unstable'
  elif not nontrivial:
    kind = 'trivial'
  else:
    kind = 'feature' if r == 0 else 'kernel'
  maximal = (*(x == 0 for x in own), gamma[-1] == 1)
  weight = 2 if sgd else 1
  shares = (
    *(gamma[i] + (i == 0) + weight * alpha[-1] - 2 for i in range(L)),
    gamma[-1] - 1,
  )
  return Classification(
    kind=kind,
    r=r,
    moves=moves,
    start=alpha[-1] - Fraction(1, 2),
    change=change,
    stable=not reason,
    nontrivial=nontrivial,
    maximal=maximal,
    start_maximal=maximal[-1] and alpha[-1] + r == 1,
    shares=shares,
    kernel_layers=tuple(kind == 'kernel' and x == 0 for x in shares),
    reason=reason,
  )


def _unstable(alpha, gamma, r) -> str:
  """The first condition of stability that is violated, or ''."""
  half = Fraction(1, 2)
  L = len(alpha) - 1
  for i in range(L):
    want = half if i else Fraction(0)
    if alpha[i] != want:
      return f'a + b of layer {i + 1} is {alpha[i]}, stable at {want}'
  if alpha[-1] < half:
    return f'a + b of the readout is {alpha[-1]}, stable from {half}'
  if r < 0:
    return f'r is {r}, stable from 0'
  if gamma[-1] < 1:
    return f'the step of the readout is of size {gamma[-1]}, stable from 1'
  if alpha[-1] + r < 1:
    return f'a + b + r of the readout is {alpha[-1] + r}, stable from 1'
  return ''


def _check(optimizer: str) -> None:
  if optimizer not in OPTIMIZERS:
    known = ', '.join(OPTIMIZERS)
    raise ValueError(f'optimizer is {optimizer!r}, expected one of {known}')
