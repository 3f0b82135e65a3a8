"""Which dimensions of which tensors grow with width: a static side tree.

A base model and a wider one of the same kind tell which dimensions grow; a
target model tells how large they are. Only shapes are looked at (`eval_shape`),
and what is found is kept beside the parameters, never on them: it is hashable,
has no leaves, and so passes through `jit`, `vmap`, sharding and checkpoints
untouched, and through JSON both ways.

    m_in  = Π (size/base) over the axes that are summed over,
    m_out = the same over the axes of the output.

A tensor with m_in and m_out both growing is *matrix-like* (hidden weights), one
with just one of them *vector-like*: inputs, biases, norms, embeddings (m_out)
and readouts (m_in). With none it is scalar-like, and nothing is ever scaled.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from flax.core import meta
from jaxtyping import PyTree

from framework.mup import roles

__all__ = [
  'InfShape',
  'InfShapes',
  'between',
  'by_path',
  'flat',
  'named',
  'path_of',
]


class InfShape(NamedTuple):
  """One tensor: how large each dimension is, and at the base (None: fixed)."""

  size: tuple[int, ...]
  base: tuple[int | None, ...]
  role: roles.Role

  @property
  def ratios(self) -> tuple[float, ...]:
    """Of size to base, 1 where a dimension is fixed."""
    return tuple(
      1.0 if b is None else s / b
      for s, b in zip(self.size, self.base, strict=True)
    )

  @property
  def m_in(self) -> float:
    """How many times the base's the fan-in is."""
    return math.prod(self.ratios[i] for i in self.role.fan_in)

  @property
  def m_out(self) -> float:
    """How many times the base's the fan-out is."""
    return math.prod(self.ratios[i] for i in self.role.fan_out)

  @property
  def m_head(self) -> float:
    """How many times the base's the head dimension of a query is, else 1."""
    return self.ratios[-1] if self.role.query else 1.0

  @property
  def infinite_in(self) -> bool:
    """Whether the fan-in grows."""
    return any(self.base[i] is not None for i in self.role.fan_in)

  @property
  def infinite_out(self) -> bool:
    """Whether the fan-out grows."""
    return any(self.base[i] is not None for i in self.role.fan_out)

  @property
  def ninf(self) -> int:
    """How many of the two fans grow: 2 matrix-like, 1 vector-like."""
    return self.infinite_in + self.infinite_out

  def fans(self) -> tuple[tuple[int, int], tuple[int, int]]:
    """(fan-in, fan-out) at the base and here, as the initialiser sees them.

    The receptive field is included; layers that are stacked are drawn one by
    one.
    """
    base = tuple(
      s if b is None else b for s, b in zip(self.size, self.base, strict=True)
    )
    fan_in, fan_out = self.role.drawn or (self.role.fan_in, self.role.fan_out)
    others = fan_in + fan_out + self.role.stack

    def both(shape: tuple[int, ...]) -> tuple[int, int]:
      field = math.prod(n for i, n in enumerate(shape) if i not in others)
      return (
        field * math.prod(shape[i] for i in fan_in),
        field * math.prod(shape[i] for i in fan_out),
      )

    return both(base), both(self.size)


