import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from framework import probes
from framework.supervised import supervised
from framework.system import rollout
from tests import toy

KEY = jax.random.key(0)


def quadratic(eigenvalues):
  """½ wᵀ H w in a basis of its own."""
  h = np.asarray(eigenvalues)
  n = h.size
  Q = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]
  H = Q * h @ Q.T
  return lambda w: 0.5 * w @ H @ w


@functools.partial(jax.jit, static_argnums=0)
def edges_of(loss, w):
  return probes.hessian_edges(KEY, loss, w)


@pytest.mark.parametrize(
  'eigenvalues',
  [
    [-3.0, -2.0, 0.5, 4.0],
    [-3.0, -2.0, -1.0],  # the largest is negative, and no 0 is found
    [2.0] * 5,  # one step spans all there is
    [0.0, 0.0],
    [1e-20, 3e-20],
    [7.0],
  ],
)
def test_with_as_many_steps_as_parameters_it_is_exact(eigenvalues):
  w = np.ones(len(eigenvalues))
  got = edges_of(quadratic(eigenvalues), w)
  scale = max(map(abs, eigenvalues))
  want = min(eigenvalues), max(eigenvalues)
  np.testing.assert_allclose(got, want, rtol=0, atol=1e-12 * scale)


def test_no_direction_is_left():
  """The Hessian of a line is 0 to the last bit: no 0/0."""
  got = edges_of(lambda w: jnp.sum(w), np.ones(6))
  np.testing.assert_array_equal(got, [0, 0])
  # Of a parameter that the loss does not see, 0 is an eigenvalue.
  loss = lambda w: -(w['a'] ** 2)  # noqa: E731
  edges = edges_of(loss, {'a': 1.0, 'b': 1.0})
  np.testing.assert_allclose(edges, [-2, 0], rtol=0, atol=1e-12)


def test_it_rises_to_the_largest_eigenvalue_and_not_beyond():
  rng = np.random.default_rng(0)
  loss, w = quadratic(np.r_[rng.uniform(-1, 1, 298), 1.5, 2.0]), jnp.ones(300)
  found = [
    float(jax.jit(probes.sharpness, static_argnums=(1, 3))(KEY, loss, w, k))
    for k in (1, 4, 12, 48)
  ]
  assert found == sorted(found)
  assert found[0] < 1.5
  assert 2 - 1e-9 < found[-1] < 2 + 1e-12


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.float64])
def test_it_is_the_dense_hessian_of_a_network(dtype):
  """As a probe of lanes over time, beside the eigenvalues of ∇²L."""

  def dense(view):
    flat, tree_of = ravel_pytree(view.params)
    return jnp.linalg.eigvalsh(
      jax.hessian(lambda x: view.loss(tree_of(x)))(flat)
    )

  def edges(view):
    return jnp.stack(probes.hessian_edges(KEY, view.loss, view.params, 17))

  def sample(key, hp):
    x = toy.draw(key, (8, 2), dtype)
    return {'x': x, 'y': jnp.sin(x[:, 0])}

  net = supervised(
    sample,
    toy.Net(4, dtype),
    lambda out, y: (out - y) ** 2,
    lambda hp: toy.optax.sgd(hp),
    probes={'dense': dense, 'edges': edges},
  )

  @jax.jit
  @jax.vmap
  def run(lr):
    return rollout(net, KEY, lr, jnp.array([0, 30]))[1]

  seen = run(jnp.array([0.05, 0.2], dtype))
  assert seen['edges'].dtype == dtype
  want = seen['dense'][..., jnp.array([0, -1])]
  tolerance = 1e-4 if dtype == jnp.float32 else 1e-9
  np.testing.assert_allclose(seen['edges'], want, rtol=0, atol=tolerance)


def test_half_precision_parameters_have_wide_vectors():
  w = jnp.ones(3, jnp.bfloat16)
  loss = lambda w: jnp.sum(jnp.array([1, 4, 9], w.dtype) * w**2)  # noqa: E731
  got = jax.jit(probes.sharpness, static_argnums=1)(KEY, loss, w)
  assert got.dtype == jnp.float32
  np.testing.assert_allclose(got, 18, rtol=1e-2, atol=0)


def test_a_product_with_the_hessian_is_one_with_the_matrix():
  loss = lambda w: jnp.prod(jnp.sin(w))  # noqa: E731
  w, v = np.array([0.3, 1.0, 2.0]), np.array([1.0, -2.0, 0.5])
  got = jax.jit(probes.hvp, static_argnums=0)(loss, w, v)
  H = np.asarray(jax.jit(jax.hessian(loss))(w))
  np.testing.assert_allclose(got, H @ v, rtol=1e-12, atol=0)


def test_no_steps_are_refused():
  with pytest.raises(ValueError, match='steps is 0'):
    probes.sharpness(KEY, jnp.sum, jnp.ones(2), 0)


def test_it_is_lowered_without_calling_back():
  f = functools.partial(probes.sharpness, loss=quadratic([1.0, 2.0, 3.0]))
  exported = jax.export.export(
    jax.jit(lambda words, w: f(jax.random.wrap_key_data(words), params=w)),
    platforms=('cpu', 'cuda', 'tpu'),
  )(jax.random.key_data(KEY), jnp.ones(3))
  assert 'callback' not in exported.mlir_module()
