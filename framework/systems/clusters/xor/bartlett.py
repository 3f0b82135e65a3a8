"""XOR cluster runs of any dimension p, drawn without an array of length p.

A run depends on the training points through their Gram matrix alone. Their p −
2 coordinates off the signal plane are Gaussian, and that part of the Gram
matrix is Wishart, W = LLᵀ with the Bartlett factor L,

    L_ik ~ N(0, 1) for k < i,   L_ii ~ χ(p − 2 − i),   i = 0 ... n − 1.

So in an orthonormal basis of the span a training point is [two signal
coordinates, row of L] in R^(n+2), and W(0) is Gaussian there. A test point has
n standard normal coordinates in that basis and a part off the span of norm
χ(p − 2 − n), which adds an independent N(0, ω² norm²) to each neuron's
pre-activation at t = 0 and never changes.

Each test point has exactly its law given the training run, so expected errors
are exact; of the joint law of several test points only the inner products of
their off-span parts, of relative size p^-½, are dropped.

References:
  [1] Bartlett, "On the theory of statistical regression", 1933.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Key

from framework.maths import draws
from framework.systems.clusters.xor import data as xor_data
from framework.systems.clusters.xor import net as xor_net
from framework.systems.clusters.xor.gram import Gram, OffSpan, gram_of

__all__ = ['bartlett_factor', 'bartlett_problem', 'chi']


def chi(
  key: Key[Array, ''],
  df: Float[Array, '*n'],
) -> Float[Array, '*n']:
  """Draws χ variables of real-valued degrees of freedom.

      χ = √(2Γ),   Γ ~ Gamma(df/2)

  In float32 the relative spacing 1e-7 of numbers comes near the relative width
  (2 df)^-½ of χ once df exceeds about 1e7: then take float64.

  Args:
    key: Key of the draw.
    df: Degrees of freedom, > 0.

  Returns:
    An array of the shape and type of df.

  >>> import jax
  >>> x = chi(jax.random.key(0), jnp.full(20000, 50.0))
  >>> abs(float(jnp.mean(x**2)) - 50) < 0.3
  True
  """
  return jnp.sqrt(2 * jax.random.gamma(key, df / 2, df.shape, df.dtype))


def bartlett_factor(
  key: Key[Array, ''],
  n: int,
  df: Float[ArrayLike, ''],
  dtype: DTypeLike = jnp.float32,
) -> Float[Array, 'n n']:
  """Draws L, lower triangular, with LLᵀ Wishart of `df` degrees of freedom.

  Args:
    key: Key of the draw.
    n: Rows.
    df: Degrees of freedom, a real number > n − 1.
    dtype: Type of the result.

  Returns:
    L.

  >>> import jax
  >>> L = bartlett_factor(jax.random.key(0), 3, 1e4)
  >>> bool(jnp.all(jnp.abs(jnp.diag(L) - 100) < 5)), float(L[0, 2])
  (True, 0.0)
  """
  key_below, key_diagonal = jax.random.split(key)
  left = jnp.asarray(df, dtype) - jnp.arange(n, dtype=dtype)
  return _factor(key_below, chi(key_diagonal, left))


def _factor(
  key: Key[Array, ''], diagonal: Float[Array, ' n']
) -> Float[Array, 'n n']:
  n, dtype = len(diagonal), diagonal.dtype
  below = jnp.tril(jax.random.normal(key, (n, n), dtype), -1)
  return below + jnp.diag(diagonal)


def bartlett_problem(
  key: Key[Array, ''],
  n: int,
  n_test: int,
  m: int,
  p: Float[ArrayLike, ''],
  mu_norm: Float[ArrayLike, ''],
  eta: Float[ArrayLike, ''],
  omega: Float[ArrayLike, ''],
  stratified: Float[ArrayLike, ''] = 0.0,
  dtype: DTypeLike = jnp.float32,
) -> Gram:
  """Draws a run's Gram form for any p, which is a number and no array size.

  Args:
    key: Key of the draw.
    n: Training points.
    n_test: Test points, with clean labels.
    m: Neurons.
    p: Dimension, a real number >= n + 3.
    mu_norm: ‖μ‖.
    eta: Probability η of a flipped training label.
    omega: Standard deviation ω of W(0).
    stratified: 1 deals out n/4 points a cluster, as in `data.labels`.
    dtype: Type of all numbers; float64 beyond p of about 1e7.

  Returns:
    A `Gram`.

  >>> import jax
  >>> draw = jax.jit(bartlett_problem, static_argnums=(1, 2, 3))
  >>> found = draw(jax.random.key(0), 8, 4, 6, 1e6, 9.0, 0.05, 1.0)
  >>> found.K.shape, bool(jnp.all(jnp.abs(jnp.diag(found.K) / 1e6 - 1) < 0.02))
  ((8, 8), True)
  """
  keys = jax.random.split(key, 8)
  p = jnp.asarray(p, dtype)
  omega = jnp.asarray(omega, dtype)
  found = xor_data.labels(keys[0], n, eta, stratified, dtype)
  clean = xor_data.labels(keys[1], n_test, 0.0, 0.0, dtype)

  def signal(key, which):
    means = xor_data.cluster_means(which.cluster, mu_norm, dtype)
    return means + draws.normal(key, means.shape, dtype)

  key_train, key_test = jax.random.split(keys[2])
  key_below, key_chi = jax.random.split(keys[3])
  # All χ in one draw: each draw is a second of compilation.
  off_df = jnp.broadcast_to(p - 2 - n, (n_test + m,))
  drawn = chi(
    key_chi, jnp.concatenate([p - 2 - jnp.arange(n, dtype=dtype), off_df])
  )
  diagonal, norms, lengths = jnp.split(drawn, [n, n + n_test])
  L = _factor(key_below, diagonal)
  train = jnp.concatenate([signal(key_train, found), L], 1)
  inside = jax.random.normal(keys[4], (n_test, n), dtype)
  test = jnp.concatenate([signal(key_test, clean), inside], 1)
  W0 = xor_net.first_layer(keys[5], n + 2, m, omega, dtype)
  off = jax.random.normal(keys[7], (n_test, m), dtype)
  off_span = OffSpan(
    T0=omega * norms[:, None] * off,
    N0=(omega * lengths) ** 2,
  )
  return gram_of(
    xor_data.XorData(train, found),
    xor_data.XorData(test, clean),
    W0,
    xor_net.second_layer(keys[6], m, dtype),
    off_span,
  )
