"""Prompt attention against stored runs of the published set-ups."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import rollout
from framework.systems.attention_svm import prompt
from framework.systems.attention_svm.prompt import setups

GOLDEN = np.load(
  pathlib.Path(__file__).parents[3] / 'golden' / 'svm_precursor.npz'
)
STARTS = jnp.array((1.0, 0.5, 0.0, -0.5, -1.0, -1.5))


# Not compiled as one: set-ups of the same sizes share the solver.
@functools.cache
def problem(setup, C=1.0):
  return getattr(setups, setup).draw(jax.random.key(0), C, jnp.float64)


@functools.cache
def several():
  X = jnp.asarray(GOLDEN['multi_X'])
  return setups.problem_of(X[:, :, :2], X[:, :, 2])


def final(setup, start=STARTS, C=1.0, steps=1000):
  system = prompt.system(prompt.Structure(getattr(setups, setup)))

  def run(start):
    hp = prompt.Hp(p0=start, C=C)
    times = jnp.array([0, steps])
    return rollout(system, jax.random.key(0), hp, times)[1]

  seen = jax.jit(jax.vmap(run))(jnp.asarray(start))
  return {k: np.asarray(x[:, -1]) for k, x in seen.items()}


@pytest.mark.parametrize(
  'setup, value',
  [
    ('single_global', 0.4950495),
    ('joint_tight', 0.9444444),
    ('joint_loose', 0.5),
  ],
)
def test_published_norms_of_the_solutions(setup, value):
  made = problem(setup)
  np.testing.assert_allclose(made.half_square, value, atol=1e-6, rtol=1e-7)


def test_scores_of_several_inputs():
  """The good token scores 1, the others a half."""
  keys = jnp.asarray(GOLDEN['multi_X'])[:, :, :2]
  made = problem('multi')
  assert made.gamma.shape == keys.shape[:2]
  np.testing.assert_array_equal(made.gamma[:, 0], 1)
  np.testing.assert_array_equal(made.gamma[:, 1:], 0.5)


def test_the_other_published_norms():
  made = problem('single_local')
  np.testing.assert_allclose(
    np.sum(np.square(made.rival)) / 2, 0.5, atol=1e-6, rtol=1e-7
  )
  made = several()
  np.testing.assert_allclose(made.half_square, 0.3713383, atol=1e-6, rtol=1e-7)
  np.testing.assert_allclose(
    made.law, GOLDEN['multi_p_svm'], atol=1e-6, rtol=1e-7
  )


@functools.cache
def replayed(setup):
  system = prompt.system(prompt.Structure(getattr(setups, setup)))
  hp, snaps = prompt.Hp(epsilon=1e-9), GOLDEN['snaps']

  @jax.jit
  def run(given, state):
    def step(carry, _):
      return system.step(None, carry, given, hp), carry

    _, path = jax.lax.scan(step, state, length=int(snaps[-1]) + 1)
    return jax.tree.map(lambda x: x[jnp.asarray(snaps)], path)

  return run


def replay(given, setup, state):
  """As published, with ε = 1e-9: the iterates at the stored steps."""
  return replayed(setup)(given, state)


FIXED = jnp.array([-1.0, 0.0])


@pytest.mark.parametrize('setup', ['single_global', 'single_local'])
def test_single_input_replays(setup):
  given = problem(setup)
  wanted = GOLDEN[f'{setup}_P'][:, :, :2]
  for i in (0, 5):
    state = prompt.State(jnp.array([0.0, float(STARTS[i])]), FIXED)
    found = replay(given, setup, state)
    np.testing.assert_allclose(found.p, wanted[i], rtol=1e-6, atol=1e-7)


def test_multi_input_replays_with_both_rules():
  given = several()
  for setup, wanted in (
    ('multi', GOLDEN['multi_P_ngd'][0]),
    ('multi_gd', GOLDEN['multi_P_gd0'][0]),
  ):
    state = prompt.State(jnp.asarray(wanted[0, :2]), FIXED)
    found = replay(given, setup, state)
    np.testing.assert_allclose(found.p, wanted[:, :2], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize('setup', ['joint_tight', 'joint_loose'])
def test_joint_training_replays(setup):
  given = problem(setup)
  P, V = GOLDEN[f'{setup}_P'], GOLDEN[f'{setup}_V']
  found = replay(
    given, setup, prompt.State(jnp.asarray(P[0]), jnp.asarray(V[0]))
  )
  # Both vanish at rates that rounding decides, in the end.
  np.testing.assert_allclose(found.p[:5], P[:5], rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(found.v, V, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('loss', ['linear', 'logistic'])
def test_the_loss_bends_the_way_as_stored(loss):
  for i, C in ((0, 1.0), (4, 5.0), (10, 100.0)):
    given = problem(f'loss_{loss}', C)
    found = replay(given, f'loss_{loss}', prompt.State(jnp.zeros(2), FIXED))
    wanted = GOLDEN[f'loss_{loss[:3]}'][i, :, :2]
    np.testing.assert_allclose(found.p, wanted, rtol=1e-5, atol=1e-6)


def test_basins_of_a_single_input():
  """Scores (1, 0.9, 0): four starts go to the best token, two to the second."""
  seen = final('single_local')
  assert (seen['cos_law'][:4] > 0.999).all()
  assert (seen['cos_rival'][4:] > 0.999).all() and not seen['optimal'][4:].any()
  seen = final('single_global')
  assert (seen['cos_law'] > 0.993).all() and seen['optimal'].all()


def test_joint_training_relaxes_what_does_not_support_the_head():
  loose = final('joint_loose', [-1.0])
  assert loose['cos_law'][0] > 0.9995 and loose['cos_v'][0] > 0.9995
  assert loose['cos_rival'][0] < 0.99
  tight = final('joint_tight', [-1.0])
  assert tight['cos_law'][0] > 0.999 and tight['cos_v'][0] > 0.9995


def test_gradients_against_autodiff():
  given = problem('joint_tight')
  state = prompt.State(jnp.array([0.4, -0.3]), jnp.array([0.2, 0.7]))

  def value(state):
    s = jax.nn.softmax(given.keys @ state.p, -1)
    f = jnp.einsum('nt,ntd,d->n', s, given.X, state.v)
    return jnp.mean(jax.nn.softplus(-given.Y * f))

  wanted = jax.grad(value)(state)
  g = prompt.gradient(state, given, setups.joint_tight)
  np.testing.assert_allclose(
    jnp.exp(g.scale_p) * g.p, wanted.p, rtol=1e-12, atol=0
  )
  np.testing.assert_allclose(
    jnp.exp(g.scale_v) * g.v, wanted.v, rtol=1e-12, atol=0
  )
