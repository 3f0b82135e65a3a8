"""V and V̇ against quadrature; the tangent kernel against finite networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from framework.mup.ntk import kernels
from framework.mup.vtransforms import TRANSFORMS, transform

# (φ, φ') on the host.
SMOOTH = {
  'erf': (special.erf, lambda z: 2 / np.sqrt(np.pi) * np.exp(-(z**2))),
  'sin': (np.sin, np.cos),
  'exp': (np.exp, np.exp),
  'identity': (lambda z: z, np.ones_like),
}


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


def test_relu_by_its_own_formula_and_safe_at_the_ends():
  relu = transform('relu')
  s = t = jnp.asarray(1.0)
  for k in (-1.0, -0.3, 0.0, 0.9, 1.0):
    k = jnp.asarray(k)
    want = (jnp.sqrt(1 - k**2) + k * np.arccos(-k)) / (2 * np.pi)
    np.testing.assert_allclose(relu.V(s, t, k), want, atol=1e-13)
    np.testing.assert_allclose(
      relu.V_dot(s, t, k), np.arccos(-k) / (2 * np.pi), atol=1e-13
    )
    for f in (relu.V, relu.V_dot):
      assert jnp.isfinite(jax.grad(f, 2)(s, t, k))
  assert set(SMOOTH) | {'relu'} <= set(TRANSFORMS)


def finite(params, x, L):
  h = x @ params[0].T
  for W in params[1:]:
    h = jax.nn.relu(h) @ W.T / np.sqrt(W.shape[1])
  return h[..., 0]


@pytest.mark.parametrize('L', [1, 2])
def test_the_jacobian_gram_of_a_wide_network_is_the_kernel(L):
  d, n, nets = (4, 4000, 4) if L == 1 else (4, 1000, 24)
  x = jax.random.normal(jax.random.key(0), (4, d)) / np.sqrt(d)
  want = kernels(transform('relu'), L, x, x).ntk

  def gram(key):
    shapes = [(n, d), *[(n, n)] * (L - 1), (1, n)]
    keys = jax.random.split(key, L + 1)
    params = [
      jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True)
    ]
    J = jax.jacrev(finite)(params, x, L)
    return sum(jnp.einsum('iab,jab->ij', j, j) for j in J)

  keys = jax.random.split(jax.random.key(1), nets)
  gram = jax.jit(gram)
  got = np.mean([gram(key) for key in keys], 0)
  assert np.abs(got - want).max() < 0.03 * np.diag(want).max()


@pytest.mark.parametrize('L, ratio', [(1, 1.5), (2, 7 / 3), (3, 3.75)])
def test_the_other_kernel_in_use_is_another(L, ratio):
  """V̇ without its ½ at the correlation of activations; here that is 1."""
  x = jnp.array([[1.0, 0.0]])
  mine = kernels(transform('relu'), L, x, x).ntk[0, 0]
  sigma, theta = 1.0, 1.0
  for _ in range(L):
    sigma = sigma / 2
    theta = sigma + 1.0 * theta
  np.testing.assert_allclose(theta / mine, ratio, rtol=1e-6)
