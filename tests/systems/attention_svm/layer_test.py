"""Attention modules: masks are all there is to padding and causality."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.attention_svm import layer as attention

n, T, d = 3, 4, 5


@pytest.fixture
def data():
  key = jax.random.split(jax.random.key(0), 2)
  return jax.random.normal(key[0], (n, T, d)), jax.random.normal(key[1], (n, d))


def head(x):
  return jnp.sum(jax.nn.relu(x), -1)


def test_modules_are_the_formula(data):
  X, Z = data
  net = attention.Attention(head, dtype=jnp.float64)
  params = net.init(jax.random.key(1), X, Z)
  W = params['params']['W']
  assert W.shape == (d, d) and abs(W).max() <= d**-0.5
  want = []
  for x, z in zip(X, Z, strict=True):
    a = np.asarray(x @ W @ z)
    s = np.exp(a - a.max()) / np.exp(a - a.max()).sum()
    want.append(np.maximum(np.asarray(x).T @ s, 0).sum())
  np.testing.assert_allclose(net.apply(params, X, Z), want, rtol=1e-12, atol=0)


def test_key_and_query_are_one_matrix(data):
  X, Z = data
  net = attention.KeyQueryAttention(head, rank=2, dtype=jnp.float64)
  params = net.init(jax.random.key(1), X, Z)
  W = attention.weights_of(params['params'])
  assert np.linalg.matrix_rank(W) == 2
  whole = attention.Attention(head, dtype=jnp.float64)
  np.testing.assert_allclose(
    net.apply(params, X, Z),
    whole.apply({'params': {'W': W}}, X, Z),
    rtol=1e-12,
    atol=0,
  )


def test_padding_changes_nothing(data):
  X, Z = data
  W = jnp.eye(d)
  mask = np.arange(T) < np.array([2, 3, 4])[:, None]
  s = attention.attention(W, X, Z, mask)
  for i, length in enumerate([2, 3, 4]):
    alone = attention.attention(W, X[i : i + 1, :length], Z[i : i + 1])[0]
    np.testing.assert_allclose(s[i, :length], alone, rtol=1e-12, atol=0)
    assert not s[i, length:].any()


def test_causal_is_every_prefix(data):
  X, _ = data
  mask = np.arange(T) < np.array([2, 3, 4])[:, None]
  W = jax.random.normal(jax.random.key(3), (d, d))
  s = attention.attention(W, *attention.causal(X, mask)).reshape(n, T, T)
  for i, length in enumerate([2, 3, 4]):
    for k in range(length):
      x = X[i, : k + 1]
      np.testing.assert_allclose(
        s[i, k, : k + 1], jax.nn.softmax(x @ W @ X[i, k]), rtol=1e-12, atol=0
      )
      assert not s[i, k, k + 1 :].any()
    for k in range(length, T):  # no token: itself alone
      np.testing.assert_array_equal(s[i, k], np.eye(T)[k])


def test_optimal_tokens_are_tokens(data):
  X, _ = data
  Y, v = jnp.array([1.0, -1.0, 1.0]), jnp.ones(d)
  gamma = attention.scores(X, Y, v)
  np.testing.assert_allclose(gamma[1, 2], -X[1, 2].sum(), rtol=1e-12, atol=0)
  mask = jnp.arange(T) < 2
  best = attention.optimal_tokens(gamma, jnp.tile(mask, (n, 1)))
  np.testing.assert_array_equal(best, np.argmax(gamma[:, :2], -1))
