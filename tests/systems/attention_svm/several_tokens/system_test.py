"""Runs that keep several tokens: which count, and that they are repeated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.probes import cosine
from framework.systems import attention_svm as dynamics
from framework.systems.attention_svm import ensembles, heads
from framework.systems.attention_svm import layer as attention
from framework.systems.attention_svm import several_tokens as multi_token
from framework.systems.attention_svm.several_tokens import (
  general_svm,
  svm_equivalent,
)

TIMES = (1, 100, 400)


@pytest.fixture(scope='module')
def runs():
  """60 runs of 400 steps: (problem, W, what is observed at the end)."""
  s = dynamics.Structure(
    n=3,
    T=4,
    d=4,
    draw=ensembles.relu,
    head=heads.relu,
    exact=False,
    dtype=jnp.float64,
  )
  system, final = multi_token.system(s), multi_token.final(s, TIMES)
  hp = jax.tree.map(jnp.float64, dynamics.Hp(eta=0.5, epsilon=2.2e-16))

  @jax.jit
  @jax.vmap
  def run(key):
    problem = system.sample(key, hp)
    state = system.init(key, problem, hp)
    state = jax.lax.fori_loop(
      0, TIMES[-1], lambda t, x: system.step(key, x, problem, hp), state
    )
    return problem.data, state.params['W'], final(state, problem, hp)

  return jax.device_get(run(jax.random.split(jax.random.key(0), 60)))


def test_what_counts_is_clear(runs):
  data, W, seen = runs
  counts = seen['accepted']
  assert 4 < counts.sum() < 40
  for i in range(len(W)):
    one = jax.tree.map(lambda x, i=i: x[i], data)
    share = np.asarray(attention.attention(W[i], one.X, one.Z, one.mask))
    between = ((share > 1e-6) & (share < 1e-3)).any()
    lost = (share <= 1e-6).any()
    assert counts[i] == (not between and lost and (one.Y < 0).any())
    assert np.isnan(seen['curves'][i]).all() == (not counts[i])


def test_the_repeated_run_ends_where_the_run_did(runs):
  """The last cosines are those of the final W with solutions made anew."""
  data, W, seen = runs
  i = int(np.flatnonzero(seen['accepted'])[0])
  one = jax.tree.map(lambda x: x[i], data)

  @jax.jit
  def anew(one, W):
    share = attention.attention(W, one.X, one.Z, one.mask)
    kept, _ = multi_token.accepted(share, one.Y, one.mask)
    both = general_svm(one.X, one.Z, share, kept)
    near = svm_equivalent(W, both.finite.W, both.direction.W)
    return kept, [cosine(W, V) for V in (near, both.direction.W)]

  kept, expected = jax.device_get(anew(one, W[i]))
  np.testing.assert_allclose(
    seen['curves'][i, :2, -1], expected, rtol=1e-7, atol=0
  )
  assert seen['kept'][i] == pytest.approx(float(kept.sum(1).mean()))


def test_the_equivalent_is_nearest(runs):
  _, _, seen = runs
  off = 1 - seen['curves'][seen['accepted']]
  middle = np.median(off, 0)
  assert middle[0, -1] < middle[1, -1] < middle[2, -1]
  assert middle[0, -1] < middle[0, 1] < middle[0, 0]


def test_only_w_is_predicted():
  with pytest.raises(ValueError, match='rank is 2, expected None'):
    multi_token.system(dynamics.Structure(rank=2))