@jax.tree_util.register_static
class InfShapes(Mapping[str, InfShape]):
  """The infinite shapes of all tensors, by their paths such as 'dense/kernel'.

  A frozen mapping without leaves: it may be an argument or a result of
  any transformed function, or a field of a state.

  >>> shape = InfShape((8, 4), (2, None), roles.DENSE)
  >>> shapes = InfShapes({'readout/kernel': shape})
  >>> shapes['readout/kernel'].m_in, shapes['readout/kernel'].ninf
  (4.0, 1)
  >>> InfShapes.from_json(shapes.to_json()) == shapes, jax.tree.leaves(shapes)
  (True, [])
  """

  def __init__(self, tensors: Mapping[str, InfShape]):
    """Keeps the tensors in the order of their paths."""
    self._tensors = dict(sorted(tensors.items()))

  def __getitem__(self, path: str) -> InfShape:
    return self._tensors[path]

  def __iter__(self):
    return iter(self._tensors)

  def __len__(self) -> int:
    return len(self._tensors)

  def __hash__(self) -> int:
    return hash(tuple(self._tensors.items()))

  def __eq__(self, other: object) -> bool:
    return isinstance(other, InfShapes) and self._tensors == other._tensors

  def __repr__(self) -> str:
    rows = [
      f'{path}: '
      + ' x '.join(
        str(s) if b is None else f'{s} (base {b})'
        for s, b in zip(shape.size, shape.base, strict=True)
      )
      for path, shape in self.items()
    ]
    return 'InfShapes(' + ', '.join(rows) + ')'

  def tree(self, params: PyTree) -> PyTree:
    """The same tree as `params` with an `InfShape` at each leaf.

    Args:
      params: Parameters, or shapes of them, or a part of the tree.

    Returns:
      A tree of `InfShape` (tuples, so flatten it with `is_leaf`).

    Raises:
      ValueError: If a tensor is not known or has another shape.
    """

    def find(name, leaf):
      if name not in self:
        raise ValueError(f'tensor {name}: no infinite shape is known for it')
      if tuple(leaf.shape) != self[name].size:
        raise ValueError(
          f'tensor {name} has shape {tuple(leaf.shape)}, expected '
          f'{self[name].size}'
        )
      return self[name]

    return by_path(find, params)

  def to_json(self) -> str:
    """As text; `from_json` reads it.

    Returns:
      {path: {size, base, fan_in, fan_out, law, query, drawn, stack}}.
    """
    return json.dumps(
      {
        path: {
          'size': shape.size,
          'base': shape.base,
          **shape.role._asdict(),
        }
        for path, shape in self.items()
      },
      indent=1,
    )

  @classmethod
  def from_json(cls, text: str) -> 'InfShapes':
    """The infinite shapes that `to_json` wrote.

    Args:
      text: JSON.

    Returns:
      `InfShapes`.

    Raises:
      ValueError: If it is something else.
    """
    try:
      stored = json.loads(text)
      return cls(
        {
          path: InfShape(
            tuple(x['size']),
            tuple(x['base']),
            roles.Role(
              tuple(x['fan_in']),
              tuple(x['fan_out']),
              x['law'],
              x['query'],
              x['drawn'] and (tuple(x['drawn'][0]), tuple(x['drawn'][1])),
              tuple(x['stack']),
            ),
          )
          for path, x in stored.items()
        }
      )
    except (LookupError, TypeError, AttributeError, ValueError) as error:
      raise ValueError(f'not JSON of infinite shapes: {error}') from None

  def swapped(self) -> 'InfShapes':
    """With fan-in and fan-out exchanged: the mistake, for tests of tests.

    A rule copied from a framework whose kernels are (out, in) makes it.
    """
    return InfShapes(
      {
        path: shape._replace(
          role=shape.role._replace(
            fan_in=shape.role.fan_out, fan_out=shape.role.fan_in
          )
        )
        for path, shape in self.items()
      }
    )


def path_of(path: tuple[Any, ...]) -> str:
  """A path in a tree as text.

  Args:
    path: Keys, as of `jax.tree_util.tree_flatten_with_path`.

  Returns:
    The names with '/' between them.

  >>> tree = {'dense': {'kernel': 0}}
  >>> path_of(jax.tree_util.tree_flatten_with_path(tree)[0][0][0])
  'dense/kernel'
  """
  return jax.tree_util.keystr(path, simple=True, separator='/')


