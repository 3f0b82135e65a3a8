"""Step sizes of the sub-gradient method."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from framework.optimizers import subgradient as sg


def steps_of(rule, count, gradient=1.0, **extra):
  """The step sizes of some updates on one parameter."""
  state, sizes, step = rule.init(jnp.ones(1)), [], jax.jit(rule.update)
  for _ in range(count):
    update, state = step(np.full(1, gradient), state, **extra)
    sizes.append(float(state.step_size))
    np.testing.assert_allclose(
      update, -np.float64(state.step_size) * gradient, rtol=1e-12, atol=0
    )
  return sizes


def test_clocks():
  law = 0.5 * 0.9 ** np.arange(4)
  found = steps_of(sg.geometric(0.5, 0.9), 4, gradient=2.0)
  np.testing.assert_allclose(found, law, rtol=1e-12, atol=0)
  rule = sg.normalised_geometric(0.5, 0.9)
  np.testing.assert_allclose(
    steps_of(rule, 4, gradient=2.0), law / 2, rtol=1e-12, atol=0
  )
  np.testing.assert_allclose(
    steps_of(rule, 4, gradient=0.01), law / 0.01, rtol=1e-12, atol=0
  )
  np.testing.assert_allclose(
    steps_of(rule, 4, slope=jnp.array(5.0)), law / 5, rtol=1e-12, atol=0
  )
  assert steps_of(rule, 1, gradient=0.0) == [0.0]


def test_residual_scales_agree_on_gaussian_residuals():
  e = 3 * np.random.default_rng(0).standard_normal(20_001)
  mean, *quantiles = map(
    jax.jit, (sg.mean_absolute, sg.quantile(0.5), sg.quantile(0.25))
  )
  for scale in (mean, *quantiles):
    np.testing.assert_allclose(scale(e), 3, rtol=0.03, atol=0)
  spoilt = np.where(np.arange(e.size) % 4 == 0, 100.0, e)
  assert mean(spoilt) > 20
  # Of the clean three quarters, the quantiles at 2/3 and 1/3.
  for level, quantile in zip((0.5, 0.25), quantiles, strict=True):
    z = stats.norm.ppf((1 + np.array([level / 0.75, level])) / 2)
    np.testing.assert_allclose(
      quantile(spoilt), 3 * z[0] / z[1], rtol=0.03, atol=0
    )


@pytest.mark.parametrize('level', [0.25, 0.5])
def test_the_tracker_finds_and_follows_the_quantile(level):
  e = jax.random.cauchy(jax.random.key(1), (2001,))
  rule = sg.tracked_quantile(0.3, level)
  exact = sg.residual_scaled(0.3, sg.quantile(level))

  def step(carry, t):
    state = carry
    now = e * 0.9**t
    _, state = rule.update(jnp.ones(1), state, residuals=now)
    _, other = exact.update(jnp.ones(1), exact.init(jnp.ones(1)), residuals=now)
    return state, (state.step_size, other.step_size)

  _, (found, law) = jax.lax.scan(step, rule.init(jnp.ones(1)), jnp.arange(60))
  # It lags: where they fall by 0.1 a step, by what makes the count differ so.
  np.testing.assert_allclose(found[30:], law[30:], rtol=0.35, atol=0)
  assert np.all(found[30:] > law[30:])


def test_missing_residuals_do_not_count():
  e = np.array([1.0, -2.0, 3.0])
  holes = np.concatenate([np.full(5, np.nan), e])
  for rule in (
    sg.residual_scaled(1.0, sg.mean_absolute),
    sg.residual_scaled(1.0, sg.quantile(0.5)),
    sg.tracked_quantile(1.0, 0.5),
  ):
    np.testing.assert_allclose(
      steps_of(rule, 3, residuals=e),
      steps_of(rule, 3, residuals=holes),
      rtol=1e-12,
      atol=0,
    )


def test_polyak():
  rule = sg.polyak(cap=2.0)
  assert steps_of(rule, 1, 2.0, value=5.0, lowest=1.0) == [1.0]
  assert steps_of(rule, 1, 0.1, value=5.0, lowest=1.0) == [2.0]
  assert steps_of(rule, 1, 1.0, value=1.0, lowest=1.5) == [0.0]
  assert steps_of(sg.polyak(lowest=4.0), 1, 1.0, value=5.0) == [1.0]
  assert steps_of(rule, 1, 0.0, value=5.0, lowest=1.0) == [0.0]


def test_what_is_not_offered_is_missed():
  rule = sg.tracked_quantile(1.0, 0.5)
  with pytest.raises(ValueError, match='needs residuals'):
    rule.update(jnp.ones(1), rule.init(jnp.ones(1)), value=1.0)
