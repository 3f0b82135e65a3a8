"""Deep limits by particles: exact where they are linear, and networks.

golden/mup_deep_networks.npz: means of 1200 networks (plain numpy, gradients by
hand) of widths n = 512 and 1024, extrapolated by 2 f_1024 − f_512 since the
mean's error is c/n, with its standard error. Entry t is before step t.
"""

import json
import pathlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.infinite_width.limits import deep_linear, deep_particles

FOLDER = pathlib.Path(__file__).parents[3] / 'golden'
NETS = np.load(FOLDER / 'mup_deep_networks.npz')
HP = json.loads(str(NETS['hp']))
SIGMAS = HP['sigma1'], HP['sigma_w'], HP['sigma_v']
X, Y, PROBE = NETS['X'], NETS['Y'], NETS['Xe']
T, LR = HP['steps'], HP['lr']
D, K = X.shape[1], Y.shape[1]
STEP = jax.jit(deep_particles.step, static_argnums=5)


def trajectory(key, particles, depth, phi, x=X, y=Y, capacity=None):
  x, y, probe = map(jnp.asarray, (x, y, PROBE))

  def one(state, t):
    up, down = jax.random.split(jax.random.fold_in(key, t))
    f = deep_particles.apply(up, state, probe, phi)
    return deep_particles.step(down, state, x, y, LR, phi), f

  M = capacity or T * len(x)
  state = deep_particles.init(key, particles, depth, M, D, K, *SIGMAS)
  state, f = jax.lax.scan(one, state, jnp.arange(1, T + 1))
  last = deep_particles.apply(jax.random.fold_in(key, 0), state, probe, phi)
  return jnp.concatenate([f, last[None]])


def batches(count, *args, **kwargs):
  """Batches of particles, one after the other for the sake of memory."""
  keys = jax.random.split(jax.random.key(5), count)
  run = jax.jit(
    lambda keys: jax.lax.map(lambda k: trajectory(k, *args, **kwargs), keys)
  )
  return deep_particles.estimate(run(keys))


def exact(depth, x=X, y=Y):
  """The deep linear limit."""
  x, y, probe = map(jnp.asarray, (x, y, PROBE))

  def one(state, _):
    f = deep_linear.apply(state, probe)
    return deep_linear.step(state, x, y, LR), f

  state = deep_linear.init(depth, (T + 1) * len(x), D, K, *SIGMAS)
  return jax.jit(lambda s: jax.lax.scan(one, s, None, T + 1)[1])(state)


@pytest.mark.parametrize(
  'name, particles',
  [
    ('tanh', 5000),
    ('relu', 5000),
    pytest.param('tanh', 60_000, marks=pytest.mark.slow),
    pytest.param('relu', 60_000, marks=pytest.mark.slow),
  ],
)
def test_it_is_where_networks_go(name, particles):
  """Within four combined standard errors, which are small against f."""
  phi = {'tanh': jnp.tanh, 'relu': jax.nn.relu}[name]
  got = batches(10, particles, 2, phi)
  mean, stderr = NETS[f'{name}_mean'], NETS[f'{name}_se']
  combined = np.hypot(got.stderr, stderr)
  assert combined.max() < 0.05 * np.abs(mean).max()
  assert np.abs((got.mean - mean) / combined).max() <= 4


def linear(u):
  return u


@pytest.mark.parametrize('depth', [1, 2, 3])
def test_linear_layers_are_the_exact_limit(depth):
  """At 2e5 particles within 0.02, three times the largest standard error."""
  got = batches(10, 20_000, depth, linear)
  assert np.abs(got.mean - exact(depth)).max() <= 0.02
  assert got.stderr.max() <= 0.007


def test_a_sample_seen_twice_has_no_gaussian_of_its_own():
  """Pivots of zero: the same point twice in each batch."""
  x, y = np.concatenate([X[:2], X[:2]]), np.concatenate([Y[:2], Y[:2]])
  got = batches(10, 5000, 2, linear, x, y)
  # Four standard errors.
  assert np.abs(got.mean - exact(2, x, y)).max() <= 4 * got.stderr.max()
  state = deep_particles.init(jax.random.key(0), 1000, 2, 4, D, K)
  state = STEP(jax.random.key(1), state, x, y, LR, jnp.tanh)
  pivots = np.diagonal(state.F.C[0])
  assert (pivots[:2] > 0.01).all() and (pivots[2:] == 0).all()


def test_families_have_the_covariance_that_they_should():
  """C Cᵀ = σ_w² E[x x], to the floor, after two steps."""
  state = deep_particles.init(jax.random.key(0), 2000, 3, 8, D, K, *SIGMAS)
  for t in range(2):
    key = jax.random.key(t + 1)
    state = STEP(key, state, X, Y, LR, jnp.tanh)
  for C, before in (
    (state.F.C[0], state.features[0]),
    (state.F.C[1], state.features[1]),
    (state.G.C[0], state.D[1]),
    (state.G.C[1], state.D[2]),
  ):
    want = HP['sigma_w'] ** 2 * before.T @ before / len(before)
    np.testing.assert_allclose(C @ C.T, want, atol=1e-9, rtol=1e-7)


def test_lanes_agree_and_beyond_the_capacity_all_is_nan():
  keys = jax.random.split(jax.random.key(0), 2)
  lanes = jax.jit(jax.vmap(lambda k: trajectory(k, 200, 2, jnp.tanh)))(keys)
  less = T * len(X) - 1
  short = jax.jit(lambda k: trajectory(k, 200, 2, jnp.tanh, capacity=less))
  f = short(keys[1])
  # The noise does not depend on the capacity.
  np.testing.assert_allclose(f[:-1], lanes[1, :-1], atol=1e-10, rtol=1e-7)
  assert np.isnan(f[-1]).all() and np.abs(lanes[0] - lanes[1]).max() > 0.01


def test_float32_has_a_floor_of_its_own():
  """Equal samples in two steps with a rate of zero: nothing new the second."""
  single = jnp.float32
  state = deep_particles.init(
    jax.random.key(0), 2000, 2, 8, D, K, *SIGMAS, dtype=single
  )
  x, y = X.astype(single), Y.astype(single)
  for _ in range(2):
    state = STEP(jax.random.key(1), state, x, y, single(0), jnp.tanh)
  assert state.features.dtype == single
  assert np.isfinite(state.features).all() and np.isfinite(state.D).all()
  assert (np.diagonal(state.F.C[0])[4:] == 0).all()


def test_steps_are_compiled_once():
  step = jax.jit(
    chex.assert_max_traces(deep_particles.step, n=1),
    static_argnums=5,
    donate_argnums=1,
  )
  state = deep_particles.init(jax.random.key(0), 50, 2, 12, D, K)
  for t in range(3):
    state = step(jax.random.key(t), state, X, Y, LR, jnp.tanh)
  assert state.count == 12


@pytest.mark.parametrize('name', ['particles', 'depth', 'capacity', 'd', 'k'])
def test_sizes_are_checked(name):
  sizes = {'particles': 5, 'depth': 2, 'capacity': 4, 'd': 1, 'k': 1}
  with pytest.raises(ValueError, match=f'{name} is 0, expected'):
    deep_particles.init(jax.random.key(0), **(sizes | {name: 0}))
