r"""Gaussian expectations of two pre-activations, in closed form.

For (u, v) centred normal with E u² = s, E v² = t, E uv = k:

    V(s, t, k) = E φ(u) φ(v),   V̇(s, t, k) = E φ'(u) φ'(v),   dV/dk = V̇

relu      V = √s√t/2π [√(1 − q²) + q arccos(−q)],  q = k/√s√t
          V̇ = arccos(−q)/2π
erf       V = (2/π) arcsin(2k/√(1 + 2s)√(1 + 2t))
          V̇ = (4/π)/√((1 + 2s)(1 + 2t) − 4k²)
sin       V = e^(−(s + t)/2) sinh k,  V̇ = e^(−(s + t)/2) cosh k
exp       V = V̇ = e^((s + t + 2k)/2)
identity  V = k,  V̇ = 1
gelu      u Φ(u), exact: closed too, in `_gelu_v`
gelu_tanh its approximation ½u(1 + tanh(√(2/π)(u + 0.044715 u³))), which has no
          closed form: by quadrature, to 1e-6 for variances up to 10

ReLU is the arc-cosine kernel of degree 1 and erf Williams' kernel [1, 2].
An activation of one's own needs its V alone: `own`.
Rounding may put a correlation just outside [−1, 1], where arccos is NaN and its
derivative infinite: q is clipped, derivatives are V̇ itself, and that of arccos
at the clip is 0. Variances of a deep network can be large: whatever fits in the
precision has a V and a V̇ that do, as no product of two variances is taken.

References:
  [1] Cho, Saul, "Kernel Methods for Deep Learning", 2009.
  [2] Williams, "Computing with Infinite Networks", 1996.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from framework.maths.norms import root
from framework.maths.quadrature import derivative, expectation

__all__ = ['TRANSFORMS', 'Transform', 'angle', 'arc', 'own', 'transform']

_Moments = Float[Array, '*b']


def _fit(degree: int) -> list[float]:
  """Chebyshev series in 2x − 1 of arccos(x)/√(1 − x), highest first.

  It is analytic there, the next singularity at 2x − 1 = −3: each coefficient is
  3 + √8 = 5.8 times smaller than the one before.
  """

  def f(u):
    # 1 − x = 2 sin²(θ/2) without cancellation, where θ = arccos x.
    half = np.arcsin(np.sqrt((1 - u) / 4))
    return np.divide(
      2 * half,
      np.sqrt((1 - u) / 2),
      out=np.full_like(u, np.sqrt(2)),
      where=u < 1,
    )

  return np.polynomial.chebyshev.chebinterpolate(f, degree)[::-1].tolist()


# Several times faster than arccos, which XLA computes on a CPU by atan2; to the
# last bits of either precision.
_SERIES = {4: _fit(9), 8: _fit(20)}


@jax.jit  # traced once, however many kernels are made of it
def _arccos_of_minus(q: _Moments) -> _Moments:
  """Arccos(−q) for |q| <= 1."""
  x = jnp.abs(q)
  u = 2 * x - 1
  *upper, last = _SERIES[8 if q.dtype == jnp.float64 else 4]
  p, before = jnp.zeros_like(u), jnp.zeros_like(u)
  for c in upper:  # Clenshaw's recurrence
    p, before = 2 * u * p - before + c, p
  near = jnp.sqrt(1 - x) * (u * p - before + last)
  return jnp.where(q < 0, near, jnp.pi - near)


class Transform(NamedTuple):
  """An activation with its two expectations, all elementwise."""

  name: str
  phi: Callable[[Array], Array]
  V: Callable[..., Array]  # (E u², E v², E uv) -> E φ(u) φ(v)
  V_dot: Callable[..., Array]  # the same -> E φ'(u) φ'(v)
  homogeneous: bool = False  # φ(cu) = c φ(u) for c > 0


@jax.custom_jvp
def angle(q: _Moments) -> _Moments:
  """arccos(−q), the angle that two half-spaces share, for any rounded q.

  Args:
    q: A cosine; what lies outside [−1, 1] is taken as the end.

  Returns:
    Values in [0, π]; the derivative is 1/√(1 − q²), and 0 at the ends.

  >>> print(angle(jnp.array([-1.5, 0.0, 1.0])).round(4))
  [0.     1.5708 3.1416]
  """
  return _arccos_of_minus(jnp.clip(jnp.asarray(q), -1, 1))


@angle.defjvp
def _(primals, tangents):
  (q,), (dq,) = primals, tangents
  rest = (1 - q) * (1 + q)
  inside = rest > 0
  slope = jnp.where(inside, jax.lax.rsqrt(jnp.where(inside, rest, 1)), 0)
  return angle(q), slope * dq


@jax.custom_jvp
def arc(q: _Moments) -> _Moments:
  """√(1 − q²) + q arccos(−q), whose derivative is arccos(−q).

  Args:
    q: A cosine; what lies outside [−1, 1] is taken as the end.

  Returns:
    Values in [0, π].

  >>> print(arc(jnp.array([-1.0, 0.0, 1.0])).round(4))
  [0.     1.     3.1416]
  >>> print(jax.grad(arc)(1.0).round(4))
  3.1416
  """
  q = jnp.clip(jnp.asarray(q), -1, 1)
  return jnp.sqrt((1 - q) * (1 + q)) + q * _arccos_of_minus(q)


@arc.defjvp
def _(primals, tangents):
  (q,), (dq,) = primals, tangents
  return arc(q), angle(q) * dq


def _cosine(s: _Moments, t: _Moments, k: _Moments) -> tuple[Array, ...]:
  """√s, √t and the correlation, 0 where a variance is."""
  there = (s > 0) & (t > 0)
  a, b = (jnp.sqrt(jnp.where(there, v, 1)) for v in (s, t))
  q = jnp.where(there, k / a / b, 0)
  return jnp.where(there, a, 0), jnp.where(there, b, 0), q


def _relu_v(s: _Moments, t: _Moments, k: _Moments) -> _Moments:
  a, b, q = _cosine(s, t, k)
  return a * b * (arc(q) / (2 * jnp.pi))


def _relu_slope(s: _Moments, t: _Moments, k: _Moments) -> _Moments:
  """∂V/∂s = √t √(1 − q²)/4π√s, 0 where a variance is."""
  a, b, q = _cosine(s, t, k)
  sine = root(jnp.maximum((1 - q) * (1 + q), 0))
  return b / jnp.where(a > 0, a, 1) * sine / (4 * jnp.pi)


def _relu_v_dot(s: _Moments, t: _Moments, k: _Moments) -> _Moments:
  return angle(_cosine(s, t, k)[2]) / (2 * jnp.pi)


def _at_least(x: _Moments, least: _Moments | float) -> _Moments:
  """Rounding undone: x where it is at least that, with the derivative of x."""
  return x + jax.lax.stop_gradient(jnp.maximum(least - x, 0))


def _at_most_one(q: _Moments) -> _Moments:
  """The same of a sine, in [−1, 1]."""
  return q + jax.lax.stop_gradient(jnp.clip(q, -1, 1) - q)


class _Parts(NamedTuple):
  """The parts of V of erf and gelu, α = 1 + s, β = 1 + t."""

  a: Array  # √α
  b: Array  # √β
  x: Array  # 1/α
  y: Array  # 1/β
  v: Array  # t/β
  rho: Array  # ρ = k/√αβ
  rest: Array  # (st − k²)/αβ
  c: Array  # √(1 − ρ²)


def _parts(s: _Moments, t: _Moments, k: _Moments) -> _Parts:
  """Ratios alone, so that nothing of variances that fit overflows or cancels.

  1 − ρ² = 1/α + s/αβ + (st − k²)/αβ is a sum of what is not negative, and
  (st − k²)/st = 1 − (k/s)(k/t) is 0 to the last bit on the diagonal.
  """
  a, b = jnp.sqrt(1 + s), jnp.sqrt(1 + t)
  x, y = 1 / a**2, 1 / b**2
  # s/α and t/β: to the last bit of small ones, without products of large ones.
  u, v = (jnp.where(p < 1, p * q, 1 - q) for p, q in ((s, x), (t, y)))
  rho = _at_most_one(k / a / b)
  there = (s > 0) & (t > 0)
  shares = (k / jnp.where(there, p, 1) for p in (s, t))
  apart = jnp.where(there, jnp.maximum(1 - math.prod(shares), 0), 1)
  # Of one form the value, of the other, which is smooth at 0, the derivative.
  smooth = u * v - rho**2
  rest = smooth + jax.lax.stop_gradient(u * v * apart - smooth)
  return _Parts(a, b, x, y, v, rho, rest, jnp.sqrt(x + y * u + rest))


def _erf_v(s: _Moments, t: _Moments, k: _Moments) -> _Moments:
  p = _parts(2 * s, 2 * t, 2 * k)
  return 2 / jnp.pi * jnp.arctan2(p.rho, p.c)


def _erf_slope(s: _Moments, t: _Moments, k: _Moments) -> _Moments:
  """∂V/∂s = −2ρ/πcα, α = 1 + 2s."""
  p = _parts(2 * s, 2 * t, 2 * k)
  return -2 / jnp.pi * (p.rho / p.c) * p.x


def _erf_v_dot(s: _Moments, t: _Moments, k: _Moments) -> _Moments:
  p = _parts(2 * s, 2 * t, 2 * k)
  return 4 / jnp.pi / (p.a * p.b * p.c)


def _sin_v(s: _Moments, t: _Moments, k: _Moments) -> _Moments:
  return _sin_v_dot(s, t, k) * jnp.tanh(k)


def _sin_v_dot(s: _Moments, t: _Moments, k: _Moments) -> _Moments:
  # cosh k alone overflows, and |k| <= (s + t)/2.
  half = (s + t) / 2
  up, down = (jnp.exp(-_at_least(half - x, 0)) for x in (k, -k))
  return (up + down) / 2


def _gelu_angle(parts: _Parts) -> Array:
  """¼ + arcsin ρ/2π, which does not cancel where ρ is near −1."""
  return jnp.arctan2(parts.c, -parts.rho) / (2 * jnp.pi)


def _gelu_v(s: _Moments, t: _Moments, k: _Moments) -> _Moments:
  r"""E uΦ(u) vΦ(v), from Φ(u) = P(Z <= u) by Stein's lemma.

  V = k (¼ + arcsin ρ/2π) + √αβ/2πc [(st − k²)/αβ + ρ²(1/α + 1/β)],
  α = 1 + s, β = 1 + t, ρ = k/√αβ, c = √(1 − ρ²)
  """
  p = _parts(s, t, k)
  N = p.rest + p.rho**2 * (p.x + p.y)
  return k * _gelu_angle(p) + p.a * (p.b * (N / p.c)) / (2 * jnp.pi)


def _gelu_slope(s: _Moments, t: _Moments, k: _Moments) -> _Moments:
  r"""∂V/∂s = ½ E φ''(u) φ(v), with φ''(u) = (2 − u²) e^(−u²/2)/√2π.

  √β/4π√αc [2t/α²β + (1 + 2/α)(st − k²)/αβ − ρ²/αβc²]
  """
  p = _parts(s, t, k)
  x, y = p.x / p.c, p.y / p.c
  found = 2 * p.x**2 * p.v + (1 + 2 * p.x) * p.rest - p.rho**2 * x * y
  return p.b / (p.a * p.c) * found / (4 * jnp.pi)


def _gelu_v_dot(s: _Moments, t: _Moments, k: _Moments) -> _Moments:
  """¼ + arcsin ρ/2π + ρ/2πc (1/α + 1/β + 1/αβc²)."""
  p = _parts(s, t, k)
  more = p.x + p.y + (p.x / p.c) * (p.y / p.c)
  return _gelu_angle(p) + p.rho / p.c * more / (2 * jnp.pi)


def _gelu(u: Array) -> Array:
  return jax.nn.gelu(u, approximate=False)


def _gelu_tanh(u: Array) -> Array:
  return jax.nn.gelu(u, approximate=True)


def own(
  name: str,
  V: Callable[..., Array],
  phi: Callable[[Array], Array] | None = None,
  homogeneous: bool = False,
) -> Transform:
  """The transform of an activation of one's own, from its V alone.

  Args:
    name: Of the activation.
    V: (E u², E v², E uv) -> E φ(u) φ(v), elementwise and differentiable.
    phi: φ, which only networks of finite width look at.
    homogeneous: Whether φ(cu) = c φ(u) for c > 0.

  Returns:
    A `Transform` with V̇ = ∂V/∂k, of which Price's theorem is.

  >>> square = own('square', lambda s, t, k: s * t + 2 * k**2)
  >>> print(square.V_dot(1.0, 1.0, 0.5))
  2.0
  """

  def V_dot(s: _Moments, t: _Moments, k: _Moments) -> _Moments:
    return derivative(lambda k: V(s, t, k))(k)

  def missing(u: Array) -> Array:
    raise ValueError(f'activation {name} has no phi: a finite network needs it')

  return Transform(name, phi or missing, V, V_dot, homogeneous)


def _with_slopes(
  V: Callable[..., Array],
  slope: Callable[..., Array],
  V_dot: Callable[..., Array],
) -> Callable[..., Array]:
  """V with its derivatives in closed form: ∂V/∂s = slope, ∂V/∂k = V̇.

  V is symmetric: ∂V/∂t is the slope with s and t exchanged.
  """
  found = jax.custom_jvp(V)

  @found.defjvp
  def _(primals, tangents):
    s, t, k = primals
    ds, dt, dk = tangents
    apart = slope(s, t, k) * ds + slope(t, s, k) * dt
    return found(s, t, k), apart + V_dot(s, t, k) * dk

  return found


def _jitted(
  name: str,
  phi: Callable[[Array], Array],
  V: Callable[..., Array],
  V_dot: Callable[..., Array],
  homogeneous: bool = False,
) -> Transform:
  """One program each, also where nothing around it is compiled."""
  return Transform(name, phi, jax.jit(V), jax.jit(V_dot), homogeneous)


TRANSFORMS: dict[str, Transform] = {
  t.name: t
  for t in (
    _jitted(
      'relu',
      jax.nn.relu,
      _with_slopes(_relu_v, _relu_slope, _relu_v_dot),
      _relu_v_dot,
      True,
    ),
    _jitted(
      'erf',
      jax.scipy.special.erf,
      _with_slopes(_erf_v, _erf_slope, _erf_v_dot),
      _erf_v_dot,
    ),
    _jitted('sin', jnp.sin, _sin_v, _sin_v_dot),
    _jitted(
      'exp',
      jnp.exp,
      lambda s, t, k: jnp.exp((s + t) / 2 + k),
      lambda s, t, k: jnp.exp((s + t) / 2 + k),
    ),
    _jitted(
      'identity',
      lambda u: u,
      lambda s, t, k: k + jnp.zeros_like(s + t),
      lambda s, t, k: jnp.ones_like(s + t + k),
      True,
    ),
    _jitted(
      'gelu',
      _gelu,
      _with_slopes(_gelu_v, _gelu_slope, _gelu_v_dot),
      _gelu_v_dot,
    ),
    _jitted(
      'gelu_tanh',
      _gelu_tanh,
      expectation(_gelu_tanh, _gelu_tanh),
      expectation(derivative(_gelu_tanh), derivative(_gelu_tanh)),
    ),
  )
}


def transform(name: str) -> Transform:
  """The transform of an activation.

  Args:
    name: relu, erf, sin, exp, identity, gelu or gelu_tanh.

  Returns:
    A `Transform`.

  Raises:
    ValueError: If there is none.

  >>> relu = transform('relu')
  >>> print(relu.V(1.0, 1.0, 1.0).round(3), relu.V_dot(1.0, 1.0, 0.0).round(3))
  0.5 0.25
  """
  if name not in TRANSFORMS:
    raise ValueError(
      f'activation is {name!r}, expected one of {", ".join(TRANSFORMS)}'
    )
  return TRANSFORMS[name]
