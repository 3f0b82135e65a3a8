"""Steepest descent directions: feasible, and none is steeper."""

import jax
import numpy as np
import optax
import pytest

from framework.maths.margin.norms import NORMS
from framework.optimizers.steepest import steepest, steepest_direction

direction = jax.jit(steepest_direction, static_argnums=1)


@pytest.mark.parametrize('norm', NORMS)
@pytest.mark.parametrize('scale', [1.0, 1e-250])
def test_the_direction_attains_the_dual_norm(norm, scale):
  G = np.random.default_rng(0).standard_normal((4, 5))
  U = np.asarray(direction(scale * G, norm))
  value, dual = NORMS[norm]
  np.testing.assert_allclose(value(U), 1, rtol=1e-6, atol=0)
  np.testing.assert_allclose(np.sum(G * U), dual(G), rtol=1e-6, atol=0)


@pytest.mark.parametrize('norm', NORMS)
def test_no_gradient_no_step(norm):
  assert not np.any(direction(np.zeros((2, 3)), norm))


def test_spectral_steps_leave_what_the_gradient_does_not_have():
  G = np.outer(np.arange(1.0, 4), np.ones(2))
  U = direction(G, 'spectral')
  np.testing.assert_allclose(NORMS['nuclear'].value(U), 1, rtol=1e-5, atol=0)


@pytest.mark.parametrize('norm', NORMS)
def test_the_rule_makes_steps_of_its_length(norm):
  rule = steepest(0.3, norm)
  params = {'K': np.ones((3, 2)), 'Q': np.ones((4, 2))}
  grads = jax.tree.map(lambda x: x.cumsum(0), params)

  @jax.jit
  def step(grads, params):
    moved, _ = rule.update(grads, rule.init(params), params)
    return optax.apply_updates(params, moved)

  after = jax.device_get(step(grads, params))
  for name in params:
    step = NORMS[norm].value(after[name] - params[name])
    np.testing.assert_allclose(step, 0.3, rtol=1e-5, atol=0)


def test_an_unknown_norm_is_refused():
  with pytest.raises(ValueError, match="norm is 'l3', expected one of frob"):
    steepest(0.1, 'l3')
