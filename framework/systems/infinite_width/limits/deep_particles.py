r"""Deep networks of any activation at infinite width in µP, by particles.

For sample j, in the order in which samples are seen, and layers l = 1, …, L,
with sums over training samples m of *earlier* steps [1]:

    h^1_j = U·ξ_j − Σ_m η_m (ξ_m·ξ_j) D^1_m
    h^l_j = F^l_j + Σ_m (σ_w² R^l-1_jm − η_m E[x^l-1_m x^l-1_j]) D^l_m
    f_j = E[V_t x^L_j],   V_t = V − Σ_m η_m x^L_m χ_m
    D^L_j = (V_t·χ_j) φ'(h^L_j)
    D^l-1_j = φ'(h^l-1_j) (G^l_j + Σ_i σ_w² S^l_ji x^l-1_i
                                 − Σ_m η_m E[D^l_m D^l_j] x^l-1_m)

x^l = φ(h^l), i over all samples so far, j's own batch included. F^l and G^l
(the images of x^l-1 and of D^l under the initial W^l and its transpose) are
centred Gaussian families with covariance σ_w² E[x^l-1 x^l-1] and
σ_w² E[D^l D^l], all independent. Here every variable is a column of N particles
and every expectation their mean: error N^-½, next to that a bias of order 1/N.

Responses R^l-1_jm = E[∂x^l-1_j/∂G^l_m], S^l_ji = E[∂D^l_j/∂F^l_i] come from
Stein's lemma, not from derivatives: with F = C w, C the Cholesky factor of the
covariance and w standard normal, E[Z w] = Cᵀ E[∂Z/∂F]. Rows of C are appended
batch by batch; one whose residual variance is below 1e-10 (a sample seen
before) is given no Gaussian of its own.

Columns are appended to arrays of fixed capacity M: memory O(L N M), a step
O(L N m M) for a batch of m. Points that are only predicted take a row of C and
fresh normals, and are not kept. The exact integral is out of reach [1].

References:
  [1] Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Int, Key

from framework.checks import check_sizes
from framework.maths import draws, linalg
from framework.systems.infinite_width.limits.finite import Loss, squared_loss

__all__ = ['Estimate', 'State', 'apply', 'estimate', 'init', 'step']

_FLOOR = 1e-10  # residual variance below which a sample brings nothing new
_Columns = Float[Array, 'N m']
_Phi = Callable[[Array], Array]


class Gaussians(NamedTuple):
  """The family of each of W^2, …, W^L or of their transposes."""

  w: Float[Array, 'L-1 N M']  # standard normals
  C: Float[Array, 'L-1 M M']  # lower; the family is w Cᵀ


class State(NamedTuple):
  """Samples trained on so far; columns from `count` on are zero."""

  U: Float[Array, 'N d']
  V: Float[Array, 'N k']
  x: Float[Array, 'M d']
  chi: Float[Array, 'M k']
  eta: Float[Array, ' M']
  features: Float[Array, 'L N M']  # x^l
  D: Float[Array, 'L N M']
  F: Gaussians
  G: Gaussians
  var_w: Float[Array, '']  # σ_w²
  count: Int[Array, '']


class Estimate(NamedTuple):
  """A mean over independent batches of particles."""

  mean: Float[Array, '...']
  stderr: Float[Array, '...']


class _Fresh(NamedTuple):
  """Gaussians of new samples."""

  w: _Columns
  C: Float[Array, 'm M']  # against the normals of earlier samples
  corner: Float[Array, 'm m']  # against their own
  cross: Float[Array, 'm M']  # E[new stored] of what was multiplied


def init(
  key: Key[Array, ''],
  particles: int,
  depth: int,
  capacity: int,
  d: int,
  k: int,
  sigma1: Float[ArrayLike, ''] = 1.0,
  sigma_w: Float[ArrayLike, ''] = 1.0,
  sigma_v: Float[ArrayLike, ''] = 1.0,
  dtype: DTypeLike = jnp.float64,
) -> State:
  """The limit before training.

  Args:
    key: Of U and V.
    particles: N.
    depth: L, hidden layers.
    capacity: M, samples that will be trained on, steps x batch.
    d: Inputs.
    k: Outputs.
    sigma1: σ_1, of the first layer.
    sigma_w: σ_w, between hidden layers.
    sigma_v: σ_v, of the readout.
    dtype: Of all entries.

  Returns:
    A `State` without samples.

  Raises:
    ValueError: If a size is below 1.

  >>> init(jax.random.key(0), 100, 3, 20, 2, 1).F.w.shape
  (2, 100, 20)
  """
  check_sizes(particles=particles, depth=depth, capacity=capacity, d=d, k=k)
  N, M, between = particles, capacity, depth - 1
  key_u, key_v = jax.random.split(key)

  def zeros(*shape):
    return jnp.zeros(shape, dtype)

  def none():  # not one for both: a state is donated
    return Gaussians(zeros(between, N, M), zeros(between, M, M))

  return State(
    U=jnp.asarray(sigma1, dtype) * draws.normal(key_u, (N, d), dtype),
    V=jnp.asarray(sigma_v, dtype) * draws.normal(key_v, (N, k), dtype),
    x=zeros(M, d),
    chi=zeros(M, k),
    eta=zeros(M),
    features=zeros(depth, N, M),
    D=zeros(depth, N, M),
    F=none(),
    G=none(),
    var_w=jnp.asarray(sigma_w, dtype) ** 2,
    count=jnp.int32(0),
  )


def apply(
  key: Key[Array, ''], state: State, x: Float[Array, 'm d'], phi: _Phi
) -> Float[Array, 'm k']:
  """F(ξ) of the limit, up to O(N^-½).

  Args:
    key: Of the Gaussians of these points.
    state: The limit at any time.
    x: Inputs.
    phi: φ, elementwise.

  Returns:
    Outputs.

  >>> state = init(jax.random.key(0), 10_000, 2, 4, 2, 1)
  >>> outputs = jax.jit(apply, static_argnums=3)
  >>> f = outputs(jax.random.key(1), state, jnp.ones((3, 2)), jnp.tanh)
  >>> f.shape, bool(jnp.max(jnp.abs(f)) < 0.05)
  ((3, 1), True)
  """
  return _forward(key, state, x, phi)[0]


def step(
  key: Key[Array, ''],
  state: State,
  x: Float[Array, 'm d'],
  y: Float[Array, 'm k'],
  lr: Float[ArrayLike, ''],
  phi: _Phi,
  loss: Loss = squared_loss,
) -> State:
  """One step of gradient descent on a batch.

  Args:
    key: Of the Gaussians of these samples.
    state: The limit.
    x: Inputs.
    y: What `loss` compares outputs with.
    lr: η; may differ between steps.
    phi: φ, elementwise and differentiable almost everywhere.
    loss: Of the outputs of the batch, its mean over points included.

  Returns:
    The limit after it. Beyond the capacity every output is NaN.

  Raises:
    ValueError: If the batch alone exceeds the capacity.

  >>> x = y = jnp.ones((1, 1))
  >>> key = jax.random.key(0)
  >>> state, go = init(key, 5000, 2, 8, 1, 1), jax.jit(step, static_argnums=5)
  >>> for t in range(8):
  ...   state = go(jax.random.fold_in(key, t), state, x, y, 0.5, jnp.tanh)
  >>> outputs = jax.jit(apply, static_argnums=3)
  >>> print(outputs(key, state, x, jnp.tanh).round(1))
  [[1.]]
  """
  M, m = state.x.shape[0], x.shape[0]
  if m > M:
    raise ValueError(f'capacity is {M}, expected at least the batch, {m}')
  key_up, key_down = jax.random.split(key)
  f, features, pulls, F = _forward(key_up, state, x, phi)
  chi = jax.grad(loss)(f, y)
  at = state.count
  # Own samples count among those that respond.
  state = state._replace(
    features=_columns(state.features, features, at),
    F=_append(state.F, F, at),
    count=at + m,
  )
  (D,) = pulls[-1](_readout(state) @ chi.T)
  Ds, G = [D], []
  for i in reversed(range(len(features) - 1)):
    fresh = _gaussians(
      jax.random.fold_in(key_down, i),
      D,
      state.D[i + 1],
      state.G.C[i],
      state.var_w,
    )
    S = _responses(D, state.F.w[i], state.F.C[i])
    c = state.var_w * S - state.eta[None] * fresh.cross
    G.insert(0, fresh)
    (D,) = pulls[i](_values(fresh, state.G.w[i]) + state.features[i] @ c.T)
    Ds.insert(0, D)
  rate = jnp.where(at + m <= M, jnp.asarray(lr, x.dtype), jnp.nan)
  return state._replace(
    x=jax.lax.dynamic_update_slice_in_dim(state.x, x, at, 0),
    chi=jax.lax.dynamic_update_slice_in_dim(state.chi, chi, at, 0),
    eta=jax.lax.dynamic_update_slice(state.eta, jnp.full(m, rate), (at,)),
    D=_columns(state.D, Ds, at),
    G=_append(state.G, G, at),
  )


def estimate(batches: Float[Array, 'batches ...']) -> Estimate:
  """Mean and standard error of independent batches of particles.

  Args:
    batches: The same quantity from as many keys, by `vmap` or `lax.map`; two
      or more.

  Returns:
    An `Estimate`.

  >>> print(*estimate(jnp.array([1.0, 2.0, 3.0])))
  2.0 0.57735...
  """
  n = batches.shape[0]
  spread = jnp.std(batches, 0, ddof=1)
  return Estimate(jnp.mean(batches, 0), spread / jnp.sqrt(1.0 * n))


def _forward(key, state: State, x: Float[Array, 'm d'], phi: _Phi):
  """Outputs; x^l and the pull-back of φ of each layer; new F of each matrix."""
  h = state.U @ x.T - state.D[0] @ (state.eta[:, None] * (state.x @ x.T))
  features, pulls, F = [], [], []
  for i in range(state.features.shape[0]):
    if i:
      new = features[-1]
      fresh = _gaussians(
        jax.random.fold_in(key, i),
        new,
        state.features[i - 1],
        state.F.C[i - 1],
        state.var_w,
      )
      R = _responses(new, state.G.w[i - 1], state.G.C[i - 1])
      c = state.var_w * R - state.eta[None] * fresh.cross
      h = _values(fresh, state.F.w[i - 1]) + state.D[i] @ c.T
      F.append(fresh)
    value, pull = jax.vjp(phi, h)
    features.append(value)
    pulls.append(pull)
  f = features[-1].T @ _readout(state) / h.shape[0]
  return f, features, pulls, F


def _readout(state: State) -> Float[Array, 'N k']:
  """V_t."""
  return state.V - state.features[-1] @ (state.eta[:, None] * state.chi)


def _gaussians(key, new: _Columns, stored, C, var_w) -> _Fresh:
  """The image of new columns under an initial matrix, given those before.

  Args:
    key: Of their normals.
    new: What is multiplied.
    stored: What was, (N, M).
    C: Cholesky factor of the family so far.
    var_w: σ_w².

  Returns:
    Its rows of C and normals.
  """
  N, m = new.shape
  cross, within = new.T @ stored / N, new.T @ new / N
  rows = _solve(C, var_w * cross.T).T
  corner = _cholesky(var_w * within, var_w * within - rows @ rows.T)
  fresh = draws.normal(key, (N, m), new.dtype)
  return _Fresh(fresh, rows, corner, cross)


def _values(fresh: _Fresh, w: Float[Array, 'N M']) -> _Columns:
  """The Gaussians themselves."""
  return w @ fresh.C.T + fresh.w @ fresh.corner.T


def _responses(new: _Columns, w, C) -> Float[Array, 'm M']:
  """E[∂new/∂(w Cᵀ)], by Stein's lemma."""
  return _solve(C, w.T @ new / new.shape[0], transposed=True).T


