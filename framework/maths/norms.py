"""Norms that neither underflow nor lose their derivative at zero."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

__all__ = ['norm', 'ratio', 'root']


@jax.jit
def norm(tree: PyTree) -> Float[Array, '']:
  """‖x‖ over all entries of all tensors.

      ‖x‖ = c ‖x/c‖,   c the largest |x_i|

  so that entries of 1e-30, whose squares float32 cannot hold, still count.

  Args:
    tree: Arrays.

  Returns:
    The norm; its derivative at 0 is 0.

  >>> tiny = {'a': jnp.array([3e-30]), 'b': jnp.array([4e-30])}
  >>> print((norm(tiny) / 5e-30).round(5))
  1.0
  """
  leaves = jax.tree.leaves(tree)
  largest = jnp.max(jnp.stack([jnp.max(jnp.abs(x)) for x in leaves]))
  largest = jax.lax.stop_gradient(largest)
  there = largest > 0
  scale = jnp.where(there, largest, 1)
  square = jnp.sum(jnp.stack([jnp.sum((x / scale) ** 2) for x in leaves]))
  root = jnp.sqrt(jnp.where(there, square, 1))
  return jnp.where(there, scale * root, 0)


def ratio(a: Float[Array, ''], b: Float[Array, '']) -> Float[Array, '']:
  """a/b, 0 where b is.

  >>> print(ratio(jnp.float32(1), jnp.float32(0)))
  0.0
  """
  return jnp.where(b > 0, a / jnp.where(b > 0, b, 1), 0)


def root(square: Float[Array, '*b']) -> Float[Array, '*b']:
  """√s of a sum of squares, with a derivative of 0 where it is 0.

  There that of `jnp.sqrt` is infinite, and NaN for what was 0 all along, such
  as the distance of a run from its start at step 0.

  Args:
    square: s ≥ 0.

  Returns:
    The bits of `jnp.sqrt`.

  >>> print(jax.grad(lambda x: root(x**2))(0.0), root(jnp.array([4.0, -1.0])))
  0.0 [ 2. nan]
  """
  zero = square == 0
  return jnp.where(zero, square, jnp.sqrt(jnp.where(zero, 1, square)))
