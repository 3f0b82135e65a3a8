r"""Deep linear networks at infinite width in µP: an exact, growing recursion.

For sample j, in the order in which samples are seen, and layer l, with sums
over training samples m of *earlier* steps, the Tensor Program [1] of a network
of L hidden layers with φ = id is

    h^l_j = F^l_j + Σ_m (s_l R^l-1_jm − η_m E[h^l-1_m h^l-1_j]) D^l_m
    D^l_j = G^l_j + Σ_m (s_l+1 S^l+1_jm − η_m E[D^l+1_m D^l+1_j]) h^l_m

where h^0 = ξ are inputs, D^L+1 = χ = ∂loss/∂f, the output f_j is h^L+1_j
without its F, and s = (σ_1², σ_w², …, σ_w², σ_v²). F^l and G^l are centred
Gaussian families, independent of each other and over layers,

    E[F^l_i F^l_j] = s_l E[h^l-1_i h^l-1_j],
    E[G^l_i G^l_j] = s_l+1 E[D^l+1_i D^l+1_j].

Every variable of layer l is linear in that layer's F and G, so it is stored as
its coefficients; expectations are bilinear forms in them; and responses *are*
coefficients: R^l_jm = ∂h^l_j/∂G^l_m, S^l_jm = ∂D^l_j/∂F^l_m, R^0 = S^L+1 = 0.
Forward and backward are the same rule with the rôles of (h, F) and (D, G)
exchanged.

Rows of samples are appended to arrays of fixed capacity M: memory O(L M²), a
step O(L m M²) for a batch of m. Points that are only predicted are a row that
nothing depends on, so it is not kept. Use float64: sums cancel.

With L = 1 this is the growing form of `linear_limit`.

References:
  [1] Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Int

from framework.checks import check_sizes
from framework.systems.infinite_width.limits.finite import Loss, squared_loss

__all__ = ['State', 'apply', 'init', 'step']

_Rows = Float[Array, 'm M']


class State(NamedTuple):
  """Samples trained on so far; rows from `count` on are zero."""

  x: Float[Array, 'M d']
  chi: Float[Array, 'M k']
  eta: Float[Array, ' M']  # learning rate of the step of each sample
  hF: Float[Array, 'L M M']  # coefficients of h^l_j in F^l
  hG: Float[Array, 'L M M']
  dF: Float[Array, 'L M M']  # of D^l_j
  dG: Float[Array, 'L M M']
  Kh: Float[Array, 'L+1 M M']  # E[h^l h^l], l = 0, …, L
  Kd: Float[Array, 'L+1 M M']  # E[D^l D^l], l = 1, …, L + 1
  s: Float[Array, ' L+1']  # σ_1², σ_w², …, σ_v²
  count: Int[Array, '']


class _New(NamedTuple):
  """Variables of one layer and kind, as rows."""

  own: _Rows  # coefficients in the earlier of its own Gaussians
  other: _Rows  # in those of the other family
  cross: _Rows  # E[new stored]
  within: Float[Array, 'm m']  # E[new new]


def init(
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

  >>> init(3, 20, 2, 1).hF.shape
  (3, 20, 20)
  """
  check_sizes(depth=depth, capacity=capacity, d=d, k=k)
  sigmas = [sigma1, *[sigma_w] * (depth - 1), sigma_v]
  M = capacity

  def square(layers):
    return jnp.zeros((layers, M, M), dtype)

  return State(
    x=jnp.zeros((M, d), dtype),
    chi=jnp.zeros((M, k), dtype),
    eta=jnp.zeros(M, dtype),
    hF=square(depth),
    hG=square(depth),
    dF=square(depth),
    dG=square(depth),
    Kh=square(depth + 1),
    Kd=square(depth + 1),
    s=jnp.stack([jnp.asarray(sigma, dtype) ** 2 for sigma in sigmas]),
    count=jnp.int32(0),
  )


@jax.jit
def apply(state: State, x: Float[Array, 'm d']) -> Float[Array, 'm k']:
  """F(ξ) of the limit.

  Args:
    state: The limit at any time.
    x: Inputs.

  Returns:
    Outputs, zero before training.

  >>> print(apply(init(2, 4, 2, 1), jnp.ones((1, 2))))
  [[0.]]
  """
  return _forward(state, x)[1]


