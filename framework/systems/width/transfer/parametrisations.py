"""Parametrisations side by side: SP, muP, and classic mistakes in it.

Each is a function (infinite shapes, 'sgd' or 'adam') -> `Multipliers`, so that
a list of them becomes lanes of one program (`multipliers.select`). At the base
width all are SP. The mistakes are what a coordinate check has to find.
"""

from framework.mup import multipliers as mults_lib
from framework.mup.infshape import InfShapes
from framework.mup.multipliers import Multipliers

__all__ = [
  'fans_swapped',
  'mup',
  'no_readout_multiplier',
  'rate_not_scaled',
  'sp',
]


def sp(shapes: InfShapes, optimizer: str) -> Multipliers:
  """Standard parametrisation: every multiplier is 1.

  >>> sp(InfShapes({}), 'adam').lr
  {}
  """
  return mults_lib.multipliers(shapes, 'sp', optimizer)


def mup(shapes: InfShapes, optimizer: str, table: str = '8') -> Multipliers:
  """Maximal update parametrisation, by one of three tables of TP5.

  Args:
    shapes: Infinite shapes of the parameters.
    optimizer: 'sgd', or 'adam' for all that divide the gradient by its size.
    table: '3', '8' or '9': the same networks.

  Returns:
    `Multipliers`.
  """
  return mults_lib.multipliers(shapes, table, optimizer)


def no_readout_multiplier(shapes: InfShapes, optimizer: str) -> Multipliers:
  """A mistake: Table 8 without the forward multiplier 1/m of the readout."""
  return mup(shapes, optimizer)._replace(forward=dict.fromkeys(shapes, 1.0))


def rate_not_scaled(shapes: InfShapes, optimizer: str) -> Multipliers:
  """A mistake of Adam: hidden layers keep the learning rate of the base.

  With SGD, where Table 8 leaves the rate of hidden layers alone, all rates do.
  """
  right = mup(shapes, optimizer)
  lr = {
    path: 1.0 if shape.ninf == 2 or optimizer == 'sgd' else right.lr[path]
    for path, shape in shapes.items()
  }
  return right._replace(lr=lr)


def fans_swapped(shapes: InfShapes, optimizer: str) -> Multipliers:
  """A mistake: fan-in and fan-out exchanged in all but the start."""
  return mup(shapes.swapped(), optimizer)._replace(
    init=mup(shapes, optimizer).init
  )
