"""Instances: tokens, queries, labels, a head, and the scores that it gives.

    γ_it = Y_i h(x_it),   opt_i = argmax_t γ_it

A linear head is seen through its scores alone, so these are an input of their
own: any others may take their place. What an instance holds is drawn with one
key (`ensembles`), or given (`instance`), and then checked.

References:
  Tarzanagh, Li, Thrampoulidis, Oymak, "Transformers as Support Vector
  Machines", arXiv:2308.16898.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from framework.systems.attention_svm import layer

__all__ = [
  'Instance',
  'causal',
  'cross_attention',
  'instance',
  'self_attention',
]


class Instance(NamedTuple):
  """Samples of one training problem; `mask` says which tokens there are."""

  X: Float[Array, 'n T d']
  Z: Float[Array, 'n q']
  Y: Float[Array, ' n']  # ±1
  v: Float[Array, 'd *k']  # the head: a vector, or columns of ReLU units
  gamma: Float[Array, 'n T']  # scores
  mask: Bool[Array, 'n T']


def cross_attention(data: Instance) -> Instance:
  """Queries as they were drawn."""
  return data


def self_attention(data: Instance) -> Instance:
  """The first token of each sample is its query, z_i = x_i1."""
  return data._replace(Z=data.X[:, 0])


def causal(data: Instance) -> Instance:
  """Every token is a query, and sees what comes up to it: n·T samples."""
  T = data.X.shape[1]
  X, Z, mask = layer.causal(data.X, data.mask)
  repeated = [jnp.repeat(x, T, 0) for x in (data.Y, data.gamma)]
  return Instance(X, Z, repeated[0], data.v, repeated[1], mask)


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


def _worst(x: np.ndarray) -> float:
  return float(x[~np.isfinite(x)].ravel()[0])