def step(
  state: State,
  x: Float[Array, 'm d'],
  y: Float[Array, 'm k'],
  lr: Float[ArrayLike, ''],
  loss: Loss = squared_loss,
) -> State:
  """One step of gradient descent on a batch.

  Args:
    state: The limit.
    x: Inputs.
    y: What `loss` compares outputs with.
    lr: η; may differ between steps.
    loss: Of the outputs of the batch, its mean over points included.

  Returns:
    The limit after it. Beyond the capacity every output is NaN.

  Raises:
    ValueError: If the batch alone exceeds the capacity.

  >>> x = y = jnp.ones((1, 1))
  >>> state = init(2, 30, 1, 1)
  >>> for _ in range(30):
  ...   state = jax.jit(step)(state, x, y, 0.3)
  >>> print(apply(state, x).round(3))
  [[1.]]
  """
  M, m = state.x.shape[0], x.shape[0]
  if m > M:
    raise ValueError(f'capacity is {M}, expected at least the batch, {m}')
  forward, f = _forward(state, x)
  chi = jax.grad(loss)(f, y)
  backward = _backward(state, chi)
  return _append(state, forward, backward, x, chi, lr)


def _forward(
  state: State, x: Float[Array, 'm d']
) -> tuple[list[_New], Float[Array, 'm k']]:
  """h^0, …, h^L of new samples, and their outputs."""
  s, zero = state.s, jnp.zeros((x.shape[0], state.x.shape[0]), x.dtype)
  h = [_New(zero, zero, x @ state.x.T, x @ x.T)]
  for i in range(state.hF.shape[0]):
    past, stored = (state.dF[i], state.dG[i]), (state.hF[i], state.hG[i])
    grams = s[i] * state.Kh[i], s[i + 1] * state.Kd[i + 1]
    h.append(_new(h[-1], s[i], state.eta, past, stored, grams))
  return h, _weights(h[-1], s[-1], state.eta) @ state.chi


def _backward(state: State, chi: Float[Array, 'm k']) -> list[_New]:
  """D^1, …, D^L+1 of new samples."""
  s, zero = state.s, jnp.zeros((chi.shape[0], state.x.shape[0]), chi.dtype)
  D = [_New(zero, zero, chi @ state.chi.T, chi @ chi.T)]
  for i in reversed(range(state.hF.shape[0])):
    past, stored = (state.hG[i], state.hF[i]), (state.dG[i], state.dF[i])
    grams = s[i + 1] * state.Kd[i + 1], s[i] * state.Kh[i]
    D.insert(0, _new(D[0], s[i + 1], state.eta, past, stored, grams))
  return D


def _weights(before: _New, s: Float[Array, ''], eta: Float[Array, ' M']):
  """Coefficients of earlier samples in the next layer."""
  return s * before.other - eta[None] * before.cross


def _new(before: _New, s, eta, past, stored, grams) -> _New:
  """Variables of the next layer of either direction.

      z = O + Σ_m c_m p_m,   O the new Gaussians, of its own family

  Args:
    before: The same samples in the layer before.
    s: Variance of the weights between.
    eta: Learning rates.
    past: Coefficients of p, what stored samples contribute, in the Gaussians of
      the own and of the other family.
    stored: The same of the stored variables of the kind of z.
    grams: Gram matrices of the stored Gaussians, own and other.

  Returns:
    z.
  """
  c = _weights(before, s, eta)
  own, other = (c @ part for part in past)
  fresh = s * before.cross  # E[O O_stored]
  own_gram, other_gram = own @ grams[0], other @ grams[1]
  cross = (fresh + own_gram) @ stored[0].T + other_gram @ stored[1].T
  mixed = fresh @ own.T
  within = s * before.within + mixed + mixed.T
  within = within + own_gram @ own.T + other_gram @ other.T
  return _New(own, other, cross, within)


def _append(state: State, h, D, x, chi, lr) -> State:
  """The state with a batch."""
  (m, M), at = h[0].own.shape, state.count

  def rows(stored, new):
    return jax.lax.dynamic_update_slice_in_dim(stored, new, at, -2)

  def stack(new, name):
    return jnp.stack([getattr(one, name) for one in new])

  unit = jax.lax.dynamic_update_slice_in_dim(
    jnp.zeros((m, M), x.dtype), jnp.eye(m, dtype=x.dtype), at, -1
  )[None]

  def gram(stored, new):
    full = jax.lax.dynamic_update_slice_in_dim(
      stack(new, 'cross'), stack(new, 'within'), at, -1
    )
    return jax.lax.dynamic_update_slice_in_dim(
      rows(stored, full), jnp.swapaxes(full, -1, -2), at, -1
    )

  rate = jnp.where(at + m <= M, jnp.asarray(lr, x.dtype), jnp.nan)
  return state._replace(
    x=rows(state.x, x),
    chi=rows(state.chi, chi),
    eta=jax.lax.dynamic_update_slice(state.eta, jnp.full(m, rate), (at,)),
    hF=rows(state.hF, stack(h[1:], 'own') + unit),
    hG=rows(state.hG, stack(h[1:], 'other')),
    dF=rows(state.dF, stack(D[:-1], 'other')),
    dG=rows(state.dG, stack(D[:-1], 'own') + unit),
    Kh=gram(state.Kh, h),
    Kd=gram(state.Kd, D),
    count=at + m,
  )
