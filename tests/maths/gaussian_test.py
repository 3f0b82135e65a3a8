"""V and V̇ against quadrature and tables; large variances; derivatives."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from framework.maths.gaussian import TRANSFORMS, transform

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'
# (φ, φ') on the host.
SMOOTH = {
  'erf': (special.erf, lambda z: 2 / np.sqrt(np.pi) * np.exp(-(z**2))),
  'sin': (np.sin, np.cos),
  'exp': (np.exp, np.exp),
  'identity': (lambda z: z, np.ones_like),
  'gelu': (
    lambda z: z * special.ndtr(z),
    lambda z: special.ndtr(z) + z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi),
  ),
}


def near(one, other, atol):
  np.testing.assert_allclose(one, other, rtol=0, atol=atol)


def gauss_hermite(f, s, t, k, nodes=120):
  """E f(a) f(b) of centred Gaussians with variances s, t and covariance k."""
  x, w = np.polynomial.hermite_e.hermegauss(nodes)
  w = w / w.sum()
  a = np.sqrt(s) * x[:, None]
  b = k / np.sqrt(s) * x[:, None] + np.sqrt(t - k**2 / s) * x[None]
  return np.einsum('i,j,ij->', w, w, f(a) * f(b))


@pytest.mark.parametrize('name', sorted(SMOOTH))
def test_smooth_transforms_are_expectations(name):
  found = transform(name)
  for s, t, k in ((0.5, 0.4, 0.3), (0.2, 0.6, -0.25), (0.3, 0.3, 0.0)):
    for mine, f in zip((found.V, found.V_dot), SMOOTH[name], strict=True):
      want = gauss_hermite(f, s, t, k)
      np.testing.assert_allclose(mine(s, t, k), want, rtol=1e-12, atol=1e-12)


def test_relu_is_the_table_of_the_reference():
  """E φφ, E φ'φ' and E φφ'' of the published π-limit, of lengths 1 and |g|."""
  with np.load(GOLDEN / 'mup_relu_tables.npz') as table:
    q, lengths = table['vt_c'], table['vt_s2']
    F00, F11, F02 = (table[f'vt_{name}'] for name in ('F00', 'F11', 'F02'))
  # Of 1 − q² it takes 1e-20 at least: √ of that is 1e-10, by |g|/2π or 1/2π|g|.
  inner, ends = slice(1, -1), [0, -1]
  assert q[0] == -1 and q[-1] == 1
  relu = transform('relu')
  of_square = jax.vmap(jax.grad(relu.V, 1))
  for g, f00, f02 in zip(lengths, F00, F02, strict=True):
    args = jnp.ones(q.shape), jnp.full(q.shape, g**2), jnp.asarray(g * q)
    got = relu.V(*args), relu.V_dot(*args), 2 * of_square(*args)
    for mine, theirs in zip(got, (f00, F11, f02), strict=True):
      near(mine[inner], theirs[inner], 1e-13)
      near(np.asarray(mine)[ends], theirs[ends], 6e-11)


def test_relu_is_safe_at_the_ends():
  relu = transform('relu')
  s = t = jnp.asarray(1.0)
  for k, V, V_dot in ((-1.0, 0.0, 0.0), (1.0, 0.5, 0.5)):
    k = jnp.asarray(k)
    near(relu.V(s, t, k), V, 1e-15)
    near(relu.V_dot(s, t, k), V_dot, 1e-15)
    for f in (relu.V, relu.V_dot):
      assert np.isfinite(jax.grad(f, 2)(s, t, k))
  assert set(SMOOTH) | {'relu', 'gelu_tanh'} == set(TRANSFORMS)


SMALL, LARGE = 1e-25, 1e25  # float32 holds neither square


@pytest.mark.parametrize('q', [-1.0, -0.6, 0.0, 0.999, 1.0])
@pytest.mark.parametrize(
  's, t', [(LARGE, LARGE), (SMALL, SMALL), (SMALL, LARGE), (3e30, 2e7)]
)
def test_relu_of_any_variances_that_fit(s, t, q):
  relu = transform('relu')
  scale = np.sqrt(s) * np.sqrt(t)
  args = [jnp.asarray(x, jnp.float32) for x in (s, t, q * scale)]
  want = np.sqrt(1 - q**2) + q * np.arccos(-q)
  np.testing.assert_allclose(
    np.asarray(relu.V(*args)) / scale, want / (2 * np.pi), rtol=2e-6, atol=1e-7
  )
  near(relu.V_dot(*args), np.arccos(-q) / (2 * np.pi), 2e-4)


@pytest.mark.parametrize('s, t', [(3e20, 2e20), (1e25, 4.0), (1e9, 1e9)])
def test_erf_of_any_variances_that_fit(s, t):
  """E sign sign, once variances are large; V̇ not above its largest value.

  A correlation of 1 is rounded four times, by 2⁻²⁴ each: √ of that, by 2/π.
  """
  erf = transform('erf')
  for q in (-1.0, -0.5, 0.0, 0.5, 1.0):
    k = q * np.sqrt(s) * np.sqrt(t)
    args = [jnp.asarray(x, jnp.float32) for x in (s, t, k)]
    sine = 2 * k / np.sqrt(1 + 2 * s) / np.sqrt(1 + 2 * t)
    near(erf.V(*args), 2 / np.pi * np.arcsin(np.clip(sine, -1, 1)), 4e-4)
    most = 4 / np.pi / np.sqrt(1 + 2 * s + 2 * t)
    assert 0 < erf.V_dot(*args) <= most * (1 + 1e-5)
    assert np.isfinite(jax.grad(erf.V, 2)(*args))
  # On the diagonal it is that largest value.
  if s == t:
    np.testing.assert_allclose(erf.V_dot(*args), most, rtol=1e-5, atol=0)


def test_large_variances_of_a_gelu_are_those_of_a_relu():
  gelu, relu = transform('gelu'), transform('relu')
  for q in (0.0, 0.5, 0.999):
    args = [jnp.asarray(x, jnp.float32) for x in (1e25, 1e20, q * 10**22.5)]
    for mine, want in ((gelu.V, relu.V), (gelu.V_dot, relu.V_dot)):
      np.testing.assert_allclose(mine(*args), want(*args), rtol=1e-4, atol=0)


VARIANCES = [1e-30, 1e-12, 1e-4, 0.3, 7.0, 1e4, 1e12, 1e25, 1e30]
CORRELATIONS = [-1.0, -0.999, -0.6, 0.0, 0.3, 0.999, 1.0]


def everywhere():
  """(s, t, k) of all pairs of variances, in float32, and their q."""
  s, t, q = np.meshgrid(VARIANCES, VARIANCES, CORRELATIONS)
  s, t = np.float32(s.ravel()), np.float32(t.ravel())
  q = q.ravel()
  k = np.float32(q * np.sqrt(np.float64(s)) * np.sqrt(np.float64(t)))
  k = np.where((s == t) & (np.abs(q) == 1), np.float32(q) * s, k)
  return s, t, k, q


@pytest.mark.parametrize('name', ['relu', 'erf', 'gelu'])
def test_all_variances_that_fit_in_single_precision(name):
  """V and its three derivatives, against double precision of the same numbers.

  Errors are over √st, and over what that is differentiated. A correlation that
  rounds to 1 is off by 2⁻²⁴, of which the root is 2.4e-4, over π.
  """
  phi = transform(name)

  @jax.jit
  def found(*args):
    slopes = jax.vmap(jax.grad(phi.V, (0, 1, 2)))(*args)
    return phi.V(*args), *slopes, phi.V_dot(*args)

  *args, q = everywhere()
  single = found(*args)
  s, t, k = (np.asarray(x, np.float64) for x in args)
  double = found(s, t, k)
  scale, over = np.sqrt(s) * np.sqrt(t), np.sqrt(t) / np.sqrt(s)
  one = np.ones_like(s)
  inside = np.abs(q) < 1
  scales = scale, over, 1 / over, one, one
  for mine, want, unit in zip(single, double, scales, strict=True):
    assert mine.dtype == jnp.float32 and np.isfinite(mine).all()
    error = np.abs(np.float64(mine) - want) / unit
    assert error[inside].max() < 5e-7
    assert error.max() < 1e-4
  if name != 'relu':
    # On the diagonal every digit is right.
    own = (s == t) & (q == 1)
    for mine, want in zip(single, double, strict=True):
      np.testing.assert_allclose(mine[own], want[own], rtol=1e-6, atol=1e-44)


@pytest.mark.parametrize('name', ['erf', 'gelu'])
def test_the_derivative_by_a_variance_is_half_of_a_curvature(name):
  """∂V/∂s = ½ E φ''(u) φ(v)."""
  second = {
    'erf': lambda z: -4 / np.sqrt(np.pi) * z * np.exp(-(z**2)),
    'gelu': lambda z: (2 - z**2) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi),
  }[name]
  x, w = np.polynomial.hermite_e.hermegauss(120)
  w = w / w.sum()
  for s, t, k in ((0.5, 0.4, 0.3), (0.2, 0.6, -0.25)):
    a = np.sqrt(s) * x[:, None]
    b = k / np.sqrt(s) * x[:, None] + np.sqrt(t - k**2 / s) * x[None]
    want = 0.5 * np.einsum('i,j,ij->', w, w, second(a) * SMOOTH[name][0](b))
    for n, args in ((0, (s, t, k)), (1, (t, s, k))):
      found = jax.grad(transform(name).V, n)(*map(jnp.asarray, args))
      np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-14)


def test_the_approximate_gelu_is_an_expectation_by_quadrature():
  """Variances of 3 are good to 1e-9, of 9 to 1e-6; not the exact one."""
  found, exact = transform('gelu_tanh'), transform('gelu')
  for s, t, k, atol in ((0.5, 0.4, 0.3, 1e-12), (3.0, 2.0, 2.2, 1e-9)):
    want = gauss_hermite(lambda z: np.asarray(found.phi(z)), s, t, k, 200)
    near(found.V(s, t, k), want, atol)
    assert 1e-6 < abs(found.V(s, t, k) - exact.V(s, t, k)) < 1e-3


@pytest.mark.parametrize('s, t', [(300.0, 280.0), (1e6, 1e6), (3e30, 3e30)])
def test_sin_of_any_variances_that_fit(s, t):
  """Where cosh k is none of float32's numbers, and e^-(s + t)/2 is zero."""
  sin = transform('sin')
  args = [jnp.asarray(x, jnp.float32) for x in (s, t, np.sqrt(s * t))]
  half = np.float64(args[0]) / 2 + np.float64(args[1]) / 2
  want = np.exp(min(np.float64(args[2]) - half, 0)) / 2
  for f in (sin.V, sin.V_dot):
    np.testing.assert_allclose(f(*args), want, rtol=2e-3, atol=0)
    assert np.isfinite(jax.grad(f, 2)(*args))


