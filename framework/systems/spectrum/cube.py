"""Spectra of kernels on the cube {±1}^d that look at the distance alone.

Of K(x, x') = κ(x·x'/d) the eigenfunctions under uniform inputs are the parities
χ_S = Π_{j∈S} x_j, and all of one degree |S| = k share the eigenvalue

    λ_k = 2^−d Σ_j κ(1 − 2j/d) P_j(k),
    P_j(k) = Σ_i (−1)^i C(k, i) C(d−k, j−i),

with the polynomials P_j of Krawtchouk. There are C(d, k) of them: the spectrum
is exact, and nothing is drawn.
"""

import math
from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from framework.checks import check_sizes
from framework.systems.spectrum.spectra import Spectrum

__all__ = ['degree_eigenvalues', 'spectrum_on_cube']


def degree_eigenvalues(
  kernel: Callable[[Float[Array, ' d+1']], Float[Array, ' d+1']], d: int
) -> Float[np.ndarray, ' d+1']:
  """The eigenvalue of each degree, 0 to d.

  Args:
    kernel: κ of the cosines x·x'/d.
    d: Coordinates.

  Returns:
    (d+1,).

  >>> degree_eigenvalues(lambda cosine: 1 + cosine, 2).tolist()
  [1.0, 0.5, 0.0]
  """
  check_sizes(d=d)
  j = np.arange(d + 1)
  values = np.asarray(kernel(jnp.asarray(1 - 2 * j / d)), float)
  # Integers: they are exact, of whatever size.
  table = [
    [
      sum((-1) ** i * math.comb(k, i) * math.comb(d - k, m - i)
          for i in range(min(k, m) + 1))
      for m in range(d + 1)
    ]
    for k in range(d + 1)
  ]  # fmt: skip
  weights = np.array([[p / 2**d for p in row] for row in table])
  return weights @ values


def spectrum_on_cube(
  kernel: Callable[[Float[Array, ' d+1']], Float[Array, ' d+1']],
  d: int,
  power: Mapping[int, float],
  degrees: int,
) -> tuple[Spectrum, float]:
  """The spectrum of a kernel up to a degree, and what is left of its trace.

  Eigenvalues far below γ count by their sum alone, as a ridge: that of kernel
  ridge regression is to be raised by what is left.

  Args:
    kernel: κ of the cosines x·x'/d.
    d: Coordinates.
    power: {degree: Σ v² of the target in it}, none beyond `degrees`.
    degrees: The largest degree that is kept, mode by mode.

  Returns:
    (the spectrum, its eigenvalues by degree; Σ of the eigenvalues beyond).

  Raises:
    ValueError: If the target has a degree that is not kept.

  >>> both, rest = spectrum_on_cube(lambda c: c + c**2, 3, {1: 1.0}, 1)
  >>> print(both.lam.round(3), both.v2.round(3), round(rest, 3))
  [0.333 0.333 0.333 0.333] [0.    0.333 0.333 0.333] 0.667
  """
  if not 0 <= degrees <= d:
    raise ValueError(f'degrees is {degrees}, expected 0 <= degrees <= d = {d}')
  if any(k > degrees for k in power):
    raise ValueError(
      f'the target has degrees {sorted(power)}, of which {degrees} are kept'
    )
  of = np.maximum(degree_eigenvalues(kernel, d), 0)
  counts = [math.comb(d, k) for k in range(d + 1)]
  kept = range(degrees + 1)
  lam = np.concatenate([np.full(counts[k], of[k]) for k in kept])
  v2 = np.concatenate(
    [np.full(counts[k], power.get(k, 0.0) / counts[k]) for k in kept]
  )
  rest = float(sum(of[k] * counts[k] for k in range(degrees + 1, d + 1)))
  return Spectrum(jnp.asarray(lam), jnp.asarray(v2)), rest
