"""Instances: tokens, queries, labels, a head, and the scores that it gives.

    γ_it = Y_i h(x_it),   opt_i = argmax_t γ_it

A linear head is seen through its scores alone, so these are an input of their
own: any others may take their place. What an instance holds is drawn with one
key, or given (`instance`), and then checked. Normal numbers are drawn in
float32 whatever the precision, as they were for the published figures: one key
is one instance, and precisions can be compared run by run.

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from framework.maths import linalg
from framework.systems.attention_svm.layer import causal, scores

__all__ = [
  'DRAWS',
  'QUERIES',
  'Instance',
  'asked',
  'instance',
  'normal',
  'opposed',
  'orthonormal',
  'relu',
  'shared',
  'sphere',
  'tied_scores',
]

QUERIES = ('cross', 'self', 'causal')


class Instance(NamedTuple):
  """Samples of one training problem; `mask` says which tokens there are."""

  X: Float[Array, 'n T d']
  Z: Float[Array, 'n q']
  Y: Float[Array, ' n']  # ±1
  v: Float[Array, 'd *k']  # the head: a vector, or columns of ReLU units
  gamma: Float[Array, 'n T']  # scores
  mask: Bool[Array, 'n T']


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
    raise ValueError(f'T is {T}, expected at least 3 for data=opposed')
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
    raise ValueError(f'd is {d}, expected at least 2 for data=shared')
  keys = jax.random.split(key, 3)
  X = 0.5 * normal(keys[0], (n, T, d), dtype)
  X = X.at[:, :, 0].add(-1)
  sign = jnp.where(jnp.arange(n) % 2 == 0, 0.5, -0.5).astype(dtype)
  first = jnp.zeros((n, d), dtype).at[:, 0].set(1).at[:, 1].set(sign)
  X = X.at[:, 0].set(first)
  Z = _unit(normal(keys[1], (n, d), dtype))
  v = 0.3 * normal(keys[2], (d,), dtype)
  return _whole(X, Z, jnp.ones(n, dtype), _unit(v.at[0].set(1)))


DRAWS: dict[str, Callable[..., Instance]] = {
  'sphere': sphere,
  'relu': relu,
  'orthonormal': orthonormal,
  'opposed': opposed,
  'shared': shared,
}


def asked(data: Instance, queries: str) -> Instance:
  """The instance with the queries of self-attention, or causal ones.

  Args:
    data: An instance with free queries.
    queries: 'cross' keeps them; 'self' z_i = x_i1; 'causal' makes a sample of
      every token, which sees what comes up to it.

  Returns:
    An `Instance`, of n·T samples if causal.

  Raises:
    ValueError: If there is no such kind of query.
  """
  if queries not in QUERIES:
    raise ValueError(f'queries is {queries!r}, expected one of {QUERIES}')
  if queries == 'cross':
    return data
  if queries == 'self':
    return data._replace(Z=data.X[:, 0])
  T = data.X.shape[1]
  X, Z, mask = causal(data.X, data.mask)
  repeated = [jnp.repeat(x, T, 0) for x in (data.Y, data.gamma)]
  return Instance(X, Z, repeated[0], data.v, repeated[1], mask)


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
  place = jax.random.uniform(best, mask.shape)
  top = jnp.argmax(jnp.where(mask, place, -1), -1)
  low = jax.random.uniform(rest, (len(mask), 1), jnp.float32, -1, 0.5)
  low = low.astype(dtype)
  return jnp.where(jnp.arange(mask.shape[1])[None] == top[:, None], 1, low)


def instance(
  X: Any,
  Z: Any,
  Y: Any,
  v: Any,
  mask: Any = None,
  gamma: Any = None,
  dtype: Any = jnp.float32,
) -> Instance:
  """An instance of given arrays, checked.

  Args:
    X: Tokens (n, T, d); finite wherever the mask is.
    Z: Queries (n, q).
    Y: Labels (n,), ±1.
    v: A linear head (d,).
    mask: Which tokens there are (n, T); all when None.
    gamma: Scores (n, T) in place of the head's.
    dtype: Of all numbers.

  Returns:
    The instance, with zeros where there is no token.

  Raises:
    ValueError: In one line, for shapes that do not fit, fewer than two tokens,
      a sample without one, numbers that are not finite, a label not ±1.

  >>> instance(np.zeros((1, 1, 2)), np.zeros((1, 2)), [1], [1, 0])
  Traceback (most recent call last):
  ValueError: T is 1, expected at least 2 tokens to choose among
  """
  X, Z, Y, v = (np.asarray(x, np.float64) for x in (X, Z, Y, v))
  if X.ndim != 3 or Z.ndim != 2 or Y.ndim != 1:
    raise ValueError(
      f'X, Z, Y have shapes {X.shape}, {Z.shape}, {Y.shape}, expected '
      '(n, T, d), (n, q), (n,)'
    )
  n, T, d = X.shape
  if T < 2:
    raise ValueError(f'T is {T}, expected at least 2 tokens to choose among')
  if len(Z) != n or len(Y) != n or v.shape[:1] != (d,):
    raise ValueError(
      f'X, Z, Y, v have shapes {X.shape}, {Z.shape}, {Y.shape}, {v.shape}, '
      f'expected {n} queries, {n} labels and a head of {d} rows'
    )
  there = np.ones((n, T), bool) if mask is None else np.asarray(mask, bool)
  if there.shape != (n, T):
    raise ValueError(f'mask has shape {there.shape}, expected {(n, T)}')
  if not there.any(1).all():
    empty = int(np.argmin(there.any(1)))
    raise ValueError(f'mask of sample {empty} has no token, expected one')
  X = np.where(there[:, :, None], X, 0)
  gamma = Y[:, None] * (X @ v) if gamma is None else np.asarray(gamma)
  if np.shape(gamma) != (n, T):
    raise ValueError(f'gamma has shape {np.shape(gamma)}, expected {(n, T)}')
  for name, x in (('X', X), ('Z', Z), ('v', v), ('gamma', gamma[there])):
    if not np.isfinite(x).all():
      raise ValueError(f'{name} has {_worst(x)}, expected finite numbers')
  if not np.isin(Y, (-1, 1)).all():
    wrong = Y[~np.isin(Y, (-1, 1))][0]
    raise ValueError(f'Y has {wrong:g}, expected labels -1 and 1')
  gamma = np.where(there, gamma, 0)
  floats = [jnp.asarray(x, dtype) for x in (X, Z, Y, v, gamma)]
  X, Z, Y, v, gamma = floats
  return Instance(X, Z, Y, v, gamma, jnp.asarray(there))


def normal(
  key: Key[Array, ''], shape: tuple[int, ...], dtype: Any
) -> Float[Array, '...']:
  """N(0, 1), the same numbers in every precision.

  >>> normal(jax.random.key(0), (2,), jnp.float32).dtype
  dtype('float32')
  """
  return jax.random.normal(key, shape, jnp.float32).astype(dtype)


def _worst(x: np.ndarray) -> float:
  return float(x[~np.isfinite(x)].ravel()[0])


def _unit(x: Float[Array, '*b d']) -> Float[Array, '*b d']:
  return x / jnp.sqrt(jnp.sum(x**2, -1, keepdims=True))


def _labels(key: Key[Array, ''], n: int, dtype: Any) -> Float[Array, ' n']:
  return jax.random.rademacher(key, (n,), dtype)


def _whole(X, Z, Y, v, mask=None) -> Instance:
  """With the scores of a linear head."""
  there = jnp.ones(X.shape[:2], bool) if mask is None else mask
  X = jnp.where(there[:, :, None], X, 0)
  return Instance(X, Z, Y, v, scores(X, Y, v), there)
