"""Runs on drawn samples, against their expectation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import rollout
from framework.systems.spectrum import sgd


@pytest.mark.parametrize('batch, decay', [(1, 0.0), (4, 0.05)])
def test_the_mean_over_runs_is_the_expectation(batch, decay):
  structure = sgd.Structure(modes=30, batch=batch)
  hp = sgd.Hp(decay=decay, alpha=1.5, beta=1.5, width=20)
  hp = jax.tree.map(jnp.asarray, hp)
  times = jnp.array([0, 5, 60])
  keys = jax.random.split(jax.random.key(1), 1500)

  def run(system, key):
    return rollout(system, key, hp, times)[1]['excess']

  many = jax.jit(jax.vmap(lambda key: run(sgd.sampled(structure), key)))(keys)
  wanted = jax.jit(lambda key: run(sgd.expected(structure), key))(keys[0])
  error = many.std(0) / len(keys) ** 0.5
  assert np.all(np.abs(many.mean(0) - wanted) <= 4 * error + 1e-12)
  assert np.all(error < 0.03 * wanted)


def test_rows_are_repeated_in_their_order():
  structure = sgd.Structure(modes=5, rows_max=7)
  system = sgd.sampled(structure)
  hp = jax.tree.map(jnp.asarray, sgd.Hp(rows=3, eta=0.4, decay=0.01))
  (model, rows), state = (
    (problem := system.sample(jax.random.key(0), hp)),
    system.init(None, problem, hp),
  )
  w = np.zeros(5)
  for t in range(5):
    state = system.step(jax.random.key(t), state, problem, hp)
    x, y = np.asarray(rows.x[t % 3]), np.asarray(rows.y[t % 3])
    w = (1 - model.eta * 0.01) * w - model.eta * x * (x @ w - y)
  np.testing.assert_allclose(state.w, w, rtol=1e-12, atol=1e-15)


@pytest.mark.slow
def test_repeated_samples_do_harm_where_repeats_and_noise_are_large():
  """Epochs on 100 noisy samples do; on 400, or without noise, they do not."""
  times = jnp.array([1000, 7750])
  system = sgd.sampled(sgd.Structure(modes=300, rows_max=400))

  def rise(noise, rows, key):
    hp = sgd.Hp(noise=noise, rows=rows)
    seen = rollout(system, key, jax.tree.map(jnp.asarray, hp), times)[1]
    return seen['excess']

  keys = jax.random.split(jax.random.key(3), 16)
  cells = jnp.array([0.25, 0.25, 0.0]), jnp.array([100, 400, 100])
  runs = jax.vmap(jax.vmap(rise, (None, None, 0)), (0, 0, None))
  mean = jax.jit(runs)(*cells, keys).mean(1)
  harmed, many, clean = mean[:, 1] / mean[:, 0]
  assert harmed > 1.25
  assert many < 1.25 and many < harmed
  assert clean < 1.0
