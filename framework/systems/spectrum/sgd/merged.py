"""One-pass SGD on few nodes: neighbouring modes merged, to rounding.

Without weight decay the excess s_i = λ_i c_i of each mode obeys

    s_i⁺ = p(λ_i) s_i + (η²/B) λ_i² (Σ_j s_j + σ²),
    p(λ) = (1 − ηλ)² + η²λ²/B,

so only sums Σ_i v_i² p(λ_i)^t and Σ_i λ_i² p(λ_i)^t count. p^t is smooth in
ln λ over an octave of i: it is its interpolation at a few Chebyshev points x_j.
Modes of an octave become these points, with Σ_i v_i² ℓ_j(λ_i) for the start and
Σ_i λ_i² ℓ_j(λ_i) for the noise. 20,000 modes are 192 nodes, and the curve is
the same to ten digits.
"""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from framework.systems.spectrum import spectra
from framework.systems.spectrum.spectra import Spectrum

__all__ = ['Merged', 'merged', 'merged_risk']

_ALONE = 32  # modes that are not merged
_NODES = 16  # of an octave


class Merged(NamedTuple):
  """The recursion s⁺ = p s + drive (Σ s + σ²) on nodes."""

  factor: Float[Array, ' nodes']  # p
  drive: Float[Array, ' nodes']
  start: Float[Array, ' nodes']
  missing: Float[Array, '']  # power beyond the model's modes
  noise: Float[Array, '']  # of the labels, as the model sees it


@jax.jit
def merged(spectrum: Spectrum, hp: Any, batch: int = 1) -> Merged:
  """Merges the modes of a spectrum for one-pass SGD without weight decay.

  Args:
    spectrum: Inputs and target, eigenvalues falling and positive.
    hp: eta, noise and width, as of `expected.Hp`; its decay is not looked at.
    batch: B.

  Returns:
    The recursion.

  >>> from framework.systems.spectrum.sgd.expected import Hp
  >>> merged(spectra.power_law(1.5, 1.8, 20_000), Hp()).start.size
  192
  """
  lam, v2 = spectrum.lam, spectrum.v2
  dtype, modes = lam.dtype, lam.size
  eta = jnp.asarray(hp.eta, dtype) / spectra.trace(spectrum)
  own = jnp.arange(1, modes + 1) <= hp.width
  weights = jnp.where(own, v2, 0), jnp.where(own, lam**2, 0)
  nodes, starts, drives = [], [], []
  edges = [_ALONE]
  while edges[-1] < modes:
    edges.append(min(2 * edges[-1], modes))
  few = min(_ALONE, modes)
  nodes.append(lam[:few])
  starts.append(weights[0][:few])
  drives.append(weights[1][:few])
  for low, high in itertools.pairwise(edges):
    part = slice(low, high)
    if high - low <= _NODES:
      nodes.append(lam[part])
      starts.append(weights[0][part])
      drives.append(weights[1][part])
      continue
    x, ell = _chebyshev(jnp.log(lam[part]))
    nodes.append(jnp.exp(x))
    starts.append(ell @ weights[0][part])
    drives.append(ell @ weights[1][part])
  x = jnp.concatenate(nodes)
  missing = spectra.beyond(spectrum, hp.width)
  return Merged(
    (1 - eta * x) ** 2 + (eta * x) ** 2 / batch,
    eta**2 / batch * jnp.concatenate(drives),
    jnp.concatenate(starts),
    missing,
    jnp.asarray(hp.noise, dtype) + missing,
  )


def _chebyshev(
  u: Float[Array, ' modes'],
) -> tuple[Float[Array, ' nodes'], Float[Array, 'nodes modes']]:
  """Points of an interval, and the basis of interpolation at them."""
  k = np.arange(_NODES)
  angle = (2 * k + 1) * np.pi / (2 * _NODES)
  middle, half = (u[0] + u[-1]) / 2, (u[0] - u[-1]) / 2
  x = middle + half * jnp.asarray(np.cos(angle), u.dtype)
  weight = jnp.asarray((-1.0) ** k * np.sin(angle), u.dtype)
  apart = u[None] - x[:, None]
  on = apart == 0
  terms = weight[:, None] / jnp.where(on, 1, apart)
  # On a point of its own the others do not count.
  terms = jnp.where(jnp.any(on, axis=0)[None], on.astype(u.dtype), terms)
  return x, terms / jnp.sum(terms, axis=0)[None]


@jax.jit
def merged_risk(
  problem: Merged, steps: Int[Array, ' records']
) -> Float[Array, ' records']:
  """The excess risk at some steps, as `one_pass_risk` has it.

  Args:
    problem: As of `merged`.
    steps: Steps, not decreasing.

  Returns:
    (records,).

  >>> from framework.systems.spectrum.sgd.expected import Hp
  >>> problem = merged(spectra.power_law(1.5, 1.5, 50, tail=False), Hp())
  >>> print(merged_risk(problem, jnp.array([10, 200])).round(4))
  [1.1336 0.2915]
  """
  p = problem

  def step(_, s):
    return p.factor * s + p.drive * (jnp.sum(s) + p.noise)

  def to(carry, t):
    s, now = carry
    s = jax.lax.fori_loop(now, t, step, s)
    return (s, t), jnp.sum(s) + p.missing

  steps = jnp.asarray(steps)
  return jax.lax.scan(to, (p.start, jnp.zeros((), steps.dtype)), steps)[1]