def _solve(C, B: Float[Array, 'M m'], transposed: bool = False):
  """C X = B or Cᵀ X = B, zero at pivots that are: nothing depends on them."""
  there = jnp.diagonal(C) > 0
  B = jnp.where(there[:, None], B, 0) if transposed else B
  L = C + jnp.diag((~there).astype(C.dtype))
  X = linalg.solve_lower(L, B, transposed)
  return jnp.where(there[:, None], X, 0)


def _cholesky(whole: Float[Array, 'm m'], K: Float[Array, 'm m']):
  """Lower factor of a residual covariance K, a column zero where nothing is.

  Args:
    whole: The covariance that K is left of; what counts as nothing is relative
      to it.
    K: The residual.

  Returns:
    C with C Cᵀ = K up to the floor.
  """
  m = K.shape[0]
  eps = 100 * jnp.finfo(K.dtype).eps
  floor = jnp.maximum(jnp.asarray(_FLOOR, K.dtype), eps * jnp.diagonal(whole))
  below = jnp.arange(m)

  def column(i, C):
    left = K[:, i] - C @ C[i]
    pivot = left[i]
    there = pivot > floor[i]
    scaled = left / jnp.sqrt(jnp.where(there, pivot, 1))
    return C.at[:, i].set(jnp.where(there & (below >= i), scaled, 0))

  return jax.lax.fori_loop(0, m, column, jnp.zeros_like(K))


def _columns(stored: Float[Array, 'L N M'], new: list, at) -> Array:
  """With the columns of a batch."""
  return jax.lax.dynamic_update_slice_in_dim(stored, jnp.stack(new), at, -1)


def _append(family: Gaussians, new: list[_Fresh], at) -> Gaussians:
  """The families with the Gaussians of a batch."""
  if not new:
    return family
  one = _Fresh(*(jnp.stack(part) for part in zip(*new, strict=True)))

  full = jax.lax.dynamic_update_slice_in_dim(one.C, one.corner, at, -1)
  return Gaussians(
    w=jax.lax.dynamic_update_slice_in_dim(family.w, one.w, at, -1),
    C=jax.lax.dynamic_update_slice_in_dim(family.C, full, at, -2),
  )
