"""The XOR cluster distribution, with label flips.

    ỹ uniform on ±1,   x ~ N(s μ_1, I_p) if ỹ = +1,  N(s μ_2, I_p) if ỹ = −1,
    s an independent fair sign,   y = −ỹ with probability η, else ỹ

with μ_1 ⊥ μ_2 of one norm ‖μ‖ [1, section 2]. The distribution is rotation
invariant, so μ_1 = ‖μ‖ e_1 and μ_2 = ‖μ‖ e_2 here. Clusters are numbered

    0: +μ_1,  1: −μ_1 (both of clean label +1),  2: +μ_2,  3: −μ_2 (label −1).

References:
  [1] Xu, Wang, Frei, Vardi, Hu, "Benign Overfitting and Grokking in ReLU
      Networks for XOR Cluster Data", 2023.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Int, Key

__all__ = ['Labels', 'XorData', 'cluster_means', 'labels', 'xor_cluster']

CLEAN = np.array([1, 1, -1, -1])  # label of each cluster
DIRECTION = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])  # in units of ‖μ‖


class Labels(NamedTuple):
  """The cluster, clean label and observed label of each point."""

  cluster: Int[Array, ' n']  # 0 ... 3: +μ_1, −μ_1, +μ_2, −μ_2
  clean: Float[Array, ' n']  # ỹ, ±1
  y: Float[Array, ' n']  # observed label, ±1


class XorData(NamedTuple):
  """Points, the first two coordinates along μ_1 and μ_2."""

  x: Float[Array, 'n p']
  labels: Labels


def labels(
  key: Key[Array, ''],
  n: int,
  eta: Float[ArrayLike, ''],
  stratified: Float[ArrayLike, ''] = 0.0,
  dtype: DTypeLike = jnp.float32,
) -> Labels:
  """Draws clusters and labels.

  Args:
    key: Key of the draw.
    n: Points.
    eta: Probability η that a label is flipped.
    stratified: 1 deals the clusters out in turn, n/4 points each, instead of
      drawing them (a control: it takes the chance out of the cluster sizes).
    dtype: Type of the labels.

  Returns:
    `Labels`.

  Raises:
    ValueError: If η is a plain number outside [0, 1/2).

  >>> import jax
  >>> found = labels(jax.random.key(0), 8, eta=0.0, stratified=1.0)
  >>> found.cluster.tolist(), found.y.astype(int).tolist()
  ([0, 1, 2, 3, 0, 1, 2, 3], [1, 1, -1, -1, 1, 1, -1, -1])
  """
  if isinstance(eta, float) and not 0 <= eta < 0.5:
    raise ValueError(f'eta is {eta}, expected 0 <= eta < 1/2')
  key_cluster, key_flip = jax.random.split(key)
  drawn = jax.random.randint(key_cluster, (n,), 0, 4, jnp.int32)
  dealt = jnp.arange(n, dtype=jnp.int32) % 4
  cluster = jnp.where(jnp.asarray(stratified) > 0.5, dealt, drawn)
  clean = jnp.asarray(CLEAN, dtype)[cluster]
  # The same uniforms whatever η is: a larger one flips more, not others.
  flip = jax.random.uniform(key_flip, (n,), dtype) < jnp.asarray(eta, dtype)
  return Labels(cluster, clean, jnp.where(flip, -clean, clean))


def cluster_means(
  cluster: Int[Array, ' n'],
  mu_norm: Float[ArrayLike, ''],
  dtype: DTypeLike = jnp.float32,
) -> Float[Array, 'n 2']:
  """Coordinates of each point's centre along μ_1/‖μ‖ and μ_2/‖μ‖.

  Args:
    cluster: 0 ... 3.
    mu_norm: ‖μ‖.
    dtype: Type of the result.

  Returns:
    One row a point.

  >>> cluster_means(jnp.array([0, 3]), 2.0).astype(int).tolist()
  [[2, 0], [0, -2]]
  """
  return jnp.asarray(mu_norm, dtype) * jnp.asarray(DIRECTION, dtype)[cluster]


def xor_cluster(
  key: Key[Array, ''],
  n: int,
  p: int,
  mu_norm: Float[ArrayLike, ''],
  eta: Float[ArrayLike, ''],
  stratified: Float[ArrayLike, ''] = 0.0,
  dtype: DTypeLike = jnp.float32,
) -> XorData:
  """Draws points of the XOR cluster distribution in R^p.

  Args:
    key: Key of the draw.
    n: Points.
    p: Dimension, >= 2.
    mu_norm: ‖μ‖.
    eta: Probability η that a label is flipped; 0 for test points.
    stratified: 1 deals out n/4 points a cluster, as in `labels`.
    dtype: Type of points and labels.

  Returns:
    `XorData`.

  Raises:
    ValueError: If p < 2, n < 1, or ‖μ‖ or η is a plain number out of range.

  >>> import jax
  >>> data = xor_cluster(jax.random.key(0), 4, 6, 100.0, 0.0)
  >>> sign = jnp.where(jnp.abs(data.x[:, 0]) > jnp.abs(data.x[:, 1]), 1, -1)
  >>> data.x.shape, bool(jnp.all(sign == data.labels.clean))
  ((4, 6), True)
  """
  if not isinstance(p, (int, np.integer)) or p < 2:
    raise ValueError(
      f'p is {p}, expected an integer >= 2: μ_1 and μ_2 are orthogonal'
    )
  if n < 1:
    raise ValueError(f'n is {n}, expected an integer >= 1')
  if isinstance(mu_norm, float) and not mu_norm >= 0:
    raise ValueError(f'mu_norm is {mu_norm}, expected >= 0')
  key_labels, key_noise = jax.random.split(key)
  found = labels(key_labels, n, eta, stratified, dtype)
  means = cluster_means(found.cluster, mu_norm, dtype)
  x = jax.random.normal(key_noise, (n, p), dtype)
  return XorData(x.at[:, :2].add(means), found)
