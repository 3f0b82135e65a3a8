"""Grokfast against its definition, written in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.optimizers import grokfast_ema, grokfast_ma


def gradients(count):
  return np.random.default_rng(0).standard_normal((count, 3, 2))


def run(rule, g):
  state, out = rule.init(jnp.array(g[0])), []
  for row in g:
    u, state = jax.jit(rule.update)(jnp.array(row), state)
    out.append(u)
  return np.array(out)


def test_ema():
  g, h, wanted = gradients(12), None, []
  for row in g:
    h = row if h is None else 0.9 * h + 0.1 * row
    wanted.append(row + 2.5 * h)
  np.testing.assert_allclose(
    run(grokfast_ema(0.9, 2.5), g), wanted, rtol=1e-12, atol=0
  )


@pytest.mark.parametrize('warmup', [True, False])
def test_ma(warmup):
  g, wanted = gradients(12), []
  for t, row in enumerate(g):
    seen = g[max(0, t - 3) : t + 1]
    on = len(seen) == 4 or not warmup
    wanted.append(row + 5.0 * on * seen.mean(0))
  found = run(grokfast_ma(4, 5.0, warmup), g)
  np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
  'rule', [grokfast_ema(0.5, 3.0), grokfast_ma(2, 3.0, warmup=False)]
)
def test_a_constant_gradient_is_a_larger_learning_rate(rule):
  g = np.ones((5, 2))
  np.testing.assert_allclose(run(rule, g), 4 * g, rtol=1e-7, atol=0)


def test_its_numbers_are_traced():
  def last(alpha, lamb):
    rule = optax.chain(grokfast_ema(alpha, lamb), optax.sgd(0.1))
    return rule.update(jnp.ones(2), rule.init(jnp.ones(2)))[0]

  found = jax.vmap(last)(jnp.array([0.9, 0.5]), jnp.array([1.0, 4.0]))
  np.testing.assert_allclose(
    found, [[-0.2, -0.2], [-0.5, -0.5]], rtol=1e-7, atol=0
  )


def test_bad_numbers_are_refused():
  with pytest.raises(ValueError, match=r'alpha is 1.0, expected >= 0 and < 1'):
    grokfast_ema(1.0)
  with pytest.raises(ValueError, match='lamb is -1, expected >= 0'):
    grokfast_ema(lamb=-1)
  with pytest.raises(ValueError, match='window is 0'):
    grokfast_ma(0)
