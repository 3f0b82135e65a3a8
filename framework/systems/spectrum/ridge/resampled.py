"""Kernel ridge regression on random parts of a data set, over and over.

Each step takes n of P points at random, fits them with (K + δI)⁻¹, and tests on
the others; means of the risks are what the exact risk predicts from the
eigenvalues of K/P and the power of the labels along its eigenvectors,

    λ_i = eig_i(K)/P,    v_i² = Σ_c (u_iᵀ y_c)²/P,

summed over outputs c. The prediction knows nothing of Gaussian inputs.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, Key

from framework.checks import check_sizes
from framework.maths import linalg
from framework.system import System
from framework.systems.spectrum.ridge.averaged import averaged
from framework.systems.spectrum.spectra import Spectrum

__all__ = ['Data', 'PartHp', 'PartStructure', 'resampled', 'spectrum_of_data']


class Data(NamedTuple):
  """A kernel on the points of a data set, and their labels."""

  kernel: Float[Array, 'points points']
  y: Float[Array, 'points outputs']


class PartHp(NamedTuple):
  """Hyperparameters: traced, every one can be a lane."""

  n: Int[ArrayLike, ''] = 64  # samples
  ridge: Float[ArrayLike, ''] = 0.1  # δ


@dataclasses.dataclass(frozen=True)
class PartStructure:
  """The static part: the largest n.

  Raises:
    ValueError: If it is no positive integer.
  """

  n_max: int = 64
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    check_sizes(n_max=self.n_max)


def spectrum_of_data(data: Data) -> Spectrum:
  """Eigenvalues and power of the labels, of a kernel on a data set.

  Args:
    data: K and y.

  Returns:
    A `Spectrum`, with rounding below zero cut off.

  >>> s = spectrum_of_data(Data(jnp.diag(jnp.array([2.0, 4.0])), jnp.eye(2)))
  >>> print(s.lam, s.v2)
  [2. 1.] [0.5 0.5]
  """
  values, vectors = linalg.eigh(data.kernel)
  power = jnp.sum((vectors.T @ data.y) ** 2, axis=1) / len(data.y)
  return Spectrum(jnp.maximum(values[::-1], 0) / len(data.y), power[::-1])


def resampled(structure: PartStructure) -> System:
  """Regressions on random parts, one a step; its data are `Data`.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `PartHp`.

  >>> from framework import rollout
  >>> parts = resampled(PartStructure(n_max=2, dtype=jnp.float32))
  >>> data = Data(jnp.eye(4), jnp.ones((4, 1)))
  >>> hp = PartHp(jnp.int32(2), jnp.float32(1.0))
  >>> key, times = jax.random.key(0), jnp.array([3])
  >>> print(rollout(parts, key, hp, times, data)[1]['train'].round(4))
  [0.25]
  """
  dtype = jnp.dtype(structure.dtype)

  def sample(key, hp, data):
    del key, hp
    return Data(*(jnp.asarray(x, dtype) for x in data))

  def risks(key, problem, hp):
    return _fit(key, problem, hp, structure.n_max)

  return averaged(sample, risks, dtype)


def _fit(key: Key[Array, ''], data: Data, hp: Any, most: int) -> Array:
  points, dtype = len(data.y), data.y.dtype
  order = jax.random.permutation(key, points)
  picked = order[:most]
  here = (jnp.arange(most) < hp.n).astype(dtype)
  gram = data.kernel[picked][:, picked] * here[:, None] * here[None]
  y = data.y[picked] * here[:, None]
  ridge = jnp.asarray(hp.ridge, dtype)
  dual = linalg.solve_spd(gram + ridge * jnp.eye(most, dtype=dtype), y)
  dual = dual * here[:, None]
  off = jnp.sum((data.kernel[:, picked] @ dual - data.y) ** 2, axis=1)
  used = jnp.zeros(points, dtype).at[picked].set(here)
  test = jnp.sum(off * (1 - used)) / (points - jnp.sum(here))
  return jnp.stack([test, ridge**2 * jnp.sum(dual**2) / jnp.sum(here)])
