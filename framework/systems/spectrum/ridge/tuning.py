"""The best ridge, found on the exact risk by golden section in ln δ.

    δ* = argmin_δ E_test(n, k, δ)

The test risk has one minimum in ln δ. Where it falls all the way to δ = 0+, the
search ends at its lower end: interpolation is best there.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from framework.checks import check_sizes
from framework.system import System
from framework.systems.spectrum import spectra
from framework.systems.spectrum.risk import Risk, rf_risk
from framework.systems.spectrum.spectra import Spectrum

__all__ = ['ATTRIBUTES', 'Hp', 'State', 'Structure', 'optimal_ridge', 'tuning']

ATTRIBUTES = {
  'test': {'long_name': 'test risk at the best ridge so far', 'units': '1'},
  'train': {'long_name': 'train risk there', 'units': '1'},
  'ratio': {'long_name': 'train over test risk there', 'units': '1'},
  'best': {'long_name': 'the best ridge δ so far', 'units': '1'},
  'fixed': {'long_name': 'test risk at the fixed ridge', 'units': '1'},
}
_GOLDEN = (math.sqrt(5) - 1) / 2
_LOW, _HIGH = -30.0, 8.0  # of ln δ
_STEPS = 60  # the bracket is then 1e-11 nats wide


class Hp(NamedTuple):
  """Hyperparameters: traced, every one can be a lane."""

  n: Int[ArrayLike, ''] = 64  # samples
  k: Int[ArrayLike, ''] = 64  # random features; 0 is infinitely many
  ridge: Float[ArrayLike, ''] = 1e-3  # the fixed δ to compare with
  noise: Float[ArrayLike, ''] = 0.1  # σ² over the power of the target
  relative_noise: Float[ArrayLike, ''] = 0.0  # the same, over the bias at δ = 0
  alpha: Float[ArrayLike, ''] = 1.5  # λ_i = i^−α
  beta: Float[ArrayLike, ''] = 1.25  # v_i² ~ i^−β


@dataclasses.dataclass(frozen=True)
class Structure:
  """The static part: modes that are kept, and whether others are summed.

  Raises:
    ValueError: If a size is no positive integer.
  """

  modes: int = 2000
  tail: bool = False
  spectrum: Callable[..., Spectrum] | None = None  # (hp) -> own one
  dtype: Any = jnp.float64

  def __post_init__(self):
    """Refuses what cannot be built."""
    check_sizes(modes=self.modes)

  def of(self, hp: Any) -> Spectrum:
    """The spectrum, with a target of power 1."""
    if self.spectrum is not None:
      return self.spectrum(hp)
    law = spectra.power_law(
      hp.alpha, hp.beta, self.modes, tail=self.tail, dtype=self.dtype
    )
    return spectra.unit_power(law)


class State(NamedTuple):
  """A bracket of the best ln δ."""

  low: Float[Array, '']
  high: Float[Array, '']


class _Problem(NamedTuple):
  spectrum: Spectrum
  noise: Array
  n: Array
  k: Array

  def risk(self, ridge: Float[ArrayLike, '']) -> Risk:
    """At a ridge."""
    return rf_risk(self.spectrum, self.noise, self.n, self.k, ridge)


def tuning(structure: Structure) -> System:
  """The search for the best ridge, one golden section a step.

  Args:
    structure: What is fixed in the compiled program.

  Returns:
    A `System` over `Hp`.

  >>> from framework import rollout
  >>> search = tuning(Structure(modes=100, dtype=jnp.float32))
  >>> hp = jax.tree.map(jnp.float32, Hp(n=20, k=20))
  >>> run = jax.jit(rollout, static_argnums=0)
  >>> seen = run(search, jax.random.key(0), hp, jnp.array([0, 30]))[1]
  >>> bool(seen['test'][1] < seen['fixed'][1])
  True
  """
  dtype = jnp.dtype(structure.dtype)

  def sample(key, hp):
    del key
    spectrum = structure.of(hp)
    n = jnp.asarray(hp.n, dtype)
    k = jnp.where(jnp.asarray(hp.k) > 0, jnp.asarray(hp.k, dtype), jnp.inf)
    ridgeless = rf_risk(spectrum, 0.0, n, jnp.inf, 0.0)
    noise = jnp.asarray(hp.noise, dtype)
    noise = noise + jnp.asarray(hp.relative_noise, dtype) * ridgeless.bias
    return _Problem(spectrum, noise, n, k)

  def init(key, problem, hp):
    del key, problem, hp
    return State(jnp.asarray(_LOW, dtype), jnp.asarray(_HIGH, dtype))

  def step(key, state, problem, hp):
    del key, hp
    return _section(state, problem)

  def observe(state, problem, hp):
    ridge = jnp.exp((state.low + state.high) / 2)
    best = problem.risk(ridge)
    return {
      'test': best.test,
      'train': best.train,
      'ratio': best.train / best.test,
      'best': ridge,
      'fixed': problem.risk(hp.ridge).test,
    }

  return System(sample, init, step, observe)


def _section(state: State, problem: _Problem) -> State:
  """Cuts a bracket at the golden section, on the side of the larger risk."""
  span = state.high - state.low
  left, right = state.high - _GOLDEN * span, state.low + _GOLDEN * span
  risks = [problem.risk(jnp.exp(x)).test for x in (left, right)]
  lower = risks[0] <= risks[1]
  return State(
    jnp.where(lower, state.low, left), jnp.where(lower, right, state.high)
  )


@jax.jit
def optimal_ridge(
  spectrum: Spectrum,
  noise: Float[ArrayLike, ''],
  n: Float[ArrayLike, ''],
  k: Float[ArrayLike, ''],
) -> tuple[Float[Array, ''], Risk]:
  """The ridge of the least test risk, and the risk there.

  Args:
    spectrum: Eigenvalues and target.
    noise: Variance σ² of the labels' noise.
    n: Samples.
    k: Random features; infinity is the kernel.

  Returns:
    (δ*, risk); δ* = 0 where the risk falls all the way down to it.

  >>> s = spectra.unit_power(spectra.power_law(1.5, 1.25, 400, tail=False))
  >>> ridge, best = optimal_ridge(s, 0.1, 64, 64)
  >>> bool(best.test < rf_risk(s, 0.1, 64, 64, 2 * ridge).test)
  True
  """
  dtype = spectrum.lam.dtype
  noise, n, k = (jnp.asarray(x, dtype) for x in (noise, n, k))
  problem = _Problem(spectrum, noise, n, k)
  ends = State(jnp.asarray(_LOW, dtype), jnp.asarray(_HIGH, dtype))
  ends = jax.lax.fori_loop(0, _STEPS, lambda i, s: _section(s, problem), ends)
  inner = jnp.exp((ends.low + ends.high) / 2)
  zero = problem.risk(0.0)
  none = zero.test <= problem.risk(inner).test
  ridge = jnp.where(none, 0, inner)
  return ridge, problem.risk(ridge)
