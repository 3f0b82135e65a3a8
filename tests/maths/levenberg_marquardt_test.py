"""Nonlinear least squares, against scipy and against algebra."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import curve_fit

from framework.maths import levenberg_marquardt as lm

X = jnp.asarray(np.linspace(0.1, 4, 25))
Y = 2.0 * jnp.exp(-0.7 * X) + 0.3 + 0.01 * jnp.sin(37 * X)


def residual(theta):
  return theta[0] * jnp.exp(-theta[1] * X) + theta[2] - Y


def test_the_optimum_and_its_covariance_are_those_of_scipy():
  start = jnp.array([1.0, 1.0, 0.0])
  state, steps = jax.jit(lambda s: lm.minimise(residual, s))(start)
  model = lambda x, a, b, c: a * np.exp(-b * x) + c  # noqa: E731
  wanted, covariance = curve_fit(
    model, X, Y, p0=start, xtol=1e-14, ftol=1e-14, gtol=1e-14
  )
  np.testing.assert_allclose(state.theta, wanted, rtol=1e-7, atol=0)
  np.testing.assert_allclose(
    lm.covariance(residual, state.theta, jnp.asarray(25.0)),
    covariance,
    rtol=1e-5,
    atol=0,
  )
  assert steps < 40


def test_a_step_solves_the_damped_equations():
  theta = jnp.array([1.0, 1.0, 0.0])
  state = lm.begin(residual, theta)
  J = np.asarray(jax.jacfwd(residual)(theta))
  r = np.asarray(residual(theta))
  D = np.diag(np.sum(J**2, 0))
  move = np.linalg.solve(J.T @ J + 1e-3 * D, J.T @ r)
  after = lm.step(residual, state)
  assert after.sse < state.sse
  np.testing.assert_allclose(after.theta, theta - move, rtol=1e-11, atol=0)


def test_a_start_that_is_not_finite_stays_where_it_is():
  bad = lambda theta: jnp.log(theta) * jnp.ones(3)  # noqa: E731
  state, steps = lm.minimise(bad, jnp.array([-1.0]))
  assert state.sse == lm.huge(np.float64) and steps == 0
  assert state.theta.tolist() == [-1.0]


def test_nearly_parallel_columns():
  """The condition of J is 1e7, whose square float64 does not hold."""
  t = jnp.linspace(0, 1, 20)

  def tilted(th):
    return th[0] * t + th[1] * (t + 1e-7 * t**2) - 3 * t - t**2 * 1e-7

  state, _ = lm.minimise(tilted, jnp.array([0.0, 0.0]))
  assert state.sse < 1e-24
