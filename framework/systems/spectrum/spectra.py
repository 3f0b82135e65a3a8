"""Spectra: eigenvalues of a kernel, and the power of the target along them.

A learner that is linear in its parameters is known by two sequences: the
eigenvalues λ_i of its kernel, and the squared coefficients v_i² of the target
in its eigenfunctions. Finitely many are kept; what lies beyond them is a
`Tail`: sums of powers, so that an infinite spectrum can be summed exactly.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from framework.checks import check_sizes

__all__ = ['Spectrum', 'Tail', 'beyond', 'power_law', 'trace', 'unit_power']

_POWERS = 32  # of λ/γ; what is left out is below 0.3³³ = 6e-18
_DIRECT = 24  # terms summed one by one before Euler and Maclaurin take over


class Tail(NamedTuple):
  """The tail beyond the kept modes, through its power sums.

  lam_j = Σ_{i>M} (λ_i / λ_M)^j, j = 1, 2, ...
  v2_j = Σ_{i>M} v_i² (λ_i / λ_M)^j, j = 0, 1, ...
  """

  edge: Float[Array, '']  # λ_M
  lam: Float[Array, ' powers']
  v2: Float[Array, ' powers']


class Spectrum(NamedTuple):
  """Eigenvalues and target, largest eigenvalue first."""

  lam: Float[Array, ' modes']  # λ_i >= 0
  v2: Float[Array, ' modes']  # v_i² >= 0
  tail: Tail | None = None  # None: there is nothing beyond


def power_law(
  alpha: Float[ArrayLike, ''],
  beta: Float[ArrayLike, ''],
  modes: int,
  *,
  tail: bool = True,
  dtype: Any = None,
) -> Spectrum:
  """Power laws, λ_i = i^−α and v_i² = i^−β.

  Args:
    alpha: α > 1, which makes the kernel's trace finite.
    beta: β > 1, which makes the target's power finite; any with no tail.
    modes: How many are kept, at least 2.
    tail: Whether the others are there, too, in sums of their powers.
    dtype: Of the arrays; that of jax when None.

  Returns:
    The spectrum.

  Raises:
    ValueError: If fewer than 2 modes are kept.

  >>> s = power_law(1.5, 2.0, 100)
  >>> print((s.v2.sum() + s.tail.v2[0]).round(4), round(jnp.pi**2 / 6, 4))
  1.6449 1.6449
  """
  check_sizes(modes=modes)
  if modes < 2:
    raise ValueError(f'modes is {modes}, expected an integer >= 2')
  dtype = jnp.dtype(dtype or jnp.result_type(float))
  i = jnp.arange(1, modes + 1, dtype=dtype)
  alpha, beta = jnp.asarray(alpha, dtype), jnp.asarray(beta, dtype)
  lam, v2 = i**-alpha, i**-beta
  if not tail:
    return Spectrum(lam, v2)
  j = jnp.arange(_POWERS, dtype=dtype)
  edge = jnp.asarray(modes, dtype)
  rest = Tail(
    lam[-1],
    _zeta_beyond(alpha * (j + 1), edge),
    v2[-1] * _zeta_beyond(beta + alpha * j, edge),
  )
  return Spectrum(lam, v2, rest)


def _zeta_beyond(
  s: Float[Array, ' powers'], m: Float[Array, '']
) -> Float[Array, ' powers']:
  """Σ_{i>m} (i/m)^−s: a few terms, then the formula of Euler and Maclaurin."""
  i = m + 1 + jnp.arange(_DIRECT, dtype=m.dtype)
  direct = jnp.sum((i[None] / m) ** -s[:, None], axis=1)
  a = m + 1 + _DIRECT
  first = s / a
  third = first * (s + 1) / a * (s + 2) / a
  fifth = third * (s + 3) / a * (s + 4) / a
  seventh = fifth * (s + 5) / a * (s + 6) / a
  rest = a / (s - 1) + 0.5 + first / 12 - third / 720
  rest = rest + fifth / 30_240 - seventh / 1_209_600
  return direct + (a / m) ** -s * rest


def beyond(
  spectrum: Spectrum, width: Float[ArrayLike, ''] | None = None
) -> Float[Array, '']:
  """The power of the target beyond a width.

      Σ_{i>N} v_i²

  Args:
    spectrum: A spectrum.
    width: N; all modes that are kept when None.

  Returns:
    The power that no model of N modes can fit.
  """
  out = jnp.zeros((), spectrum.v2.dtype)
  if spectrum.tail is not None:
    out = out + spectrum.tail.v2[0]
  if width is not None:
    i = jnp.arange(1, spectrum.v2.size + 1)
    out = out + jnp.sum(jnp.where(i > width, spectrum.v2, 0))
  return out


def trace(spectrum: Spectrum) -> Float[Array, '']:
  """The trace of the kernel, Σ_i λ_i, over all modes."""
  total = jnp.sum(spectrum.lam)
  if spectrum.tail is not None:
    total = total + spectrum.tail.edge * spectrum.tail.lam[0]
  return total


def unit_power(spectrum: Spectrum) -> Spectrum:
  """The spectrum with Σ_i v_i² = 1 over all modes.

  >>> print(jnp.sum(unit_power(power_law(1.5, 1.2, 9, tail=False)).v2))
  1.0
  """
  total = jnp.sum(spectrum.v2) + beyond(spectrum)
  scaled = spectrum._replace(v2=spectrum.v2 / total)
  if spectrum.tail is None:
    return scaled
  tail = spectrum.tail._replace(v2=spectrum.tail.v2 / total)
  return scaled._replace(tail=tail)
