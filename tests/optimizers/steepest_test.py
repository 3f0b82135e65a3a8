"""Steepest descent directions: feasible, and none is steeper."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.maths.margin.norms import NORMS
from framework.optimizers.steepest import steepest, steepest_direction


@pytest.mark.parametrize('norm', NORMS)
@pytest.mark.parametrize('scale', [1.0, 1e-250])
def test_the_direction_attains_the_dual_norm(norm, scale):
  G = jax.random.normal(jax.random.key(0), (4, 5), jnp.float64)
  U = steepest_direction(scale * G, norm)
  value, dual = NORMS[norm]
  np.testing.assert_allclose(value(U), 1, rtol=1e-6, atol=0)
  np.testing.assert_allclose(jnp.sum(G * U), dual(G), rtol=1e-6, atol=0)


@pytest.mark.parametrize('norm', NORMS)
def test_no_gradient_no_step(norm):
  assert not steepest_direction(jnp.zeros((2, 3)), norm).any()


def test_spectral_steps_leave_what_the_gradient_does_not_have():
  G = jnp.outer(jnp.arange(1.0, 4), jnp.ones(2))
  U = steepest_direction(G, 'spectral')
  np.testing.assert_allclose(NORMS['nuclear'].value(U), 1, rtol=1e-5, atol=0)


@pytest.mark.parametrize('norm', NORMS)
def test_the_rule_makes_steps_of_its_length(norm):
  rule = steepest(0.3, norm)
  params = {'K': jnp.ones((3, 2)), 'Q': jnp.ones((4, 2))}
  grads = jax.tree.map(lambda x: x.cumsum(0), params)
  moved, _ = rule.update(grads, rule.init(params), params)
  after = optax.apply_updates(params, moved)
  for name in params:
    step = NORMS[norm].value(after[name] - params[name])
    np.testing.assert_allclose(step, 0.3, rtol=1e-5, atol=0)


def test_an_unknown_norm_is_refused():
  with pytest.raises(ValueError, match="norm is 'l3', expected one of frob"):
    steepest(0.1, 'l3')
