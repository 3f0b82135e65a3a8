"""Hyperparameters by name: the leaves of any pytree of scalars.

A leaf is called by its path, joined with dots: `lr` of a NamedTuple or a
dataclass, `opt.lr` of a dict within a dict, `widths.0` of a tuple.
"""

import difflib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

__all__ = ['check_scalars', 'like', 'names', 'replaced']


def names(tree: PyTree) -> tuple[str, ...]:
  """The name of every leaf, in the order of `jax.tree.leaves`.

  Args:
    tree: Any pytree; of a single leaf the name is 'hp'.

  Returns:
    Paths joined with dots.

  Raises:
    ValueError: If two leaves have one name, as {'a.b': 1, 'a': {'b': 2}}.

  >>> names({'opt': {'lr': 0.1, 'decay': 0.0}, 'widths': (8, 16)})
  ('opt.decay', 'opt.lr', 'widths.0', 'widths.1')
  """
  paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]
  found = tuple(
    jax.tree_util.keystr(path, simple=True, separator='.') or 'hp'
    for path in paths
  )
  for name in found:
    if found.count(name) > 1:
      raise ValueError(f'two hyperparameters are called {name}: rename one')
  return found


def check_scalars(tree: PyTree) -> None:
  """Refuses a leaf that is not one number.

  Args:
    tree: Any pytree.

  Raises:
    ValueError: Naming the first that is an array, a text or the like.

  >>> check_scalars({'opt': {'lr': (0.1, 0.2)}, 'rule': 'sgd'})
  Traceback (most recent call last):
  ValueError: hyperparameter rule is 'sgd', expected a number
  """
  for name, leaf in zip(names(tree), jax.tree.leaves(tree), strict=True):
    if np.ndim(leaf) or _kind(_dtype(leaf)) < 0:
      raise ValueError(f'hyperparameter {name} is {leaf!r}, expected a number')


def replaced(tree: PyTree, new: Mapping[str, Any]) -> PyTree:
  """The tree with other values for some of its leaves.

  Args:
    tree: Any pytree.
    new: A value for each leaf to replace, by its name.

  Returns:
    A tree of the same structure.

  Raises:
    ValueError: If there is no such leaf, with the nearest name there is.

  >>> replaced({'opt': {'lr': 0.1}, 'k': 3}, {'opt.lr': 0.5})
  {'k': 3, 'opt': {'lr': 0.5}}
  >>> replaced({'opt': {'lr': 0.1}, 'k': 3}, {'lr': 0.5})
  Traceback (most recent call last):
  ValueError: lr is not a hyperparameter: did you mean opt.lr? There are k,
    opt.lr
  >>> replaced({'opt': {'lr': 0.1}, 'k': 3}, {'opt': 0.5})
  Traceback (most recent call last):
  ValueError: opt is not a hyperparameter but holds some: opt.lr
  """
  for name in new:
    _leaf(tree, name)
  leaves, structure = jax.tree.flatten(tree)
  named = zip(names(tree), leaves, strict=True)
  leaves = [new.get(name, leaf) for name, leaf in named]
  return jax.tree.unflatten(structure, leaves)


def like(tree: PyTree, name: str, values: Any) -> np.ndarray | Array:
  """Values for a leaf, in its type: none is changed by the conversion.

  A Python int stands for a number: given floats, it becomes one. An int32 or
  a bool stays what it is.

  Args:
    tree: Any pytree of scalars.
    name: Of the leaf that they replace.
    values: Numbers, or an array of one axis, which may be traced.

  Returns:
    An array; a numpy one if `values` is not traced.

  Raises:
    ValueError: If there is no such leaf, there are no values, or the type
      cannot hold one of them.

  >>> like({'lr': 1}, 'lr', (0.5, 0.25))
  array([0.5 , 0.25])
  >>> like({'k': np.int32(1)}, 'k', (2, 3)).dtype
  dtype('int32')
  >>> like({'k': np.int32(1)}, 'k', (0.5, 2))
  Traceback (most recent call last):
  ValueError: k is int32, which cannot hold 0.5
  """
  leaf = _leaf(tree, name)
  try:
    given, traced = np.asarray(values), False
  except jax.errors.TracerArrayConversionError:
    given, traced = values, True
  except ValueError:  # rows of several lengths
    given, traced = np.asarray(None), False
  if given.ndim == 1 and not given.size:
    raise ValueError(f'{name}: no values')
  own = jax.dtypes.canonicalize_dtype(_dtype(leaf))
  if given.ndim != 1 or _kind(given.dtype) < 0:
    raise ValueError(f'{name}: {values!r}, expected a list of {own} values')
  if type(leaf) is int and _kind(given.dtype) == _FLOAT:
    own = jnp.result_type(float)
  refused = f'{name} is {own}, which cannot hold'
  wider = _kind(given.dtype) > _kind(own)
  if wider and (traced or _kind(given.dtype) > _FLOAT):
    raise ValueError(f'{refused} {given.dtype}')
  if traced:
    return given.astype(own)
  with np.errstate(all='ignore'):
    found = given.astype(own)
  # A float may round; it may not overflow.
  exact = _kind(own) < _FLOAT
  bad = found != given if exact else np.isinf(found) & ~np.isinf(given)
  if bad.any():
    raise ValueError(f'{refused} {given[bad][0]}')
  return found


def _leaf(tree: PyTree, name: str) -> Any:
  known = names(tree)
  if name not in known:
    raise ValueError(_unknown(name, known))
  return jax.tree.leaves(tree)[known.index(name)]


_KINDS = (jnp.bool_, jnp.integer, jnp.floating, jnp.complexfloating)
_FLOAT = 2


def _dtype(leaf: Any) -> Any:
  return leaf.dtype if hasattr(leaf, 'dtype') else np.asarray(leaf).dtype


def _kind(dtype: Any) -> int:
  """The place in `_KINDS`; -1 of what is no number."""
  found = [i for i, k in enumerate(_KINDS) if jnp.issubdtype(dtype, k)]
  return found[0] if found else -1


def _unknown(name: str, known: tuple[str, ...]) -> str:
  inside = [k for k in known if k.startswith(f'{name}.')]
  if inside:
    return f'{name} is not a hyperparameter but holds some: {", ".join(inside)}'
  if not known:
    return f'{name} is not a hyperparameter: there are none'

  def alike(other: str) -> float:
    ends = other, other.rpartition('.')[2]
    return max(difflib.SequenceMatcher(None, name, e).ratio() for e in ends)

  nearest = max(known, key=alike)
  return (
    f'{name} is not a hyperparameter: did you mean {nearest}? '
    f'There are {", ".join(known)}'
  )
