"""The multipliers of muP: start, forward pass, rate, weight decay, Adam's ε.

All are ratios of widths, so at the base width everything is 1 and the network
is the one that you had. In Table 8 of TP5, relative to the base,

| | input, bias, norm | hidden | readout |
|---|---|---|---|
| standard deviation | 1 | m_in^-1/2 | 1 |
| forward | 1 | 1 | 1/m_in |
| SGD learning rate | m_out | m_out/m_in | m_in |
| Adam learning rate | 1 | 1/m_in | 1 |

A tensor written A w is drawn with the deviation over A and trained with A^-2
(SGD) or A^-1 (Adam) times the rate: that makes the Tables 3, 8 and 9 the same
network. Weight decay is divided by the rate's multiplier, so that rate x decay
stays. ε is multiplied by the size of the gradient, A/m_out.

Attention: logits q·k/d instead of q·k/√d, as a forward multiplier (d_0/d)^½ of
what makes the queries, d_0 the head dimension at the base. It is no rewriting
of the weight, so nothing else changes.

References:
  TP5: Yang, Hu, Babuschkin, Sidor, et al., "Tensor Programs V", 2022, Tables 3,
  8, 9 and Definition 4.1. The rules for weight decay are those of the `mup`
  package; for ε derived.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from framework.mup import laws, parametrisations
from framework.mup.infshape import InfShape, InfShapes, by_path

__all__ = [
  'OPTIMIZERS',
  'TABLES',
  'Multipliers',
  'effective',
  'init_multiplier',
  'multipliers',
  'select',
]

TABLES = ('sp', *parametrisations.TABLES)
OPTIMIZERS = ('sgd', 'adam')

ByPath = Mapping[str, Any]


class Multipliers(NamedTuple):
  """Five numbers a tensor, {path: number}: a pytree, so they can be lanes."""

  init: ByPath  # of what the module's own initialiser draws
  forward: ByPath  # of the tensor where it is used
  lr: ByPath
  wd: ByPath
  eps: ByPath  # of Adam's ε

  def tree(self, name: str, params: PyTree) -> PyTree:
    """One of the five, as a tree like the parameters.

    Args:
      name: 'init', 'forward', 'lr', 'wd' or 'eps'.
      params: Parameters.

    Returns:
      The tree of numbers.

    Raises:
      ValueError: If a tensor has none.
    """
    numbers = getattr(self, name)
    return by_path(lambda path, _: number_of(numbers, path), params)


def number_of(numbers: ByPath, path: str) -> Any:
  """The multiplier of a tensor.

  Raises:
    ValueError: If there is none.
  """
  if path not in numbers:
    known = ', '.join(numbers)
    raise ValueError(f'tensor {path}: no multiplier; there are {known}')
  return numbers[path]


def multipliers(
  shapes: InfShapes, table: str = '8', optimizer: str = 'adam'
) -> Multipliers:
  """The multipliers of every tensor.

  Args:
    shapes: Infinite shapes of the parameters.
    table: '3', '8' or '9' of TP5; 'sp' for ones everywhere.
    optimizer: 'sgd', or 'adam' for all that divide the gradient by its size.

  Returns:
    `Multipliers` of floats, all 1 where the target is as wide as the base.

  Raises:
    ValueError: In one line, if there is no such table or optimizer, or it is
      not known how a tensor that grows is initialised.

  >>> from framework.mup.roles import DENSE
  >>> shape = InfShape((32, 3), (8, None), DENSE)  # a readout, m = 4
  >>> m = multipliers(InfShapes({'kernel': shape}), '8', 'sgd')
  >>> m.init['kernel'], m.forward['kernel'], m.lr['kernel'], m.wd['kernel']
  (2.0, 0.25, 4.0, 0.25)
  """
  if table not in TABLES:
    known = ', '.join(TABLES)
    raise ValueError(f'table is {table!r}, expected one of {known}')
  if optimizer not in OPTIMIZERS:
    known = ', '.join(OPTIMIZERS)
    raise ValueError(f'optimizer is {optimizer!r}, expected one of {known}')
  numbers = {
    path: (1.0,) * 5
    if table == 'sp'
    else _of_tensor(path, shape, table, optimizer)
    for path, shape in shapes.items()
  }
  return Multipliers(*({p: x[i] for p, x in numbers.items()} for i in range(5)))


def _of_tensor(path: str, shape: InfShape, table: str, optimizer: str):
  """(init, forward, lr, wd, eps) of one tensor."""
  written = _written(shape, table)
  if optimizer == 'sgd':
    # W moves by m_out/m_in times the rate, A² of which is the gradient's.
    rate = shape.m_out / shape.m_in / written**2
  else:
    rate = 1 / shape.m_in / written
  attention = shape.m_head**-0.5
  return (
    init_multiplier(shape, table, path),
    written * attention,
    rate,
    1 / rate,
    written / shape.m_out,
  )


def _written(shape: InfShape, table: str) -> float:
  """A: how much larger W = A w is than what is stored; 1 for Table 3."""
  pattern = parametrisations.TABLES[table]
  if shape.ninf == 2:
    kind, m = 1, shape.m_in
  elif shape.infinite_out:
    kind, m = 0, shape.m_out
  elif shape.infinite_in:
    kind, m = 2, shape.m_in
  else:
    return 1.0
  return m ** -float(pattern.a[kind])


def init_multiplier(
  shape: InfShape, table: str = '8', path: str = 'tensor'
) -> float:
  """The factor of what an initialiser of a known law draws at this width.

      σ_muP(base shape) m_in^-1 (readout), m_in^-1/2 (hidden), 1 (input)
      ----------------------------------------------------------------- / A
                       σ_initialiser(this shape)

  W of the readout falls as 1/m_in: half of it is the table's, in A.

  Args:
    shape: The infinite shape.
    table: '3', '8' or '9'.
    path: Of the tensor, for the error.

  Returns:
    A positive number, 1 at the base width.

  Raises:
    ValueError: If there is no such table, or the law is unknown and the tensor
      grows.

  >>> from framework.mup.roles import DENSE
  >>> hidden = InfShape((32, 32), (8, 8), DENSE)  # m = 4
  >>> init_multiplier(hidden)  # fan_in^-1/2 is right as it is
  1.0
  >>> same = hidden._replace(role=DENSE._replace(law='constant'))
  >>> init_multiplier(same)
  0.5
  """
  if table not in parametrisations.TABLES:
    known = ', '.join(parametrisations.TABLES)
    raise ValueError(f'table is {table!r}, expected one of {known}')
  if not shape.ninf or 0 in shape.size:
    return 1.0  # nothing grows, or there is nothing: an adapter of rank 0
  law = shape.role.law
  if law not in laws.LAWS:
    raise ValueError(
      f'tensor {path}: it is not known how its initialiser depends on the '
      f'shape; give a role with law {", ".join(laws.LAWS)} in overrides'
    )
  base, here = shape.fans()
  back = laws.factor(law, *base) / laws.factor(law, *here)
  falls = shape.m_in ** (-0.5 if shape.ninf == 2 else -1.0)
  return back * falls / _written(shape, table)


def effective(params: PyTree, mults: Multipliers) -> PyTree:
  """The weights that a module is applied to: each tensor times its multiplier.

      W = A w

  For any module that is linear in its kernels this is a multiplier of the
  layer's output before the bias.

  Args:
    params: w, what is trained (or a part of it).
    mults: `Multipliers`.

  Returns:
    W; a tensor whose multiplier is the number 1 is passed on as it is.

  Raises:
    ValueError: If a tensor has no multiplier.

  >>> from framework.mup.roles import DENSE
  >>> readout = InfShape((32, 3), (8, None), DENSE)  # m = 4
  >>> mults = multipliers(InfShapes({'w': readout}))
  >>> effective({'w': jnp.ones((32, 3))}, mults)['w'][0, 0].item()
  0.25
  """

  def scale(path: str, w: Any) -> Any:
    return scaled(w, number_of(mults.forward, path))

  return by_path(scale, params)


def scaled(x: Any, factor: Any) -> Any:
  """`x` times a number or a traced scalar, in the dtype of `x`."""
  if isinstance(factor, (int, float)):
    return x if factor == 1 else x * factor
  return x * factor.astype(x.dtype)


def select(rules: list[Multipliers], index: Any) -> Multipliers:
  """One of several rules, by a traced index: rules as lanes of one program.

  Args:
    rules: Multipliers of the same tensors.
    index: Which one, an integer scalar.

  Returns:
    `Multipliers` of scalars.

  >>> one = Multipliers(*({'w': float(i)} for i in range(5)))
  >>> select([one, one], jnp.int32(1)).lr['w'].item()
  2.0
  """
  return jax.tree.map(lambda *x: jnp.asarray(x, float)[index], *rules)
