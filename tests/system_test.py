import chex
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from framework import system as lib
from framework.system import System
from tests import toy

KEY = jax.random.key(3)
HP = toy.LinearHp()


@jax.jit
def run(key, hp, times):
  return lib.rollout(toy.linear(3), key, hp, times)


@jax.jit
def begin(key, hp):
  return lib.start(toy.linear(3), key, hp)


def by_hand(system, key, hp, times):
  """The definition, step by step in Python."""
  keys = jax.random.split(key, 3)
  problem = jax.jit(system.sample)(keys[0], hp)
  state = jax.jit(system.init)(keys[1], problem, hp)
  step = jax.jit(system.step)
  observe = jax.jit(system.observe)
  records = []
  for t in range(max(times) + 1):
    if t in times:
      records.append(observe(state, problem, hp))
    if t < max(times):
      state = step(jax.random.fold_in(keys[2], t), state, problem, hp)
  return state, jax.tree.map(lambda *x: np.stack(x), *records)


def test_rollout_is_its_definition():
  system, times = toy.linear(3), [0, 1, 4, 9]
  state, records = run(KEY, HP, jnp.array(times))
  want_state, want = by_hand(system, KEY, HP, times)
  np.testing.assert_allclose(state, want_state, rtol=1e-13, atol=0)
  chex.assert_trees_all_close(records, want, rtol=1e-12)
  assert records['x'].shape == (4, 3) and records['positive'].dtype == int


def test_last_state_belongs_to_the_last_time():
  _, records = run(KEY, HP, jnp.array([0, 7]))
  state, _ = run(KEY, HP, jnp.array([7]))
  np.testing.assert_array_equal(state, records['x'][-1])


def test_a_time_twice_is_recorded_twice():
  _, records = run(KEY, HP, jnp.array([2, 2, 3]))
  np.testing.assert_array_equal(records['x'][0], records['x'][1])
  assert np.any(records['x'][1] != records['x'][2])


@pytest.mark.parametrize(
  'times',
  [
    np.array([0.0, 1.5]),
    [0.0, 2.0],
    jnp.arange(3.0),
    np.array([True, False]),
    np.int32(3),
    np.array([[0, 1]]),
    [],
  ],
)
@pytest.mark.parametrize('traced', [False, True])
def test_times_that_are_no_steps_are_refused(times, traced):
  """`fori_loop` would count to a float with a rounding of its own."""
  call = lambda times: lib.rollout(toy.cubic(), KEY, toy.CubicHp(), times)  # noqa: E731
  with pytest.raises(ValueError, match='expected integers along one axis'):
    jax.jit(call)(jnp.asarray(times)) if traced else call(times)


@pytest.mark.parametrize(
  'times', [[3, 1], np.array([-1, 2]), np.array([0, 2**31]), jnp.array([5, 4])]
)
def test_steps_that_go_back_are_refused(times):
  with pytest.raises(ValueError, match=r'expected steps in \[0, 2\^31\) that'):
    lib.rollout(toy.cubic(), KEY, toy.CubicHp(), times)


def test_stops_before_the_state_are_refused():
  state = jnp.asarray(2.0)
  with pytest.raises(ValueError, match=r'expected steps in \[4, 2\^31\)'):
    lib.advance(toy.cubic(), KEY, (), toy.CubicHp(), state, 4, [3, 5])


def test_keys_are_three_streams():
  k = lib.keys(KEY)
  data = {tuple(np.asarray(jax.random.key_data(x)).tolist()) for x in k}
  assert len(data) == 3


def test_noise_of_a_step_depends_on_seed_and_step_alone():
  """A state replaced midway meets the same noise."""
  walk = System(
    lambda key, hp: (),
    lambda key, problem, hp: jnp.zeros(3),
    lambda key, x, problem, hp: x + toy.draw(key, (3,), float),
    lambda x, problem, hp: {},
  )

  @jax.jit
  def moved(x, t):
    key = lib.keys(KEY).step
    return lib.advance(walk, key, (), (), x, t, (t + 3)[None])[0] - x

  five = np.asarray(moved(np.zeros(3), 5))
  np.testing.assert_allclose(five, moved(np.ones(3), 5), atol=1e-14, rtol=1e-7)
  assert np.all(abs(five - moved(np.zeros(3), 0)) > 1e-6)


def test_data_reaches_sample():
  data = jnp.arange(6.0).reshape(2, 3)
  problem, _ = lib.start(toy.shared(), KEY, HP, data)
  np.testing.assert_array_equal(problem['operator'], data)


def test_unrecorded_stops_are_zero_and_change_nothing():
  system = toy.linear(3)
  problem, state = begin(KEY, HP)

  @jax.jit
  def on(recorded):
    return lib.advance(
      system,
      lib.keys(KEY).step,
      problem,
      HP,
      state,
      0,
      jnp.array([2, 5, 9]),
      recorded,
    )

  end, records = jax.device_get(on(None))
  again, some = jax.device_get(on(np.array([True, False, True])))
  np.testing.assert_array_equal(end, again)
  np.testing.assert_array_equal(some['x'][1], 0)
  np.testing.assert_array_equal(some['x'][::2], records['x'][::2])


def test_unrecorded_stops_are_not_observed():
  seen = []

  def observe(x, problem, hp):
    jax.debug.callback(seen.append, x)
    return {'x': x}

  count = System(
    lambda key, hp: (),
    lambda key, problem, hp: jnp.int32(0),
    lambda key, x, problem, hp: x + 1,
    observe,
  )
  wanted = jnp.array([False, True, False])
  lib.advance(count, KEY, (), (), jnp.int32(0), 0, [1, 3, 6], wanted)
  jax.effects_barrier()
  assert [int(x) for x in seen] == [3]


@settings(deadline=None)
@given(steps=st.integers(1, 3000), every=st.integers(1, 4000))
def test_linspaced(steps, every):
  times = lib.linspaced(steps, every)
  assert times.dtype == np.int32
  assert times[0] == 0 and times[-1] == steps
  gaps = np.diff(times)
  assert np.all(gaps[:-1] == every) and 0 < gaps[-1] <= every


@settings(deadline=None)
@given(steps=st.integers(1, 10**9), per_decade=st.integers(1, 50))
def test_logspaced(steps, per_decade):
  times = lib.logspaced(steps, per_decade)
  assert times.dtype == np.int32
  assert times[0] == 0 and times[-1] == steps
  assert np.all(np.diff(times) > 0)
  # No gap is wider than the ratio of the grid and the rounding of both ends.
  late = times[1:]
  assert np.all(late[1:] <= 10 ** (1 / per_decade) * (late[:-1] + 0.5) + 0.5)
  assert len(times) <= per_decade * np.log10(steps) + 4


@pytest.mark.parametrize('bad', [0, -3, 2.5, float('nan'), 2**31])
def test_schedules_refuse_bad_numbers(bad):
  with pytest.raises(ValueError, match=r'steps is .*expected an integer'):
    lib.linspaced(bad, 1)
  with pytest.raises(ValueError, match=r'every is .*expected an integer'):
    lib.linspaced(10, bad)
  with pytest.raises(ValueError, match=r'steps is .*expected an integer'):
    lib.logspaced(bad)
  with pytest.raises(ValueError, match=r'per_decade is .*expected an integer'):
    lib.logspaced(10, bad)
