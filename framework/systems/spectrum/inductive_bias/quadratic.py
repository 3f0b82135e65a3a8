"""Tails of Σ_j w_j (z_j + b_j)², z ~ N(0, I): deep, in logarithms, unsampled.

With m_j = w_j b_j² the cumulant generating function is

    K(t) = Σ_j [−½ ln(1 − 2tw_j) + m_j t/(1 − 2tw_j)],   t < 1/(2 max w),

and the saddle t of ε solves K'(t) = ε. With r = sign(t) (2(tε − K(t)))^½ and
u = t K''(t)^½,

    P(Q <= ε) ≈ Φ(r) + φ(r)(1/r − 1/u)                   (Lugannani and Rice)

to a few hundredths of a nat; at the mean, where both are 0/0, the limit is
½ + K'''/(6 (2π)^½ K''^1.5). The exact value is a contour integral through the
saddle,

    P(Q <= ε) = (1/π) Re ∫ e^{K(s) − sε}/(−s) ds/i,

whose integrand has one peak: a trapezoid rule has 13 digits at any depth.

References:
  Lugannani, Rice, "Saddle point approximation for the distribution of the sum
  of independent random variables", 1980.
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr
from jaxtyping import Array, ArrayLike, Float

__all__ = ['exact', 'lugannani_rice', 'saddle']

_HALVINGS = 200
_NODES = 4000


def _cumulants(w: Array, m: Array, t: Array) -> tuple[Array, ...]:
  """K and its first three derivatives at t."""
  room = 1 - 2 * t * w
  x = w / room
  y = m / room
  return (
    jnp.sum(-jnp.log(room) / 2 + y * t),
    jnp.sum(x + y / room),
    jnp.sum(2 * x**2 + 4 * x * y / room),
    jnp.sum(8 * x**3 + 24 * x**2 * y / room),
  )


@jax.jit
def saddle(
  w: Float[Array, ' n'], m: Float[Array, ' n'], eps: Float[ArrayLike, '']
) -> Float[Array, '']:
  """The saddle: K'(t) = ε, negative where ε is below the mean.

  Args:
    w: Weights >= 0, not all zero.
    m: w_j b_j² >= 0.
    eps: ε > 0.

  Returns:
    t.

  >>> print(saddle(jnp.ones(3), jnp.zeros(3), 1.5).round(6))
  -0.5
  """
  eps = jnp.asarray(eps, w.dtype)
  most = 1 / (2 * jnp.max(w))
  # t = most − e^v: K' falls in v over all that a number can hold. Bounds: from
  # K'(t) <= (Σw/(1−t/most) ...) the saddle is above −n/(2ε) − (Σm)^½/...
  far = (
    w.size / (2 * eps)
    + jnp.sqrt(jnp.sum(m / jnp.where(w > 0, w, 1)) / (2 * eps * jnp.max(w)))
    + jnp.sum(w + m) / (eps * jnp.max(w))
    + most
  )

  def halve(_, bracket):
    low, high = bracket
    middle = (low + high) / 2
    below = _cumulants(w, m, most - jnp.exp(middle))[1] < eps
    return jnp.where(below, low, middle), jnp.where(below, middle, high)

  ends = jnp.log(most) - 60, jnp.log(far) + 30
  low, high = jax.lax.fori_loop(0, _HALVINGS, halve, ends)
  t = most - jnp.exp((low + high) / 2)
  for _ in range(2):
    _, first, second, _ = _cumulants(w, m, t)
    move = (eps - first) / second
    t = jnp.where(t + move < most, t + move, t)
  return t


@jax.jit
def lugannani_rice(
  w: Float[Array, ' n'], m: Float[Array, ' n'], eps: Float[ArrayLike, '']
) -> tuple[Float[Array, ''], Float[Array, '']]:
  """Ln P(Q <= ε) and ln P(Q > ε), by the saddle point.

  Args:
    w: Weights >= 0, not all zero.
    m: w_j b_j² >= 0.
    eps: ε > 0.

  Returns:
    (ln of the lower tail, ln of the upper tail): each from a formula of its own
    on its own side of the mean, the other through ln(1 − p).

  >>> lower, upper = lugannani_rice(jnp.ones(3), jnp.zeros(3), 0.05)
  >>> print(f'{lower:.2f}')  # exactly -5.83
  -5.80
  """
  eps = jnp.asarray(eps, w.dtype)
  t = saddle(w, m, eps)
  value, _, second, third = _cumulants(w, m, t)
  deviation = jnp.sqrt(_cumulants(w, m, jnp.zeros_like(t))[2])
  mean = jnp.sum(w + m)
  near = jnp.abs(eps - mean) < 1e-5 * deviation
  safe = jnp.where(near, -1 / deviation, t)
  r = jnp.sign(safe) * jnp.sqrt(
    jnp.maximum(2 * (safe * eps - value), jnp.finfo(w.dtype).tiny)
  )
  r = jnp.where(near, -1.0, r)
  u = safe * jnp.sqrt(second)
  # Both tails are Φ(−|r|) ± φ(r)(1/r − 1/u): of one sign, in logarithms.
  size = jnp.abs(r)
  log_phi = -(r**2) / 2 - 0.5 * math.log(2 * math.pi)
  log_tail = log_ndtr(-size)
  # φ(r)/Φ(−|r|) is between |r| and |r| + 1/|r|: no overflow.
  mills = jnp.exp(log_phi - log_tail)
  change = mills * (1 / size - 1 / jnp.abs(u))
  own = log_tail + jnp.log1p(jnp.maximum(-change, -1 + 1e-12))
  other = jnp.log1p(-jnp.exp(own))
  middle = 0.5 + third / (6 * math.sqrt(2 * math.pi) * second**1.5)
  below = eps < mean
  lower = jnp.where(below, own, other)
  upper = jnp.where(below, other, own)
  lower = jnp.where(near, jnp.log(middle), lower)
  upper = jnp.where(near, jnp.log1p(-middle), upper)
  return lower, upper


@jax.jit
def exact(
  w: Float[Array, ' n'], m: Float[Array, ' n'], eps: Float[ArrayLike, '']
) -> Float[Array, '']:
  """Ln P(Q <= ε), by the contour through a saddle to the left of zero.

  Args:
    w: Weights >= 0, not all zero.
    m: w_j b_j² >= 0.
    eps: ε > 0; above the mean 1 − P is what has digits.

  Returns:
    The logarithm.

  >>> print(f'{exact(jnp.ones(3), jnp.zeros(3), 0.05):.6f}')
  -5.832981
  """
  eps = jnp.asarray(eps, w.dtype)
  deviation = jnp.sqrt(_cumulants(w, m, jnp.zeros_like(eps))[2])
  # Left of zero, where the pole of 1/s is, also when ε is above the mean.
  t = jnp.minimum(saddle(w, m, eps), -0.3 / deviation)
  value, _, second, _ = _cumulants(w, m, t)
  scale = 1 / jnp.sqrt(second)
  # s = t + (√(y² + L²) − L) + iy bends to the right, where e^(−sε) falls.
  bend = 4 * scale
  v = jnp.linspace(-1.0, 1.0, 2 * _NODES + 1, dtype=w.dtype)
  reach = jnp.arcsinh(60 / (eps * scale) + 1e3)  # there e^(−sε) is e^−60
  y = scale * jnp.sinh(v * reach)
  dy = scale * jnp.cosh(v * reach) * reach / _NODES
  s = t + (jnp.sqrt(y**2 + bend**2) - bend) + 1j * y
  ds = y / jnp.sqrt(y**2 + bend**2) + 1j
  room = 1 - 2 * s[:, None] * w[None]
  exponent = jnp.sum(-jnp.log(room) / 2 + m[None] * s[:, None] / room, axis=1)
  exponent = exponent - s * eps - (value - t * eps)
  terms = jnp.exp(exponent) / (-s) * ds * dy
  total = jnp.sum(terms.imag) / (2 * math.pi)
  return value - t * eps + jnp.log(total)
