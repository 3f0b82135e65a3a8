"""Random features whose weights are bounded: a floor that no width lowers.

Features φ_j(x) = σ(a_j x − b_j) with a, b ~ U[−λ, λ] on a grid of x in [−1, 1],
by default the bump σ(u) = exp(−u²/2), are fitted to sin(2πfx):

    min_w (1/P) ‖Φw/√N − y‖² + δ ‖w‖²,

P points, N features. As N → ∞ the error tends to that of the kernel
K = E σ(ax−b) σ(ax'−b), its *floor*: large where λ is below the target's band.
A box that is too wide costs width.

*Deviation*: on a bounded interval these features are dense whatever λ is, so
that the floor is that of (features, ridge): the ridge is part of the claim.

References:
  Li, Chen, et al., "How Powerful are Shallow Neural Networks with Bandlimited
  Random Weights?", 2023.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, Key

from framework.checks import check_sizes
from framework.maths import draws, linalg
from framework.system import System

__all__ = [
  'ATTRIBUTES',
  'Hp',
  'Structure',
  'bandlimited',
  'bump',
  'floor',
  'random_features',
  'relative_error',
]

ATTRIBUTES = {
  'error': {'long_name': 'relative root mean square error', 'units': '1'}
}
_NODES = 256  # of the quadrature over a


def bump(u: Array) -> Array:
  """The Gaussian bump exp(−u²/2)."""
  return jnp.exp(-(u**2) / 2)


def random_features(
  key: Key[Array, ''],
  x: Float[Array, ' points'],
  bandwidth: Float[ArrayLike, ''],
  count: int,
  activation: Callable[[Array], Array] = bump,
) -> Float[Array, 'points count']:
  """Features with weights and biases uniform in a box.

  Args:
    key: Of the draw.
    x: Inputs.
    bandwidth: λ, half the side of the box.
    count: Features N.
    activation: σ.

  Returns:
    σ(a_j x − b_j), not scaled.
  """
  w = draws.uniform(key, (2, count), x.dtype, -1.0, 1.0)
  a, b = w * jnp.asarray(bandwidth, x.dtype)
  return activation(x[:, None] * a[None] - b[None])


def relative_error(
  kernel: Float[Array, 'points points'],
  y: Float[Array, ' points'],
  ridge: Float[ArrayLike, ''],
) -> Float[Array, '']:
  """The error of the ridge regression on its own points.

      ‖δP (K + δP I)⁻¹ y‖ / ‖y‖

  Args:
    kernel: K = ΦΦᵀ/N.
    y: Target.
    ridge: δ, of the mean of squares.

  Returns:
    Relative root mean square error.
  """
  scaled = jnp.asarray(ridge, y.dtype) * y.size
  eye = jnp.eye(y.size, dtype=y.dtype)
  rest = linalg.solve_spd(kernel + scaled * eye, y[:, None])[:, 0]
  return scaled * jnp.linalg.norm(rest) / jnp.linalg.norm(y)


def floor(
  x: Float[Array, ' points'],
  y: Float[Array, ' points'],
  bandwidth: Float[ArrayLike, ''],
  ridge: Float[ArrayLike, ''],
) -> Float[Array, '']:
  """The error of infinitely many bumps: their kernel by quadrature.

      K = E_a E_b e^(−(ax−b)²/2 − (ax'−b)²/2),  over b in closed form

  Args:
    x: Inputs.
    y: Target.
    bandwidth: λ.
    ridge: δ.

  Returns:
    Relative root mean square error.
  """
  nodes, weights = np.polynomial.legendre.leggauss(_NODES)
  lam = jnp.asarray(bandwidth, x.dtype)

  def add(i, total):
    a = lam * jnp.asarray(nodes, x.dtype)[i]
    u = a * x
    middle = (u[:, None] + u[None]) / 2
    apart = u[:, None] - u[None]
    box = jax.scipy.special.erf(lam - middle) + jax.scipy.special.erf(
      lam + middle
    )
    over_b = jnp.exp(-(apart**2) / 4) * np.pi**0.5 / 2 * box / (2 * lam)
    return total + jnp.asarray(weights, x.dtype)[i] / 2 * over_b

  zero = jnp.zeros((x.size, x.size), x.dtype)
  return relative_error(jax.lax.fori_loop(0, _NODES, add, zero), y, ridge)


class Hp(NamedTuple):
  """Hyperparameters: traced, every one can be a lane."""

  bandwidth: Float[ArrayLike, ''] = 5.0  # λ
  frequency: Float[ArrayLike, ''] = 1.0  # f of the target sin(2πfx)
  ridge: Float[ArrayLike, ''] = 1e-6  # δ


@dataclasses.dataclass(frozen=True)
class Structure:
  """The static part: the grid, and the features of a step.

  Raises:
    ValueError: If a size is no positive integer.
  """

  points: int = 400
  batch: int = 50  # features that a step adds
  activation: Callable[[Array], Array] = bump
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    check_sizes(points=self.points, batch=self.batch)


class State(NamedTuple):
  """The kernel of the features so far, and how many there are."""

  kernel: Float[Array, 'points points']  # ΦΦᵀ
  count: Int[Array, '']


def bandlimited(structure: Structure) -> System:
  """A layer of random features that grows: each step adds some.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`; time t is the width N = t·batch, and the `error` that
    of the regression at that width.

  >>> from framework import rollout
  >>> wider = bandlimited(Structure(points=40, batch=20, dtype=jnp.float32))
  >>> hp = jax.tree.map(jnp.float32, Hp(ridge=1e-3))
  >>> seen = rollout(wider, jax.random.key(0), hp, jnp.array([0, 10]))[1]
  >>> bool(seen['error'][1] < seen['error'][0])
  True
  """
  s, dtype = structure, jnp.dtype(structure.dtype)
  x = jnp.linspace(-1, 1, s.points, dtype=dtype)

  def sample(key, hp):
    del key
    return jnp.sin(2 * np.pi * jnp.asarray(hp.frequency, dtype) * x)

  def init(key, problem, hp):
    del key, problem, hp
    return State(
      jnp.zeros((s.points, s.points), dtype), jnp.zeros((), jnp.int32)
    )

  def step(key, state, problem, hp):
    del problem
    phi = random_features(key, x, hp.bandwidth, s.batch, s.activation)
    return State(state.kernel + phi @ phi.T, state.count + s.batch)

  def observe(state, problem, hp):
    scaled = state.kernel / jnp.maximum(state.count, 1).astype(dtype)
    return {'error': relative_error(scaled, problem, hp.ridge)}

  return System(sample, init, step, observe)
