"""Measurements of rank one as rows, or as A*A alone, where that is quicker.

With p packed entries, k columns and s = n (or n₁ + n₂ with b) stored numbers a
measurement, one A*A

    form          reads      flops
    rank one      2 m s w    4 m s k
    svec, dense   2 m p w    4 m p
    gram          p² w       2 p²        (no residuals)

so a small matrix with many columns, or with many measurements, is better off
without its structure.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from framework.systems.matrix_sensing.operators import choice, forms
from framework.systems.matrix_sensing.operators.base import Operator
from framework.systems.matrix_sensing.operators.packing import (
  packed_size,
  svec,
  symmetrise,
)
from framework.systems.matrix_sensing.operators.structured.rank_one import (
  RankOne,
)

__all__ = ['quickest', 'rows']


def rows(operator: RankOne) -> Float[Array, 'm p']:
  """A_i, one a row: packed by svec if symmetric, else flattened.

  >>> import jax.numpy as jnp
  >>> from framework.systems.matrix_sensing.operators import structured
  >>> print(rows(structured.rank_one(jnp.array([[1.0, 2.0]]))).round(3))
  [[1.    2.828 4.   ]]
  """
  b = operator.a if operator.b is None else operator.b

  def row(a: Array, b: Array) -> Array:
    A = jnp.outer(a, b)
    return svec(symmetrise(A)) if operator.symmetric else A.reshape(-1)

  return jax.vmap(row)(operator.a, b)


def quickest(
  operator: RankOne,
  k: int,
  lanes: int = 1,
  residuals: bool = True,
  steps: int | None = None,
  memory_bytes: float = math.inf,
) -> tuple[Operator, str]:
  """The quickest form of measurements of rank one, and why.

  Args:
    operator: The measurements; may be traced.
    k: Columns of the factors.
    lanes: Runs side by side on this one operator.
    residuals: Whether they are asked for: by every loss but least squares.
    steps: Steps of the run, against which the set-up of gram is weighed; a run
      without end when None.
    memory_bytes: Memory that the operator may take, set-up included.

  Returns:
    (the same measurements in that form, the reason).

  Raises:
    ValueError: If k or lanes is below 1.

  >>> import jax
  >>> from framework.systems.matrix_sensing.operators import structured
  >>> few = structured.draw_rank_one(jax.random.key(0), 500, (8, 8), True)
  >>> type(quickest(few, 2)[0]).__name__
  'RankOne'
  >>> type(quickest(few, 2, residuals=False)[0]).__name__
  'Gram'
  """
  for name, value in (('k', k), ('lanes', lanes)):
    if value < 1:
      raise ValueError(f'{name} is {value}, expected an integer >= 1')
  m, w = operator.size, operator.a.dtype.itemsize
  p = packed_size(*operator.shape, operator.symmetric)
  stored = sum(x.shape[1] for x in jax.tree.leaves(operator))
  dense = forms.svec if operator.symmetric else forms.dense

  def seconds(read: int, held: int, flops: int) -> float:
    return choice.step_seconds(read, held, lanes * flops, w)

  costs = {
    'rank one': seconds(2 * m * stored * w, m * stored * w, 4 * m * stored * k),
    dense.__name__: seconds(2 * m * p * w, m * p * w, 4 * m * p),
  }
  memory = {dense.__name__: m * p * w}
  setup = 0.0
  if not residuals:
    costs['gram'] = seconds(p * p * w, p * p * w, 2 * p * p)
    memory['gram'] = (p * p + m * p) * w  # it is built from rows
    setup = choice.step_seconds(0, 0, 2 * m * p * p, w) / (steps or math.inf)
  best = min(
    (name for name in costs if memory.get(name, 0) <= memory_bytes),
    key=lambda name: costs[name] + setup * (name == 'gram'),
  )
  text = ', '.join(f'{n} {1e6 * t:.3g} us' for n, t in costs.items())
  why = f'{best}: per step {text}'
  if best == 'rank one':
    return operator, why
  form = forms.gram if best == 'gram' else dense
  return form(rows(operator), operator.shape, operator.symmetric), why
