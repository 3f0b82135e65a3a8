r"""One hidden layer of any activation at infinite width: particles.

In µP the coordinates of the hidden layer are independent and alike, each a pair
(U ∈ R^d, V ∈ R^k) of its incoming and n times its outgoing weights [1]:

    h = U·ξ,  x = φ(h),  f = E[V x],  D = (V·χ) φ'(h),   χ = ∂loss/∂f,
    V ← V − η Σ_i χ_i x_i,   U ← U − η Σ_i D_i ξ_i,

from U ~ N(0, σ_1² I), V ~ N(0, σ_v² I), independent. A pair moves by itself but
for f, an expectation over where pairs began, N(0, I) in R^(d + k):

    quadrature  a tensor grid of Gauss-Hermite nodes, for d + k <= 3: converges
                geometrically where φ is analytic, as a power where it has a
                kink (relu)
    particles   n draws: exactly the network of width n, error n^-½

Both are the same State under `apply` and `step`.

References:
  [1] Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Key

from framework.checks import check_sizes
from framework.maths import draws
from framework.systems.infinite_width.limits.finite import Loss, squared_loss

__all__ = ['State', 'apply', 'grid', 'particles', 'quadrature', 'step']

_LARGEST = 3  # d + k of a grid


class State(NamedTuple):
  """Particles; which of them there are is fixed, where they are moves."""

  U: Float[Array, 'N d']
  V: Float[Array, 'N k']
  weight: Float[Array, ' N']  # of each in an expectation, sum 1


def grid(
  dim: int, nodes: int, least: float = 1e-18
) -> tuple[Float[np.ndarray, 'N dim'], Float[np.ndarray, ' N']]:
  """A tensor grid of Gauss-Hermite nodes for N(0, I).

  Args:
    dim: Dimension, 1 to 3.
    nodes: Nodes an axis.
    least: Weights below it are left out, four of five of a fine grid in the
      plane: together they are below rounding, unless the integrand is 100 or
      more nine standard deviations out.

  Returns:
    (nodes, weights).

  Raises:
    ValueError: If the dimension or the number of nodes cannot be had.

  >>> z, w = grid(1, 3)
  >>> print(z.round(3).ravel(), w.round(3), round(float(w @ z[:, 0] ** 4), 6))
  [-1.732  0.     1.732] [0.167 0.667 0.167] 3.0
  """
  if not 1 <= dim <= _LARGEST:
    raise ValueError(
      f'd + k is {dim}, expected at most {_LARGEST} for a grid; take particles'
    )
  if not 1 <= nodes <= 250:
    raise ValueError(f'nodes is {nodes}, expected 1 to 250')
  z, w = np.polynomial.hermite_e.hermegauss(nodes)
  w = w / w.sum()
  where = np.stack(np.meshgrid(*[z] * dim, indexing='ij'), -1)
  weight = np.prod(np.stack(np.meshgrid(*[w] * dim, indexing='ij'), -1), -1)
  kept = weight >= least
  return where[kept], weight[kept]


def quadrature(
  d: int,
  k: int,
  nodes: int = 120,
  sigma1: Float[ArrayLike, ''] = 1.0,
  sigma_v: Float[ArrayLike, ''] = 1.0,
  dtype: DTypeLike = jnp.float64,
) -> State:
  """The start on a grid: no randomness.

  Args:
    d: Inputs.
    k: Outputs; d + k <= 3.
    nodes: Nodes an axis.
    sigma1: σ_1.
    sigma_v: σ_v.
    dtype: Of all entries.

  Returns:
    A `State`.

  Raises:
    ValueError: If d + k exceeds 3, or a size is below 1.

  >>> quadrature(3, 1)
  Traceback (most recent call last):
  ValueError: d + k is 4, expected at most 3 for a grid; take particles
  """
  check_sizes(d=d, k=k)
  where, weight = grid(d + k, nodes)
  z = jnp.asarray(where, dtype)
  return _start(z, jnp.asarray(weight, dtype), d, sigma1, sigma_v)


def particles(
  key: Key[Array, ''],
  d: int,
  k: int,
  n: int,
  sigma1: Float[ArrayLike, ''] = 1.0,
  sigma_v: Float[ArrayLike, ''] = 1.0,
  dtype: DTypeLike = jnp.float64,
) -> State:
  """The start of n draws: a network of width n in µP.

  Args:
    key: Of the draws.
    d: Inputs.
    k: Outputs.
    n: Particles.
    sigma1: σ_1.
    sigma_v: σ_v.
    dtype: Of all entries.

  Returns:
    A `State`.

  Raises:
    ValueError: If a size is below 1.

  >>> particles(jax.random.key(0), 4, 2, 100).U.shape
  (100, 4)
  """
  check_sizes(d=d, k=k, n=n)
  z = draws.normal(key, (n, d + k), dtype)
  return _start(z, jnp.full(n, 1 / n, dtype), d, sigma1, sigma_v)


def apply(
  state: State, x: Float[Array, 'm d'], phi: Callable[[Array], Array]
) -> Float[Array, 'm k']:
  """F(ξ) = E[V φ(U·ξ)].

  Args:
    state: The particles.
    x: Inputs.
    phi: φ, elementwise.

  Returns:
    Outputs, zero at the start of the limit.

  >>> f = apply(quadrature(1, 1), jnp.ones((1, 1)), jnp.tanh)
  >>> f.shape, bool(abs(f[0, 0]) < 1e-15)
  ((1, 1), True)
  """
  weighted = state.weight[:, None] * state.V
  return phi(x @ state.U.T) @ weighted


def step(
  state: State,
  x: Float[Array, 'm d'],
  y: Float[Array, 'm k'],
  lr: Float[ArrayLike, ''],
  phi: Callable[[Array], Array],
  loss: Loss = squared_loss,
) -> State:
  """One step of gradient descent on a batch.

  Args:
    state: The particles.
    x: Inputs.
    y: What `loss` compares outputs with.
    lr: η.
    phi: φ, elementwise and differentiable almost everywhere.
    loss: Of the outputs of the batch, its mean over points included.

  Returns:
    The particles after it.

  >>> x, y = jnp.ones((1, 1)), jnp.ones((1, 1))
  >>> state = quadrature(1, 1, nodes=40)
  >>> for _ in range(20):
  ...   state = step(state, x, y, 0.5, jnp.tanh)
  >>> print(apply(state, x, jnp.tanh).round(2))
  [[1.]]
  """
  h = state.U @ x.T
  features, pull = jax.vjp(phi, h)
  f = features.T @ (state.weight[:, None] * state.V)
  chi = jax.grad(loss)(f, y)
  (D,) = pull(state.V @ chi.T)
  return state._replace(U=state.U - lr * D @ x, V=state.V - lr * features @ chi)


def _start(z, weight, d: int, sigma1, sigma_v) -> State:
  return State(
    jnp.asarray(sigma1, z.dtype) * z[:, :d],
    jnp.asarray(sigma_v, z.dtype) * z[:, d:],
    weight,
  )
