"""The exact-horizon gradient: as autodiff where that is right, right beyond."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.systems.attention_svm import gradient as horizon
from framework.systems.attention_svm import layer as attention
from framework.systems.attention_svm import losses
from framework.systems.attention_svm.losses import logistic as LOGISTIC

GOLDEN = pathlib.Path(__file__).parents[2] / 'golden'
TRAIN = dict(np.load(GOLDEN / 'svm_train.npz'))
EXACT = dict(np.load(GOLDEN / 'svm_exact_ngd.npz'))


def relative(got, want):
  return float(np.linalg.norm(got - want) / np.linalg.norm(want))


def instance(seed):
  X, Z = TRAIN['X'][seed], TRAIN['Z'][seed]
  return X, Z, attention.scores(X, TRAIN['Y'][seed], TRAIN['v'][seed])


jacobian = jax.jit(horizon.jacobian)


def whole(scaled):
  return jax.tree.map(lambda g: jnp.exp(scaled.scale) * g, scaled.tree)


@pytest.mark.parametrize('seed', range(4))
def test_the_stored_gradients_at_initialisation(seed):
  # Stored as the weights of linear layers, (m, d).
  K, Q = TRAIN['K0'][seed].T, TRAIN['Q0'][seed].T
  at_start, got, found = at_the_start(TRAIN['W0'][seed], K, Q, *instance(seed))
  assert relative(got['W'], TRAIN['gradW0'][seed]) < 1e-13
  assert relative(found['K'].T, TRAIN['gradK0'][seed]) < 1e-13
  assert relative(found['Q'].T, TRAIN['gradQ0'][seed]) < 1e-13
  np.testing.assert_allclose(
    at_start.loss, TRAIN['loss_W'][seed][0], rtol=1e-12, atol=0
  )


@jax.jit
def at_the_start(W, K, Q, *data):
  by_W = horizon.gradient(W, *data, LOGISTIC)
  by_K = horizon.kq_gradient(K, Q, *data, LOGISTIC)
  return by_W, whole(by_W), whole(by_K)


@functools.partial(jax.jit, static_argnames=('rate', 'epsilon'))
def descend(data, params, steps, rate=0.1, epsilon=0.0):
  """Normalised descent, each factor by its own norm; iterates after `steps`.

  The update is rate ∇L/(‖∇L‖ + ε), so that with ε > 0 it ends when ‖∇L‖ ~ ε.
  """

  def gradient(params):
    if 'W' in params:
      return horizon.gradient(params['W'], *data, LOGISTIC)
    return horizon.kq_gradient(params['K'], params['Q'], *data, LOGISTIC)

  def step(_, params):
    tree, scale, _ = gradient(params)
    floor = epsilon * jnp.exp(-scale) if epsilon else 0
    return jax.tree.map(
      lambda w, g: w - rate * g / (jnp.linalg.norm(g) + floor), params, tree
    )

  def stop(carry, until):
    t, params = carry
    params = jax.lax.fori_loop(t, until, step, params)
    return (until, params), attention.weights_of(params)

  start = (jnp.int32(0), params)
  return jax.lax.scan(stop, start, jnp.asarray(steps, jnp.int32))[1]


@pytest.mark.parametrize('seed', range(4))
def test_normalised_descent_on_W_replays(seed):
  """The stored runs add ε = 2.22e-16 to the norm, felt from step 500 on."""
  snaps = TRAIN['snaps'][1:12]  # to step 1000
  params = {'W': jnp.asarray(TRAIN['W0'][seed])}
  got = descend(instance(seed), params, snaps, epsilon=2.22e-16)
  for t, W in zip(snaps, got, strict=True):
    most = 1e-11 if t <= 200 else 1e-9 if t <= 500 else 1e-3
    want = TRAIN['W_W'][seed, list(TRAIN['snaps']).index(t)]
    assert relative(W, want) < most, t


@pytest.mark.parametrize('seed', range(4))
def test_normalised_descent_on_K_and_Q_replays(seed):
  snaps = TRAIN['snaps'][1:8]  # to step 100
  params = {
    'K': jnp.asarray(TRAIN['K0'][seed].T),
    'Q': jnp.asarray(TRAIN['Q0'][seed].T),
  }
  got = descend(instance(seed), params, snaps)
  for t, W in zip(snaps, got, strict=True):
    index = list(TRAIN['snaps']).index(t)
    most = 1e-12 if t <= 20 else 1e-6
    assert relative(W, TRAIN['W_KQ'][seed, index]) < most, t


@pytest.mark.parametrize('seed', range(4))
def test_far_beyond_saturation_it_agrees_with_an_independent_one(seed):
  """20 000 steps: attention is 1 up to e^-100, autodiff is noise."""
  got = descend(
    instance(seed), {'W': jnp.asarray(TRAIN['W0'][seed])}, EXACT['iters']
  )
  for t, W, want in zip(EXACT['iters'], got, EXACT['W'][seed], strict=True):
    cosine = np.vdot(W, want) / np.linalg.norm(W) / np.linalg.norm(want)
    assert 1 - cosine < 1e-6, t


@pytest.mark.parametrize('seed', [0, 1])
def test_float32_goes_as_far(seed):
  X, Z, gamma = (np.asarray(x, np.float32) for x in instance(seed))
  W0 = jnp.asarray(TRAIN['W0'][seed], jnp.float32)
  got = descend((X, Z, gamma), {'W': W0}, np.array([20_000]))[0]
  assert got.dtype == jnp.float32
  want = EXACT['W'][seed][list(EXACT['iters']).index(20_000)]
  cosine = np.vdot(got, want) / np.linalg.norm(got) / np.linalg.norm(want)
  assert 1 - cosine < 5e-5


@given(
  seed=st.integers(0, 2**31 - 1),
  scale=st.sampled_from([0.1, 1.0, 5.0]),
  loss=st.sampled_from(
    [
      losses.exponential,
      losses.linear,
      losses.logistic,
      losses.loss_of(lambda u: -jnp.tanh(u / 3)),
    ]
  ),
  padded=st.booleans(),
)
@settings(deadline=None, max_examples=25)
def test_it_is_the_derivative(seed, scale, loss, padded):
  n, T, d = 4, 5, 3
  key = jax.random.split(jax.random.key(seed), 4)
  X, Z = jax.random.normal(key[0], (n, T, d)), jax.random.normal(key[1], (n, d))
  W = scale * jax.random.normal(key[2], (d, d))
  gamma = jax.random.normal(key[3], (n, T))
  mask = None
  if padded:
    mask = np.arange(T) < np.array([1, 2, 4, 5])[:, None]

  def plain(W):
    s = attention.attention(W, X, Z, mask)
    return jnp.mean(loss.value(jnp.sum(s * gamma, -1)))

  value, want = jax.value_and_grad(plain)(W)
  got = horizon.gradient(W, X, Z, gamma, loss, mask)
  np.testing.assert_allclose(got.loss, value, rtol=1e-12, atol=1e-14)
  np.testing.assert_allclose(
    whole(got)['W'], want, rtol=1e-9, atol=1e-11 * float(jnp.abs(want).max())
  )


def test_where_autodiff_is_wrong_it_is_right():
  """One sample, two tokens: q = s_0 s_1 (γ_0 − γ_1) = ± e^-60 exactly."""
  a, gamma = np.array([[60.0, 0.0]]), np.array([[0.3, 0.1]])
  naive = jax.jit(jax.grad(lambda a: jnp.sum(jax.nn.softmax(a) * gamma)))(a)
  j = jacobian(a, gamma)
  want = 0.2 * np.exp(-60) * np.array([[1, -1]])
  np.testing.assert_allclose(
    np.exp(j.scale) * np.asarray(j.q), want, rtol=1e-14, atol=0
  )
  assert abs(naive[0, 0] / want[0, 0] - 1) > 0.1


def test_nothing_underflows():
  j = jacobian(
    np.array([[5e4, 0.0, -10.0]], np.float32),
    np.array([[1.0, 0.0, 2.0]], np.float32),
  )
  assert j.scale == -5e4
  np.testing.assert_allclose(
    np.asarray(j.q)[0, :2], [1 - np.exp(-10), -1], rtol=1e-5, atol=0
  )


def test_a_sample_without_a_choice_has_no_gradient():
  j = jacobian(np.array([[2.0, -np.inf]]), np.array([[1.0, 9.0]]))
  assert not j.q.any() and j.margin == 1 and j.scale == 0