@pytest.mark.parametrize('name', sorted(TRANSFORMS))
@pytest.mark.parametrize('s, t, k', [(1.2, 1.2, 1.2), (0.7, 0.4, -0.3)])
def test_the_derivative_of_v_is_v_dot(name, s, t, k):
  """Also on the diagonal, where rounding decides on which side q lies."""
  found = transform(name)
  args = [jnp.asarray(x, jnp.float64) for x in (s, t, k)]
  slope = jax.grad(found.V, 2)(*args)
  np.testing.assert_allclose(slope, found.V_dot(*args), rtol=1e-12, atol=1e-15)
  if name == 'relu' and s == k:
    return  # of V̇ it is infinite there
  # One sided: a correlation above 1 has no V̇.
  d = 1e-6
  ahead = found.V_dot(s, t, k), found.V_dot(s, t, k - d)
  curve = jax.grad(found.V_dot, 2)(*args)
  np.testing.assert_allclose(
    curve, (ahead[0] - ahead[1]) / d, rtol=1e-4, atol=1e-9
  )


def test_of_no_variance_nothing_comes():
  for name in TRANSFORMS:
    found = transform(name)
    zero = jnp.zeros(())
    near(found.V(zero, zero, zero), float(name == 'exp'), 0)
    assert np.isfinite(found.V_dot(zero, zero, zero))
    slopes = jax.grad(found.V, (0, 1, 2))(zero, zero, zero)
    assert np.isfinite(slopes).all()
  with pytest.raises(ValueError, match="activation is 'tanh', expected one of"):
    transform('tanh')
