"""The kernels against quadrature, and the tangent kernel against networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from framework.evidence import fits
from framework.maths.gaussian import transform
from framework.maths.kernels import kernels


def near(one, other, atol):
  np.testing.assert_allclose(one, other, rtol=0, atol=atol)


# In a plane, at correlations from 1 to -0.97.
ANGLES = np.radians([0, 50, 130, 165])
POINTS = np.array([1.0, 0.9, 1.1, 1.0])[:, None] * np.stack(
  [np.cos(ANGLES), np.sin(ANGLES)], 1
)


def expectation(f, s, t, k, nodes=80):
  """E f(a) f(b), by quadrature."""
  x, w = np.polynomial.hermite_e.hermegauss(nodes)
  w = w / w.sum()
  a = np.sqrt(s) * x[:, None]
  b = k / np.sqrt(s) * x[:, None] + np.sqrt(t - k**2 / s) * x[None]
  return np.einsum('i,j,ij->', w, w, f(a) * f(b))


def by_layer(L, x, y, var_w, var_b, var_v):
  """(NNGP, NTK) of two inputs as a sum over layers, each with its products.

  NTK = E_L + Σ_l Σ^l Π_m≥l v_m Ė_m
  """
  phi, slope = special.erf, lambda z: 2 / np.sqrt(np.pi) * np.exp(-(z**2))
  moments = [var_w * np.array([x @ x, y @ y, x @ y]) + var_b]
  for _ in range(L - 1):
    s, t, k = moments[-1]
    pairs = (s, s, s * (1 - 1e-13)), (t, t, t * (1 - 1e-13)), (s, t, k)
    own = np.array([expectation(phi, *pair) for pair in pairs])
    moments.append(var_w * own + var_b)
  scales = [var_w] * (L - 1) + [var_v]
  back = [
    scale * expectation(slope, *m)
    for scale, m in zip(scales, moments, strict=True)
  ]
  nngp = var_v * expectation(phi, *moments[-1])
  layers = [m[2] * np.prod(back[i:]) for i, m in enumerate(moments)]
  return nngp, nngp + sum(layers)


@pytest.mark.parametrize('L', [1, 2, 3])
def test_kernels_of_any_variances(L):
  x, y = np.array([[0.6, -0.3], [0.5, 0.4]])
  vars = 0.7, 0.2, 1.6
  want = by_layer(L, x, y, *vars)
  found = kernels(transform('erf'), L, x[None], y[None], *vars)
  for mine, theirs in zip(found, want, strict=True):
    np.testing.assert_allclose(mine[0, 0], theirs, rtol=1e-9, atol=0)
  # The readout scales both, and the other way round it is the same.
  again = kernels(transform('erf'), L, y[None], x[None], 0.7, 0.2, 3.2)
  for mine, theirs in zip(again, want, strict=True):
    np.testing.assert_allclose(mine[0, 0], 2 * theirs, rtol=1e-9, atol=0)


def test_what_is_left_out_has_variance_one_and_no_bias():
  one = kernels(transform('erf'), 2, POINTS, POINTS)
  two = kernels(transform('erf'), 2, POINTS, POINTS, 1.0, 0.0, 1.0)
  for a, b in zip(one, two, strict=True):
    np.testing.assert_array_equal(a, b)
  with pytest.raises(ValueError, match='depth is 0, expected an integer >= 1'):
    kernels(transform('erf'), 0, POINTS, POINTS)


@pytest.mark.parametrize('var_w, depth', [(200.0, 10), (2e-3, 10)])
def test_deep_kernels_fit_in_single_precision(var_w, depth):
  """Values from 1e-31 to 1e21, whose squares do not."""
  exact = kernels(transform('relu'), depth, POINTS, POINTS, var_w)
  x = POINTS.astype(np.float32)
  single = kernels(transform('relu'), depth, x, x, np.float32(var_w))
  for a, b in zip(single, exact, strict=True):
    assert a.dtype == jnp.float32
    np.testing.assert_allclose(a, b, rtol=2e-3, atol=0)


def draw(key, L, n, dtype=jnp.float64):
  """Weights of variance 1, of the input first."""
  sizes = [POINTS.shape[1], *[n] * L, 1]
  keys = jax.random.split(key, L + 1)
  return [
    jax.random.normal(k, (out, into), dtype)
    for k, into, out in zip(keys, sizes, sizes[1:], strict=False)
  ]


def finite(params, x):
  h = x @ params[0].T
  for W in params[1:]:
    h = jax.nn.relu(h) @ W.T / np.sqrt(W.shape[1])
  return h[..., 0]


def jacobian_gram(params, x):
  """JJᵀ layer by layer: of a matrix, ⟨D_i, D_j⟩ ⟨x_i, x_j⟩ over its inputs."""
  inputs, scales, derivatives = [x], [1.0], []
  for W in params[:-1]:
    h = inputs[-1] @ W.T / np.sqrt(scales[-1])
    derivatives.append((h > 0).astype(h.dtype))
    inputs.append(jax.nn.relu(h))
    scales.append(W.shape[0])
  D = jnp.ones((len(x), 1), x.dtype)
  total = 0
  for W, z, n in zip(params[::-1], inputs[::-1], scales[::-1], strict=True):
    total = total + (D @ D.T) * (z @ z.T) / n
    if derivatives:
      D = D @ W / np.sqrt(n) * derivatives.pop()
  return total


@pytest.mark.parametrize('L', [1, 2, 3])
def test_the_gram_is_that_of_the_jacobian(L):

  @jax.jit
  def both(key):
    params = draw(key, L, 20)
    J = jax.jacrev(finite)(params, POINTS)
    want = sum(jnp.einsum('iab,jab->ij', j, j) for j in J)
    return jacobian_gram(params, POINTS), want

  near(*both(jax.random.key(2)), 1e-12)


def mean_gram(L, n, nets):
  """The mean over networks, and the standard error of its entries."""
  keys = jax.random.split(jax.random.key(1), nets)
  x = POINTS.astype(np.float32)

  def one(key):
    return jacobian_gram(draw(key, L, n, np.float32), x)

  grams = jax.jit(lambda keys: jax.lax.map(one, keys))(keys)
  return np.mean(grams, 0), np.std(grams, 0, ddof=1) / nets**0.5


def gap(kernel, gram):
  """Off the diagonal and on it, over the diagonal's scale."""
  off = np.abs(np.asarray(kernel) - gram) / np.diag(gram).max()
  return np.max(off - np.diag(np.diag(off))), np.max(np.diag(off))


