"""Ensembles of instances, each drawn with one key.

    sphere       tokens, queries and head uniform on the sphere
    relu         the same with a head of ReLU units
    orthonormal  orthonormal tokens and queries, all labels 1
    opposed      three tokens a sample in the plane: the first picture
    shared       one good token a sample: the second picture

Scores of their own: `random_scores`, and `tied_scores`, all but the best equal.

Normal numbers are drawn in float32 whatever the precision, as they were for the
published figures: one key is one instance, and precisions can be compared run
by run.

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from framework.maths import draws, linalg
from framework.systems.attention_svm.instances import Instance
from framework.systems.attention_svm.layer import scores

__all__ = [
  'normal',
  'opposed',
  'orthonormal',
  'random_scores',
  'relu',
  'shared',
  'sphere',
  'tied_scores',
]


@functools.partial(jax.jit, static_argnames=('n', 'T', 'd', 'dtype'))
def sphere(
  key: Key[Array, ''], n: int, T: int, d: int, dtype: Any = jnp.float32
) -> Instance:
  """Tokens, queries and head uniform on the unit sphere, labels fair coins.

  The ensemble of all published figures with a linear head.

  Args:
    key: A key.
    n: Samples.
    T: Tokens a sample.
    d: Dimension.
    dtype: Of all numbers.

  Returns:
    An `Instance` with free queries.

  >>> made = sphere(jax.random.key(0), 2, 3, 4)
  >>> made.X.shape, bool(jnp.allclose(jnp.sum(made.Z**2, 1), 1))
  ((2, 3, 4), True)
  """
  keys = jax.random.split(key, 4)
  v = _unit(normal(keys[0], (d,), dtype))
  Y = _labels(keys[1], n, dtype)
  X = _unit(normal(keys[2], (n, T, d), dtype))
  Z = _unit(normal(keys[3], (n, d), dtype))
  return _whole(X, Z, Y, v)


def relu(
  key: Key[Array, ''], n: int, T: int, d: int, dtype: Any = jnp.float32
) -> Instance:
  """As `sphere`, with a head of d ReLU units, V Gaussian of ‖V‖_F = 1.

      h(x) = 1ᵀ ReLU(Vᵀx)

  Args:
    key: A key.
    n: Samples.
    T: Tokens a sample.
    d: Dimension.
    dtype: Of all numbers.

  Returns:
    An `Instance` with the columns of V as its head.
  """
  key_head, key = jax.random.split(key)
  V = normal(key_head, (d, d), dtype)
  V = V / jnp.sqrt(jnp.sum(V**2))
  rest = sphere(key, n, T, d, dtype)
  gamma = rest.Y[:, None] * jnp.sum(jax.nn.relu(rest.X @ V), -1)
  return rest._replace(v=V, gamma=gamma)


def orthonormal(
  key: Key[Array, ''], n: int, T: int, d: int, dtype: Any = jnp.float32
) -> Instance:
  """Orthonormal tokens within each sample, queries orthonormal, Y = 1.

  For these the attention that is best for a head vᵀx − λ‖x‖² is known.

  Args:
    key: A key.
    n: Samples, at most d.
    T: Tokens a sample, at most d.
    d: Dimension.
    dtype: Of all numbers.

  Returns:
    An `Instance`.

  Raises:
    ValueError: If n or T exceed d.
  """
  if max(n, T) > d:
    raise ValueError(f'd is {d}, expected at least n = {n} and T = {T}')
  keys = jax.random.split(key, 3)
  v = _unit(normal(keys[0], (d,), dtype))
  Q = jax.vmap(linalg.qr)(normal(keys[1], (n, d, T), dtype))[0]
  Z = linalg.qr(normal(keys[2], (d, n), dtype))[0].T
  return _whole(jnp.swapaxes(Q, 1, 2), Z, jnp.ones(n, dtype), v)


def opposed(
  key: Key[Array, ''], n: int, T: int, d: int, dtype: Any = jnp.float32
) -> Instance:
  """Three tokens a sample near ∓e_1, the sign alternating: the first picture.

  Args:
    key: A key.
    n: Samples.
    T: Places for tokens, at least 3; the others hold none.
    d: Dimension.
    dtype: Of all numbers.

  Returns:
    An `Instance`.

  Raises:
    ValueError: If T is below 3.
  """
  if T < 3:
    raise ValueError(f'T is {T}, expected at least 3 tokens')
  keys = jax.random.split(key, 3)
  X = 0.3 * normal(keys[0], (n, T, d), dtype)
  X = X.at[:, :, 0].add(jnp.where(jnp.arange(n) % 2 == 0, -1, 1)[:, None])
  Z = _unit(normal(keys[1], (n, d), dtype))
  v = _unit(normal(keys[2], (d,), dtype))
  mask = jnp.broadcast_to(jnp.arange(T) < 3, (n, T))
  return _whole(X, Z, jnp.ones(n, dtype), v, mask)


def shared(
  key: Key[Array, ''], n: int, T: int, d: int, dtype: Any = jnp.float32
) -> Instance:
  """One good token a sample, (1, ±½), the rest about −e_1: the second picture.

  Args:
    key: A key.
    n: Samples.
    T: Tokens a sample.
    d: Dimension, at least 2.
    dtype: Of all numbers.

  Returns:
    An `Instance` with a head close to e_1.

  Raises:
    ValueError: If d is below 2.
  """
  if d < 2:
    raise ValueError(f'd is {d}, expected at least 2 dimensions')
  keys = jax.random.split(key, 3)
  X = 0.5 * normal(keys[0], (n, T, d), dtype)
  X = X.at[:, :, 0].add(-1)
  sign = jnp.where(jnp.arange(n) % 2 == 0, 0.5, -0.5).astype(dtype)
  first = jnp.zeros((n, d), dtype).at[:, 0].set(1).at[:, 1].set(sign)
  X = X.at[:, 0].set(first)
  Z = _unit(normal(keys[1], (n, d), dtype))
  v = 0.3 * normal(keys[2], (d,), dtype)
  return _whole(X, Z, jnp.ones(n, dtype), _unit(v.at[0].set(1)))


def random_scores(
  key: Key[Array, ''], mask: Bool[Array, 'n T'], dtype: Any
) -> Float[Array, 'n T']:
  """γ_it ~ N(0, 1).

  Args:
    key: A key.
    mask: Which tokens there are.
    dtype: Of the scores.

  Returns:
    γ, also where there is no token.
  """
  return normal(key, mask.shape, dtype)


def tied_scores(
  key: Key[Array, ''], mask: Bool[Array, 'n T'], dtype: Any
) -> Float[Array, 'n T']:
  """One token of score 1, the others of an equal lower one.

  Args:
    key: A key.
    mask: Which tokens there are.
    dtype: Of the scores.

  Returns:
    γ; the best token of a sample is uniform, the others' score U(−1, ½).
  """
  best, rest = jax.random.split(key)
  place = draws.uniform(best, mask.shape)
  top = jnp.argmax(jnp.where(mask, place, -1), -1)
  low = jax.random.uniform(rest, (len(mask), 1), jnp.float32, -1, 0.5)
  low = low.astype(dtype)
  return jnp.where(jnp.arange(mask.shape[1])[None] == top[:, None], 1, low)


def normal(
  key: Key[Array, ''], shape: tuple[int, ...], dtype: Any
) -> Float[Array, '...']:
  """N(0, 1), the same numbers in every precision.

  >>> normal(jax.random.key(0), (2,), jnp.float32).dtype
  dtype('float32')
  """
  return draws.normal(key, shape, jnp.float32).astype(dtype)


def _unit(x: Float[Array, '*b d']) -> Float[Array, '*b d']:
  return x / jnp.sqrt(jnp.sum(x**2, -1, keepdims=True))


def _labels(key: Key[Array, ''], n: int, dtype: Any) -> Float[Array, ' n']:
  return jax.random.rademacher(key, (n,), dtype)


def _whole(X, Z, Y, v, mask=None) -> Instance:
  """With the scores of a linear head."""
  there = jnp.ones(X.shape[:2], bool) if mask is None else mask
  X = jnp.where(there[:, :, None], X, 0)
  return Instance(X, Z, Y, v, scores(X, Y, v), there)
