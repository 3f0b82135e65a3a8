"""The regularisation path turns to W^mm as R grows, in both norms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import rollout
from framework.maths.margin.norms import norm_named
from framework.systems.attention_svm import ensembles
from framework.systems.attention_svm import reg_path as rp

RADII = (30.0, 100.0, 300.0)
SEEDS = (0, 1)


@pytest.fixture(scope='module', params=rp.BALLS)
def path(request):
  system = rp.system(rp.Structure(ball=request.param))

  def run(seed, radius):
    hp = rp.Hp(radius=radius)
    return rollout(system, jax.random.key(seed), hp, jnp.array([0, 4000]))

  lanes = jax.vmap(jax.vmap(run, (None, 0)), (0, None))
  return request.param, *jax.jit(lanes)(jnp.array(SEEDS), jnp.array(RADII))


def test_it_tends_to_the_solution(path):
  ball, _, seen = path
  error = np.asarray(seen['error'][:, :, -1])
  if ball == 'frobenius':
    assert (error[:, 1] <= 2e-3).all() and (error[:, 2] <= 3e-4).all()
  slope = np.log(error[:, 2] / error[:, 0]) / np.log(RADII[2] / RADII[0])
  assert ((slope > -2.4) & (slope < -1.6)).all(), slope
  assert (np.diff(seen['distance'][:, :, -1], axis=1) < 0).all()


def test_points_are_stationary_on_the_ball(path):
  _, _, seen = path
  np.testing.assert_allclose(seen['size'][:, :, -1], 1, rtol=1e-3, atol=0)
  assert seen['stationarity'][:, :, -1].max() < 1e-2
  assert seen['stationarity'][:, :, 0].min() > 0.05
  assert (seen['loss'][:, :, -1] <= seen['loss'][:, :, 0]).all()


@pytest.mark.slow
def test_factors_and_matrices_have_the_same_path():
  """On the nuclear ball: (K, Q) by scaling, W by projected singular values."""
  data = ensembles.sphere(jax.random.key(7), 3, 4, 5, jnp.float64)
  problem = rp.problem_of(data, 'nuclear')
  value = norm_named('nuclear').value
  start = problem.W * (20 / value(problem.W))
  W = rp.constrained_descent(start, data, 20.0, 0.02, 20_000, 'nuclear')
  system = rp.system(rp.Structure(n=3, T=4, d=5, ball='nuclear'))
  hp = rp.Hp(radius=20.0, eta=0.05)
  state = system.init(jax.random.key(0), problem, hp)
  step = jax.jit(
    lambda state: jax.lax.fori_loop(
      0, 20_000, lambda _, x: system.step(None, x, problem, hp), state
    )
  )
  state = step(state)
  np.testing.assert_allclose(state['K'] @ state['Q'].T, W, atol=0.02, rtol=1e-7)
  np.testing.assert_allclose(value(W), 20, rtol=1e-6, atol=0)


def test_bad_input_names_the_value():
  with pytest.raises(ValueError, match="ball is 'l7', expected one of frob"):
    rp.Structure(ball='l7')
  with pytest.raises(ValueError, match='T is 1, expected an integer >= 2'):
    rp.Structure(T=1)
