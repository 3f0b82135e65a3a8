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
from jaxtyping import PyTree

from framework.mup import roles

__all__ = ['InfShape', 'InfShapes', 'between', 'by_path', 'infer', 'path_of']


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
    """(fan-in, fan-out) at the base and here, the receptive field included."""
    base = tuple(
      s if b is None else b for s, b in zip(self.size, self.base, strict=True)
    )
    fan_in, fan_out = self.role.fan_in, self.role.fan_out

    def both(shape: tuple[int, ...]) -> tuple[int, int]:
      field = math.prod(
        n for i, n in enumerate(shape) if i not in fan_in + fan_out
      )
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

    def find(path, leaf):
      name = path_of(path)
      if name not in self:
        raise ValueError(f'tensor {name}: no infinite shape is known for it')
      if tuple(leaf.shape) != self[name].size:
        raise ValueError(
          f'tensor {name} has shape {tuple(leaf.shape)}, expected '
          f'{self[name].size}'
        )
      return self[name]

    return jax.tree_util.tree_map_with_path(find, params)

  def to_json(self) -> str:
    """As text; `from_json` reads it.

    Returns:
      {path: {size, base, fan_in, fan_out, law, query}}.
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
            ),
          )
          for path, x in stored.items()
        }
      )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
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


def infer(
  base: Any,
  delta: Any,
  target: Any,
  *inputs: Any,
  overrides: Mapping[str, roles.Role] | None = None,
  **kwargs: Any,
) -> InfShapes:
  """The infinite shapes of a flax module from three of its widths.

  Args:
    base: The module at the width at which hyperparameters are tuned.
    delta: One like it in which every dimension that is to grow is larger; its
      sizes do not matter otherwise. None to compare base and target instead,
      where that leaves no doubt.
    target: The module that is to be trained; it may equal `base`.
    *inputs: What the modules are called with (only shapes are looked at).
    overrides: {path: role} where conventions do not fit, such as
      {'query': Role((0,), (1,), 'fan_in', query=True)}.
    **kwargs: More for the modules.

  Returns:
    `InfShapes` of `target`'s parameters, the tree that
    `target.init(...)['params']` returns.

  Raises:
    ValueError: In one line, if the modules have different tensors, no dimension
      grows, or one is another in `target` though it does not grow.

  >>> import flax.linen as nn, jax.numpy as jnp
  >>> net = lambda n: nn.Sequential([nn.Dense(n), nn.tanh, nn.Dense(3)])
  >>> infer(net(8), net(16), net(32), jnp.ones((1, 5)))['layers_2/kernel']
  InfShape(size=(32, 3), base=(8, None), role=Role(fan_in=(0,), fan_out=(1,),
  law='fan_in', query=False))
  """
  known = dict(overrides or {})

  def shapes(module: Any) -> tuple[Any, dict[str, Any]]:
    with roles.watched() as seen:
      made = jax.eval_shape(
        lambda key: module.init(key, *inputs, **kwargs), jax.random.key(0)
      )
    if 'params' not in made:
      raise ValueError(f'{type(module).__name__} has no parameters')
    return made['params'], seen

  params, seen = shapes(target)
  for path, size in _flat(params).items():
    if path in seen and path not in known:
      known[path] = roles.stacked(path, seen[path], size)
  wide = None if delta is None else shapes(delta)[0]
  return between(shapes(base)[0], wide, params, known)


def between(
  base: PyTree,
  delta: PyTree | None,
  target: PyTree,
  found: Mapping[str, roles.Role] | None = None,
) -> InfShapes:
  """The infinite shapes of parameters from shapes alone.

  Args:
    base: Arrays or shapes at the base width.
    delta: The same at another width, or None (see `infer`).
    target: The same at the width that is to be trained.
    found: {path: role}; the convention of flax for those left out.

  Returns:
    `InfShapes`.

  Raises:
    ValueError: As in `infer`.

  >>> import jax.numpy as jnp
  >>> base, delta, target = ({'w': jnp.ones((3, n))} for n in (4, 8, 16))
  >>> shape = between(base, delta, target)['w']
  >>> shape.base, shape.m_out, shape.role.law
  ((None, 4), 4.0, 'unknown')
  """
  known = dict(found or {})
  bases, targets = _flat(base), _flat(target)
  deltas = targets if delta is None else _flat(delta)
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
    _refuse_doubt(bases, targets)
  made = {}
  for path, size in targets.items():
    dims = zip(bases[path], deltas[path], size, strict=True)
    grows = []
    for i, (b, d, s) in enumerate(dims):
      if b == d and b != s:
        raise ValueError(
          f'dimension {i} of {path} is {b} in base and delta and {s} in the '
          'target: make it larger in delta, or equal'
        )
      grows.append(b if b != d else None)
    role = known.get(path) or roles.convention(path, len(size))
    role.check(path, len(size))
    made[path] = InfShape(size, tuple(grows), role)
  return InfShapes(made)


def _refuse_doubt(bases, targets) -> None:
  """Without delta, a size that grows here and stays there is ambiguous."""
  growing = {
    b
    for path, shape in bases.items()
    for b, s in zip(shape, targets[path], strict=True)
    if b != s
  }
  for path, shape in bases.items():
    for i, (b, s) in enumerate(zip(shape, targets[path], strict=True)):
      if b == s and b in growing:
        raise ValueError(
          f'dimension {i} of {path} is {b} in base and target, and {b} grows '
          'elsewhere: give a delta model that says whether it is infinite'
        )


def _flat(tree: PyTree) -> dict[str, tuple[int, ...]]:
  leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
  return {path_of(path): tuple(leaf.shape) for path, leaf in leaves}


def by_path(function: Callable[[str, Any], Any], tree: PyTree) -> PyTree:
  """Maps (path, leaf) -> leaf over a tree.

  Args:
    function: Of a path such as 'dense/kernel' and what is there.
    tree: A pytree.

  Returns:
    A tree of what it returns.

  >>> by_path(lambda path, x: path, {'a': {'b': 1}})
  {'a': {'b': 'a/b'}}
  """
  return jax.tree_util.tree_map_with_path(
    lambda path, leaf: function(path_of(path), leaf), tree
  )
