"""Norms and directions: of each tensor, and of all of them together."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from framework.maths.norms import norm, ratio

__all__ = ['cosine', 'cosines', 'direction', 'norms', 'tensor_names']


@jax.jit
def direction(tree: PyTree) -> PyTree:
  """w/‖w‖ with the norm over all entries of all tensors; 0 where w is.

  Under a loss with an exponential tail the norm of weights grows for ever and
  their direction is what converges.

  Args:
    tree: Arrays.

  Returns:
    The same tree, of norm 1.

  >>> print(direction({'a': jnp.array([3.0]), 'b': jnp.array([4.0])})['b'])
  [0.8]
  """
  size = norm(tree)
  return jax.tree.map(lambda x: x * ratio(jnp.ones_like(size), size), tree)


@jax.jit
def cosine(a: PyTree, b: PyTree) -> Float[Array, '']:
  """⟨a, b⟩/(‖a‖ ‖b‖) over all entries of all tensors; 0 where either is 0.

  Args:
    a: Arrays.
    b: Arrays of the same shapes.

  Returns:
    The cosine, in [−1, 1] up to rounding.

  >>> print(cosine(jnp.array([1.0, 0.0]), jnp.array([3.0, 4.0])).round(6))
  0.6
  """
  return _cosine(a, b).astype(jax.tree.leaves(b)[0].dtype)


@jax.jit
def cosines(
  directions: PyTree, params: PyTree
) -> tuple[Float[Array, ' tensors'], Float[Array, '']]:
  """cos(direction, weights) of each tensor, and of all together.

  For the direction of descent, −∇L or the update, it is positive where the step
  makes the weights longer.

  Args:
    directions: Like the parameters.
    params: The weights.

  Returns:
    (one cosine a tensor in the order of `tensor_names`, that of the
    concatenation); 0 where either is zero.

  >>> d = {'a': jnp.array([1.0, 0.0]), 'b': jnp.array([-2.0])}
  >>> w = {'a': jnp.array([3.0, 4.0]), 'b': jnp.array([1.0])}
  >>> print(cosines(d, w)[0])
  [ 0.6 -1. ]
  """
  pairs = zip(*map(jax.tree.leaves, (directions, params)), strict=True)
  dtype = jax.tree.leaves(params)[0].dtype
  each = jnp.stack([_cosine(d, w).astype(dtype) for d, w in pairs])
  return each, _cosine(directions, params).astype(dtype)


@jax.jit
def norms(params: PyTree) -> Float[Array, ' tensors']:
  """‖w‖ of each tensor, in the order of `tensor_names`.

  >>> print(norms({'a': jnp.array([3.0, 4.0])}))
  [5.]
  """
  return jnp.stack([norm(x) for x in jax.tree.leaves(params)])


def tensor_names(params: PyTree) -> list[str]:
  """Names of the tensors, in the order of probes of each tensor.

  >>> tensor_names({'b': {'kernel': 0.0}, 'a': 0.0})
  ['a', 'b.kernel']
  """
  paths = jax.tree_util.tree_leaves_with_path(params)
  return [
    '.'.join(str(getattr(k, 'key', k)) for k in path) for path, _ in paths
  ]


def _cosine(a: PyTree, b: PyTree) -> Float[Array, '']:
  pairs = zip(*map(jax.tree.leaves, map(direction, (a, b))), strict=True)
  return sum((jnp.sum(x * y) for x, y in pairs), jnp.asarray(0.0))
