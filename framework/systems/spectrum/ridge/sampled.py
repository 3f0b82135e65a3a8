"""Ridge regression on drawn data, over and over: what the exact risk predicts.

In the kernel's eigenbasis the inputs are ψ ~ N(0, I), the target is ψ·v with
v_i = (v_i²)^½, and a random feature is φ_j = Σ_i g_ji λ_i^½ ψ_i, g ~ N(0, I).
Each step draws n inputs with labels and k features, fits

    f(ψ) = k(ψ, X) (K + δI)⁻¹ y,    K = (1/k) Σ_j φ_j φ_jᵀ   (ψᵀΛψ' at k = ∞),

and adds its risks to running means. The test risk of one fit is exact,
Σ_i (v_i − β_i)² + σ² with β its coefficients. Modes beyond those that are kept
are not drawn.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, Key

from framework.checks import check_sizes
from framework.maths import draws, linalg
from framework.system import System
from framework.systems.spectrum import spectra
from framework.systems.spectrum.ridge.averaged import ATTRIBUTES, averaged
from framework.systems.spectrum.spectra import Spectrum

__all__ = ['ATTRIBUTES', 'Hp', 'Structure', 'fit', 'sampled']


class Hp(NamedTuple):
  """Hyperparameters: traced, every one can be a lane."""

  n: Int[ArrayLike, ''] = 64  # samples
  k: Int[ArrayLike, ''] = 64  # random features; 0 is infinitely many
  ridge: Float[ArrayLike, ''] = 0.1  # δ
  noise: Float[ArrayLike, ''] = 0.1  # σ² over the power of the target
  alpha: Float[ArrayLike, ''] = 1.5  # λ_i = i^−α
  beta: Float[ArrayLike, ''] = 1.25  # v_i² ~ i^−β


@dataclasses.dataclass(frozen=True)
class Structure:
  """The static part: sizes, and the spectrum as a function of hp.

  Raises:
    ValueError: If a size is no positive integer.
  """

  n_max: int = 64  # samples; those beyond hp.n are masked
  k_max: int = 64  # random features; those beyond hp.k are masked
  modes: int = 400
  spectrum: Callable[..., Spectrum] | None = None  # (hp) -> own one
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    check_sizes(n_max=self.n_max, k_max=self.k_max, modes=self.modes)

  def of(self, hp: Any) -> Spectrum:
    """The spectrum that is drawn from: no tail, and a target of power 1."""
    if self.spectrum is not None:
      return self.spectrum(hp)
    law = spectra.power_law(
      hp.alpha, hp.beta, self.modes, tail=False, dtype=self.dtype
    )
    return spectra.unit_power(law)


def sampled(structure: Structure) -> System:
  """Ridge regressions on fresh draws, one a step, and the means of their risks.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`.

  >>> import jax
  >>> from framework import rollout
  >>> draws = sampled(Structure(n_max=8, k_max=8, modes=20, dtype=jnp.float32))
  >>> run = lambda hp: rollout(draws, jax.random.key(0), hp, jnp.array([0, 9]))
  >>> seen = run(jax.tree.map(jnp.float32, Hp(n=8, k=0)))[1]
  >>> bool(seen['test'][1] > seen['train'][1] > 0)
  True
  """

  def risks(key, problem, hp):
    return jnp.stack(fit(key, problem, hp, structure))

  return averaged(lambda key, hp: structure.of(hp), risks, structure.dtype)


def fit(
  key: Key[Array, ''], spectrum: Spectrum, hp: Any, structure: Structure
) -> tuple[Float[Array, ''], Float[Array, '']]:
  """The risks of one ridge regression on data that it draws.

  Args:
    key: Of the draw.
    spectrum: That of `structure.of(hp)`.
    hp: n, k, ridge and noise.
    structure: Sizes.

  Returns:
    (test risk, train risk), the test risk exact.
  """
  s, dtype = structure, spectrum.lam.dtype
  modes = spectrum.lam.size
  inputs, noise, features = jax.random.split(key, 3)
  ridge, variance = (jnp.asarray(x, dtype) for x in (hp.ridge, hp.noise))
  v, root = jnp.sqrt(spectrum.v2), jnp.sqrt(spectrum.lam)
  here = (jnp.arange(s.n_max) < hp.n).astype(dtype)
  psi = draws.normal(inputs, (s.n_max, modes), dtype) * here[:, None]
  xi = draws.normal(noise, (s.n_max,), dtype) * here
  y = psi @ v + jnp.sqrt(variance) * xi
  scaled = psi * root[None]
  g = draws.normal(features, (s.k_max, modes), dtype)
  kept = (jnp.arange(s.k_max) < hp.k).astype(dtype)
  g = g * (kept / jnp.sqrt(jnp.maximum(hp.k, 1).astype(dtype)))[:, None]
  phi = scaled @ g.T
  kernel = jnp.asarray(hp.k) <= 0
  gram = jnp.where(kernel, scaled @ scaled.T, phi @ phi.T)
  eye = jnp.eye(s.n_max, dtype=dtype)
  dual = linalg.solve_spd(gram + ridge * eye, y[:, None])[:, 0]
  back = jnp.where(kernel, scaled.T @ dual, (phi.T @ dual) @ g)
  test = jnp.sum((v - root * back) ** 2) + variance
  # The residual of ridge regression is δ times its dual coefficients.
  train = ridge**2 * jnp.sum(dual**2) / jnp.sum(here)
  return test, train