# A Gram of width 4000 alone varies by 3 to 4 %, so several are averaged.
@pytest.mark.parametrize(
  'L, n, nets',
  [
    (1, 4000, 40),
    (2, 500, 80),
    pytest.param(2, 4000, 10, marks=pytest.mark.slow),
    pytest.param(3, 4000, 10, marks=pytest.mark.slow),
  ],
)
def test_the_jacobian_gram_of_a_wide_network_is_the_kernel(L, n, nets):
  gram, stderr = mean_gram(L, n, nets)
  right = kernels(transform('relu'), L, POINTS, POINTS).ntk
  assert stderr.max() < 0.015 * np.diag(gram).max()
  assert max(gap(right, gram)) < 0.03
  # Right on the diagonal, where all correlations are 1, and wrong elsewhere.
  off, on = gap(at_activations(L, POINTS, 0.5), gram)
  assert on < 0.03 < off
  # As published, also without the ½.
  assert min(gap(at_activations(L, POINTS, 1.0), gram)) > 0.3


def at_activations(L, x, half):
  """The other kernel in use: V̇ at the correlation of the *activations*."""

  def V(q):
    return (np.sqrt(1 - q**2) + q * np.arccos(-q)) / (2 * np.pi)

  sigma = theta = np.asarray(x @ x.T)
  for _ in range(L):
    scale = np.sqrt(np.outer(np.diag(sigma), np.diag(sigma)))
    sigma = scale * V(np.clip(sigma / scale, -1, 1))
    after = np.sqrt(np.outer(np.diag(sigma), np.diag(sigma)))
    q = np.clip(sigma / after, -1, 1)
    theta = sigma + half * np.arccos(-q) / np.pi * theta
  return theta


@pytest.mark.parametrize('L, ratio', [(1, 1.5), (2, 7 / 3), (3, 3.75)])
def test_the_other_kernel_in_use_is_another(L, ratio):
  mine = np.asarray(kernels(transform('relu'), L, POINTS, POINTS).ntk)
  other = at_activations(L, POINTS, 1.0)
  np.testing.assert_allclose(
    np.diag(other) / np.diag(mine), ratio, rtol=1e-6, atol=0
  )


def test_outputs_in_the_kernel_regime_do_not_fall_with_the_width():
  """Slope 0, where µP has −1/2; 400 seeds leave ± 0.02."""
  widths = (8, 32, 128)
  keys = jax.random.split(jax.random.key(0), 400)
  rms = []
  for n in widths:

    def f0(key, n=n):
      return finite(draw(key, 2, n, np.float32), POINTS.astype(np.float32))

    f = jax.jit(lambda keys, f0=f0: jax.lax.map(f0, keys))(keys)
    rms.append(np.sqrt(np.mean(f**2)))
  slope = float(fits.power_law(np.array(widths, float), np.array(rms)).slope)
  assert abs(slope) <= 0.06
