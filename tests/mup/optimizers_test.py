"""Rules of muP where a readout starts from zero."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.descent import descent
from framework.mup import optimizers
from framework.mup.multipliers import Multipliers
from framework.system import System, rollout

KEY = jax.random.key(0)


@pytest.mark.parametrize('rule', [optimizers.mu_adam, optimizers.mu_adamw])
def test_a_run_from_a_zero_readout_has_a_derivative_in_its_rate(rule):
  """The hidden layer has no gradient at first, and Adam divides by it."""
  mults = Multipliers(
    *({'w': a, 'v': b} for a, b in ((1, 1), (1, 1), (0.5, 1), (2, 1), (1, 1)))
  )
  x = jax.random.normal(KEY, (8, 3))

  def loss(params, problem, hp):
    return jnp.mean((jnp.tanh(x @ params['w']) @ params['v'] - 1) ** 2)

  net = System(
    lambda key, hp: (),
    *descent(
      lambda *_: {'w': jnp.sin(jnp.arange(12.0)).reshape(3, 4),
                  'v': jnp.zeros(4)},
      loss,
      lambda lr: rule(lr, mults, weight_decay=0.1),
    ),
    lambda state, problem, hp: {'loss': loss(state.params, problem, hp)},
  )  # fmt: skip

  @jax.jit
  def last(lr):
    run = lambda lr: rollout(net, KEY, lr, jnp.arange(6))[1]['loss']  # noqa: E731
    return jax.jvp(run, (lr,), (1.0,))

  h = 1e-5
  _, slope = last(0.1)
  difference = (last(0.1 + h)[0] - last(0.1 - h)[0]) / (2 * h)
  np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-9)
  assert np.all(slope[1:] != 0)
