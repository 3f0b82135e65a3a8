"""Networks as hypotheses: those that fit, and the tail of their losses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import rollout
from framework.systems.spectrum import inductive_bias as ib

NET = functools.partial(ib.Perceptron, 6)


def test_the_tail_is_that_of_the_losses_of_what_fits():
  structure = ib.NetworkStructure(
    n_max=3, tests=5, d_max=2, hypotheses=8, network=NET
  )
  nets = ib.networks(structure)
  # Of three examples the third is not there.
  hp = ib.NetworkHp(
    jnp.int32(1), jnp.int32(2), *map(jnp.float32, (0.05, 1e-3, 0.03))
  )
  key = jax.random.key(1)
  state, seen = jax.jit(lambda: rollout(nets, key, hp, jnp.array([0, 60])))()
  problem = nets.sample(jax.random.split(key, 3)[0], hp)
  assert problem.used.tolist() == [1, 1, 0]
  assert not problem.x[:, 1].any()
  run = jax.vmap(NET(dtype=jnp.float32).apply, (0, None))
  off = (np.asarray(run(state.params, problem.x)) - np.asarray(problem.y))[
    :, :2
  ]
  fits = (off**2).mean(1) <= 1e-3
  assert seen['fitted'][1] == fits.mean() and fits.sum() >= 2
  off = np.asarray(run(state.params, problem.x_test))
  off = off - np.asarray(problem.y_test)
  losses = (off**2).mean(1)[fits]
  wanted = ib.bias_of_losses(jnp.asarray(losses), 0.05)
  np.testing.assert_allclose(seen['bias'][1], wanted, rtol=1e-3, atol=0)
  np.testing.assert_allclose(
    seen['least_loss'][1], losses.min(), rtol=1e-4, atol=0
  )
  # Before any step no network fits: a bias of its own is a large number.
  assert seen['fitted'][0] == 0 and seen['bias'][0] > 1e15


def test_two_moments_need_networks():
  with pytest.raises(ValueError, match='hypotheses is 2, expected at least 3'):
    ib.NetworkStructure(hypotheses=2)
