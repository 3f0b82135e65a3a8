"""V and V̇ against quadrature; the tangent kernel against finite networks."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from framework.evidence import fits
from framework.maths.gaussian import TRANSFORMS, transform
from framework.maths.kernels import kernels

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'
# (φ, φ') on the host.
SMOOTH = {
  'erf': (special.erf, lambda z: 2 / np.sqrt(np.pi) * np.exp(-(z**2))),
  'sin': (np.sin, np.cos),
  'exp': (np.exp, np.exp),
  'identity': (lambda z: z, np.ones_like),
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
      assert jnp.isfinite(jax.grad(f, 2)(s, t, k))
  assert set(SMOOTH) | {'relu'} <= set(TRANSFORMS)


# In a plane, at correlations from 1 to -0.97.
ANGLES = np.radians([0, 50, 130, 165])
POINTS = jnp.asarray(
  np.array([1.0, 0.9, 1.1, 1.0])[:, None]
  * np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1)
)


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
  params = draw(jax.random.key(2), L, 20)
  J = jax.jacrev(finite)(params, POINTS)
  want = sum(jnp.einsum('iab,jab->ij', j, j) for j in J)
  near(jacobian_gram(params, POINTS), want, 1e-12)


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
  np.testing.assert_allclose(np.diag(other) / np.diag(mine), ratio, rtol=1e-6)


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
