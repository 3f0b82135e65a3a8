"""Attention modules: masks are all there is to padding and causality."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from framework.systems.attention_svm import layer as attention

n, T, d = 3, 4, 5


share = jax.jit(attention.attention)


@pytest.fixture
def data():
  rng = np.random.default_rng(0)
  return rng.standard_normal((n, T, d)), rng.standard_normal((n, d))


def head(x):
  return jnp.sum(jax.nn.relu(x), -1)


def test_modules_are_the_formula(data):
  X, Z = data
  net = attention.Attention(head, dtype=jnp.float64)
  start = jax.jit(net.init_with_output)
  found, params = start(jax.random.key(1), X, Z)
  W = np.asarray(params['params']['W'])
  assert W.shape == (d, d) and abs(W).max() <= d**-0.5
  want = []
  for x, z in zip(X, Z, strict=True):
    a = np.asarray(x @ W @ z)
    s = np.exp(a - a.max()) / np.exp(a - a.max()).sum()
    want.append(np.maximum(np.asarray(x).T @ s, 0).sum())
  np.testing.assert_allclose(found, want, rtol=1e-12, atol=0)


def test_key_and_query_are_one_matrix(data):
  X, Z = data
  net = attention.KeyQueryAttention(head, rank=2, dtype=jnp.float64)
  whole = attention.Attention(head, dtype=jnp.float64)

  @jax.jit
  def both(key):
    found, params = net.init_with_output(key, X, Z)
    W = attention.weights_of(params['params'])
    return W, found, whole.apply({'params': {'W': W}}, X, Z)

  W, found, wanted = both(jax.random.key(1))
  assert np.linalg.matrix_rank(W) == 2
  np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=0)


def test_padding_changes_nothing(data):
  X, Z = data
  W = np.eye(d)
  mask = np.arange(T) < np.array([2, 3, 4])[:, None]
  s = np.asarray(share(W, X, Z, mask))
  for i, length in enumerate([2, 3, 4]):
    alone = np.asarray(share(W, X[i : i + 1, :length], Z[i : i + 1]))[0]
    np.testing.assert_allclose(s[i, :length], alone, rtol=1e-12, atol=0)
    assert not s[i, length:].any()


def test_causal_is_every_prefix(data):
  X, _ = data
  mask = np.arange(T) < np.array([2, 3, 4])[:, None]
  W = np.random.default_rng(3).standard_normal((d, d))
  causal = jax.jit(attention.causal)
  s = np.asarray(share(W, *causal(X, mask))).reshape(n, T, T)
  for i, length in enumerate([2, 3, 4]):
    for k in range(length):
      x = X[i, : k + 1]
      np.testing.assert_allclose(
        s[i, k, : k + 1], softmax(x @ W @ X[i, k]), rtol=1e-12, atol=0
      )
      assert not s[i, k, k + 1 :].any()
    for k in range(length, T):  # no token: itself alone
      np.testing.assert_array_equal(s[i, k], np.eye(T)[k])


def test_optimal_tokens_are_tokens(data):
  X, _ = data
  Y, v = np.array([1.0, -1.0, 1.0]), np.ones(d)
  gamma = np.asarray(jax.jit(attention.scores)(X, Y, v))
  np.testing.assert_allclose(gamma[1, 2], -X[1, 2].sum(), rtol=1e-12, atol=0)
  mask = np.tile(np.arange(T) < 2, (n, 1))
  best = jax.jit(attention.optimal_tokens)(gamma, mask)
  np.testing.assert_array_equal(best, np.argmax(gamma[:, :2], -1))