def between(
  base: PyTree,
  delta: PyTree | None,
  target: PyTree,
  found: Mapping[str, roles.Role] | None = None,
) -> InfShapes:
  """The infinite shapes of parameters from shapes alone.

  Args:
    base: Arrays or shapes at the base width.
    delta: The same at another width, or None (see `net.infer`).
    target: The same at the width that is to be trained.
    found: {path: role}; the convention of flax for those left out.

  Returns:
    `InfShapes`.

  Raises:
    ValueError: As in `net.infer`.

  >>> import jax.numpy as jnp
  >>> base, delta, target = ({'w': jnp.ones((3, n))} for n in (4, 8, 16))
  >>> shape = between(base, delta, target)['w']
  >>> shape.base, shape.m_out, shape.role.law
  ((None, 4), 4.0, 'unknown')
  """
  known = dict(found or {})
  bases, targets = flat(base), flat(target)
  deltas = targets if delta is None else flat(delta)
  what = 'target' if delta is None else 'delta'
  for name, other in (('target', targets), (what, deltas)):
    if odd := sorted(bases.keys() ^ other.keys()):
      where = 'base' if odd[0] in bases else name
      raise ValueError(
        f'tensor {odd[0]} is in {where} alone: base and {name} are different '
        'models'
      )
    for path, shape in bases.items():
      if len(shape) != len(other[path]):
        raise ValueError(
          f'tensor {path} has shape {shape} in base, {other[path]} in {name}: '
          'expected as many dimensions'
        )
  if unknown := sorted(known.keys() - bases.keys()):
    raise ValueError(
      f'role of {unknown[0]}: no such tensor; there are {", ".join(bases)}'
    )
  if bases == deltas:
    raise ValueError(
      f'base and {what} are equal in every dimension, so none is infinite: '
      'make delta another width'
    )
  if delta is None:
    _refuse_doubt(bases, targets, known)
  made = {}
  for path, size in targets.items():
    role = known.get(path) or roles.convention(path, len(size))
    role.check(path, len(size))
    base_size: list[int | None] = [None] * len(size)
    dims = zip(bases[path], deltas[path], size, strict=True)
    for i, (b, d, s) in enumerate(dims):
      if i in role.stack:
        continue  # more layers, not wider ones
      if b == d and b != s:
        raise ValueError(
          f'dimension {i} of {path} is {b} in base and delta and {s} in the '
          'target: make it larger in delta, or equal'
        )
      if b != d:
        _refuse_axis(path, i, (b, d), what, role)
        base_size[i] = b
    made[path] = InfShape(size, tuple(base_size), role)
  if not any(shape.ninf for shape in made.values()):
    raise ValueError(
      f'base and {what} differ in their depth alone, so no dimension is '
      'infinite: make delta another width'
    )
  return InfShapes(made)


def _refuse_axis(path, axis, sizes, other, role) -> None:
  """An axis that grows has to be in one fan, and to be there at the base."""
  where = f'axis {axis} of {named(path)}'
  if axis not in role.fan_in + role.fan_out:
    raise ValueError(
      f'{where} grows ({sizes[0]} in base, {sizes[1]} in {other}), and is '
      'neither fan-in nor fan-out: say in overrides what it is'
    )
  if sizes[0] < 1:
    raise ValueError(
      f'{where} is 0 in base and {sizes[1]} in {other}, expected at least 1 '
      'where it grows'
    )


def _refuse_doubt(bases, targets, known) -> None:
  """Without delta, a size that grows here and stays there is ambiguous."""
  every = [
    (path, i, b, s)
    for path, shape in bases.items()
    for i, (b, s) in enumerate(zip(shape, targets[path], strict=True))
    if path not in known or i not in known[path].stack
  ]
  growing = {b for *_, b, s in every if b != s}
  for path, i, b, s in every:
    if b == s and b in growing:
      raise ValueError(
        f'dimension {i} of {path} is {b} in base and target, and {b} grows '
        'elsewhere: give a delta model that says whether it is infinite'
      )


def named(path: str) -> str:
  """A tensor in words, for an error.

  >>> named('block/dense/kernel')
  'parameter kernel of module block/dense'
  """
  module, _, name = path.rpartition('/')
  return f'parameter {name} of ' + (f'module {module}' if module else 'the net')


def flat(tree: PyTree) -> dict[str, tuple[int, ...]]:
  """Shapes by path.

  >>> import numpy as np
  >>> flat({'dense': {'bias': np.ones(3)}})
  {'dense/bias': (3,)}
  """
  found: dict[str, tuple[int, ...]] = {}

  def note(path: str, leaf: Any) -> None:
    found[path] = tuple(leaf.shape)

  by_path(note, tree)
  return found


def by_path(function: Callable[[str, Any], Any], tree: PyTree) -> PyTree:
  """Maps (path, leaf) -> leaf over a tree.

  What is in a box with metadata (`nn.with_partitioning`) has the path of the
  box, and what comes back is in the same box.

  Args:
    function: Of a path such as 'dense/kernel' and what is there.
    tree: A pytree.

  Returns:
    A tree of what it returns.

  >>> by_path(lambda path, x: path, {'a': {'b': 1}})
  {'a': {'b': 'a/b'}}
  """

  def one(path, leaf):
    return jax.tree.map(lambda x: function(path_of(path), x), leaf)

  return jax.tree_util.tree_map_with_path(one, tree, is_leaf=_boxed)


def _boxed(x: Any) -> bool:
  return isinstance(x, meta.AxisMetadata)
