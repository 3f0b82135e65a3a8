import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.run import sweep
from framework.run.plan import Plan, relaid
from framework.run.sweep import Program
from framework.system import System, rollout
from tests import compiling, toy

SEEDS = (4, 5, 9, 2)
TIMES = np.array([0, 1, 4, 11], np.int32)
HP = toy.LinearHp(
  eta=np.array([0.1, 0.2, 0.3, 0.1]), scale=np.array([1.0, 1.0, 2.0, 3.0])
)
# (seeds, points, seed_batch, point_batch, devices, sharded)
PLANS = {
  'map': Plan(4, 4, 1, 1, 1, 'seed'),
  'vmap': Plan(4, 4, 4, 4, 1, 'seed'),
  'vmap, 2 devices, points': Plan(4, 4, 4, 2, 2, 'point'),
  'vmap, 4 devices': Plan(4, 4, 1, 4, 4, 'seed'),
  'batches that do not divide': Plan(4, 4, 1, 3, 1, 'seed'),
}


def point(hp, index):
  return jax.tree.map(lambda x: x[index] if np.ndim(x) else x, hp)


@pytest.fixture(scope='module', autouse=True)
def compile_once(tmp_path_factory):
  """Several tests run the same programs again."""
  with compiling.cached(tmp_path_factory.mktemp('compiled')):
    yield


@functools.cache
def single():
  """A plain rollout, compiled once for all tests."""
  return jax.jit(lambda k, h: rollout(toy.linear(3), k, h, TIMES))


@functools.cache
def singles():
  """{observation: (seed, point, ...)} and states, lane by lane."""
  one = single()
  lanes = [
    [jax.device_get(one(jax.random.key(s), point(HP, p))) for p in range(4)]
    for s in SEEDS
  ]
  rows = [jax.tree.map(lambda *x: np.stack(x), *row) for row in lanes]
  return jax.tree.map(lambda *x: np.stack(x), *rows)


@functools.cache
def planned(name):
  return Program(toy.linear(3), PLANS[name], HP, final=final)


def final(state, problem, hp):
  return {'last': state * hp.eta, 'count': jnp.int32(3)}


def go(program, hp=HP, seeds=SEEDS, times=TIMES, data=None, t=0):
  keys = program.seed_keys(seeds)
  problem, lanes = program.start(keys, hp, data)
  lanes, records = program.advance(
    keys, problem, hp, lanes, np.int32(t), times, np.ones(len(times), bool)
  )
  return problem, lanes, records


@pytest.mark.parametrize('name', PLANS)
def test_lanes_are_single_rollouts(name):
  _, lanes, records = go(planned(name))
  state, want = singles()
  for name_of, x in records.items():
    np.testing.assert_allclose(
      x, want[name_of], rtol=1e-12, atol=1e-14, err_msg=name_of
    )
  np.testing.assert_allclose(lanes.state, state, rtol=1e-12, atol=0)
  if name.startswith('map'):
    chex.assert_trees_all_equal(records, jax.tree.map(float64, want))
    np.testing.assert_array_equal(lanes.state, state)
  assert np.all(lanes.alive) and np.all(np.asarray(lanes.diverged_at) == -1)


def float64(x):
  return np.asarray(x, np.float64)


@pytest.mark.parametrize(
  'axis, devices', [('seed', 1), ('seed', 2), ('seed', 8), ('point', 8)]
)
def test_devices_do_not_change_the_lanes(devices, axis):
  """Eight lanes along the sharded axis, two along the other."""
  hp = toy.LinearHp(scale=np.linspace(1, 2, 8 if axis == 'point' else 2))
  seeds = range(8 if axis == 'seed' else 2)
  plan = Plan(len(seeds), len(hp.scale), 1, 1, devices, axis)
  _, lanes, records = go(Program(toy.linear(3), plan, hp), hp, seeds)
  one = single()
  for s, p in [(0, 0), (1, 1), (len(seeds) - 1, len(hp.scale) - 1)]:
    state, want = one(jax.random.key(s), point(hp, p))
    np.testing.assert_array_equal(records['x'][s, p], want['x'])
    np.testing.assert_array_equal(lanes.state[s, p], state)
  assert len(records['x'].sharding.device_set) == devices


def test_relaid_plans_keep_the_bits():
  plan = PLANS['vmap, 4 devices']
  _, _, eight = go(planned('vmap, 4 devices'))
  _, _, two = go(Program(toy.linear(3), relaid(plan, 2), HP))
  chex.assert_trees_all_equal(*jax.device_get((eight, two)))


@pytest.mark.parametrize('name', ['map', 'vmap, 2 devices, points'])
def test_problems_are_shared_not_copied(name):
  program = Program(toy.linear(3, rows=5), PLANS[name], HP)
  problem, _ = jax.eval_shape(program.start, program.seed_keys(SEEDS), HP, None)
  shapes = jax.tree.map(jnp.shape, problem)
  assert shapes == toy.LinearProblem(
    operator=(4, 5, 3), target=(4, 5), weight=(3,), both=(4, 4)
  )


@pytest.mark.parametrize('seeds', [1, 2])
def test_a_shared_operator_makes_matrix_products(seeds):
  """17 lanes a seed, an operator of 13 x 11: A X, never a copy of A."""
  data = np.random.default_rng(0).normal(size=(13, 11)) / 10
  hp = toy.LinearHp(scale=np.linspace(1, 2, 17))
  plan = Plan(seeds, 17, seeds, 17, 1, 'seed')
  program = Program(toy.shared(11), plan, hp, data)
  keys = program.seed_keys(range(seeds))
  problem, lanes = program.start(keys, hp, data)
  args = keys, problem, hp, lanes, np.int32(0), TIMES, np.ones(4, bool)
  lowered = program.advance.lower(*args)
  dots = [x for x in lowered.as_text().splitlines() if 'dot_general' in x]
  assert len(dots) == 2
  for line in dots:
    assert 'batching_dims' not in line
    assert '13x11xf64' in line or '11x13xf64' in line
    assert '17x' in line
  # The compiler keeps it so: one product over all lanes.
  compiled = lowered.compile().as_text()
  width = 17 * seeds
  assert (
    any(
      f'f64[{a},{b}]' in compiled
      for a, b in [(13, width), (width, 13), (11, width), (width, 11)]
    )
    or f'f64[{seeds},17,13]' in compiled
  )
  assert '17,13,11]' not in compiled and '17,11,13]' not in compiled
  _, records = program.advance(*args)
  one = jax.jit(functools.partial(rollout, toy.shared(11)))
  _, want = one(jax.random.key(0), point(hp, 3), TIMES, data)
  np.testing.assert_allclose(records['x'][0, 3], want['x'], rtol=1e-12, atol=0)


def test_one_compilation_serves_all_values():
  program = planned('map')
  go(program)
  other = HP._replace(eta=HP.eta / 2, noise=0.3)
  with compiling.counted() as count:
    go(program, other, (11, 12, 13, 14), np.array([3, 5, 6, 20], np.int32))
  assert count.compiled == 0


def test_final_is_observed_from_the_last_state():
  program = planned('vmap')
  problem, lanes, _ = go(program)
  got = program.final(program.seed_keys(SEEDS), problem, HP, lanes)
  np.testing.assert_allclose(
    got['last'], singles()[0] * HP.eta[:, None], rtol=1e-12, atol=0
  )
  assert got['count'].shape == (4, 4)


class TestDivergence:
  """x - η x³ from 2 with η = 0.1 (falls), 0.6 and 5 (blow up)."""

  hp = toy.CubicHp(eta=np.array([0.1, 0.6, 5.0]))
  times = np.array([0, 1, 3, 4, 6, 9, 30], np.int32)

  def run(self, mask=True, batch=1, hp=hp, **kwargs):
    plan = Plan(2, 3, batch and 1, 3 if batch > 1 else 1, 1, 'seed')
    program = Program(toy.cubic(), plan, hp, mask=mask, **kwargs)
    return go(program, hp, (0, 1), self.times)

  @functools.cached_property
  def plain(self):
    """(seed, point, time) of unwatched rollouts."""
    one = jax.jit(lambda k, h: rollout(toy.cubic(), k, h, self.times)[1]['x'])
    return np.array(
      [
        [one(jax.random.key(s), point(self.hp, p)) for p in range(3)]
        for s in range(2)
      ]
    )

  def test_records_are_nan_from_the_first_that_is_not_finite(self):
    _, lanes, records = self.run()
    finite = np.isfinite(self.plain)
    assert finite[:, 0].all() and not finite[:, 1:, -1].any()
    assert np.all(finite[:, 1:, 1])  # it does not blow up at once
    alive = np.logical_and.accumulate(finite, axis=-1)
    want = np.where(alive, self.plain, np.nan)
    np.testing.assert_array_equal(records['x'], want)
    np.testing.assert_array_equal(np.isnan(records['big']), ~alive)
    first = self.times[np.argmin(alive, axis=-1)]
    np.testing.assert_array_equal(
      lanes.diverged_at, np.where(alive[..., -1], -1, first)
    )
    np.testing.assert_array_equal(lanes.alive, alive[..., -1])

  def test_what_has_diverged_stays_so_in_the_next_chunk(self):
    program = Program(toy.cubic(), Plan(2, 3, 1, 1, 1, 'seed'), self.hp)
    problem, lanes, _ = go(program, self.hp, (0, 1), self.times)
    before = np.array(lanes.diverged_at)
    lanes, records = program.advance(
      program.seed_keys((0, 1)),
      problem,
      self.hp,
      lanes,
      np.int32(30),
      np.arange(31, 38, dtype=np.int32),
      np.ones(7, bool),
    )
    np.testing.assert_array_equal(lanes.diverged_at, before)
    assert np.isnan(records['x'][:, 1:]).all()
    assert np.isfinite(records['x'][:, 0]).all()

  @pytest.mark.parametrize('batch', [1, 3])
  def test_the_other_lanes_do_not_notice(self, batch):
    _, _, records = self.run(batch=batch)
    tame = self.hp._replace(eta=np.array([0.1, 0.2, 0.3]))
    _, _, without = self.run(batch=batch, hp=tame)
    np.testing.assert_array_equal(records['x'][:, 0], without['x'][:, 0])

  def test_unmasked_records_are_as_they_are(self):
    _, lanes, records = self.run(mask=False)
    np.testing.assert_array_equal(records['x'], self.plain)
    assert records['big'].dtype == bool
    assert not np.any(lanes.alive[:, 1:])

  @pytest.mark.parametrize('mask', [True, False])
  def test_final_is_masked_like_records(self, mask):
    def final(x, problem, hp):
      return {'one': jnp.ones(())}

    program = Program(
      toy.cubic(), Plan(2, 3, 1, 1, 1, 'seed'), self.hp, mask=mask, final=final
    )
    problem, lanes, _ = go(program, self.hp, (0, 1), self.times)
    one = program.final(program.seed_keys((0, 1)), problem, self.hp, lanes)
    bad = np.isnan(one['one'])
    assert not bad[:, 0].any() and bad[:, 1:].all() == mask

  def test_unrecorded_stops_do_not_count(self):
    program = Program(toy.cubic(), Plan(2, 3, 1, 1, 1, 'seed'), self.hp)
    keys = program.seed_keys((0, 1))
    problem, lanes = program.start(keys, self.hp, None)
    lanes, _ = program.advance(
      keys,
      problem,
      self.hp,
      lanes,
      np.int32(0),
      np.array([10, 20, 30, 30], np.int32),
      np.array([False, False, True, False]),
    )
    np.testing.assert_array_equal(lanes.diverged_at, [[-1, 30, 30]] * 2)


def test_a_state_without_floats_is_alive():
  count = System(
    lambda key, hp: (),
    lambda key, problem, hp: jnp.int32(0),
    lambda key, x, problem, hp: x + 1,
    lambda x, problem, hp: {'x': x},
  )
  hp = toy.WalkHp(np.ones(2))
  _, lanes, records = go(
    Program(count, Plan(2, 2, 2, 2, 1, 'seed'), hp), hp, (0, 1)
  )
  assert np.all(lanes.alive)
  np.testing.assert_array_equal(records['x'], np.broadcast_to(TIMES, (2, 2, 4)))


def test_seeds_are_plain_keys():
  program = Program(toy.walk(), Plan(3, 1, 1, 1, 1, 'seed'), toy.WalkHp())
  got = program.seed_keys((0, 7, 2**32 - 1))
  want = [jax.random.key(s) for s in (0, 7, 2**32 - 1)]
  np.testing.assert_array_equal(
    jax.random.key_data(got), [jax.random.key_data(k) for k in want]
  )


class Hp(NamedTuple):
  eta: float
  k: int


def test_points_are_typed_like_their_fields():
  grid = sweep.points(
    Hp(np.float32(0.1), np.int32(2)), {'k': (3, 4), 'eta': (0.1, 0.2, 0.3)}
  )
  assert grid.eta.dtype == np.float32 and grid.k.dtype == np.int32
  assert grid.k.tolist() == [3, 3, 3, 4, 4, 4]
  np.testing.assert_allclose(grid.eta, [0.1, 0.2, 0.3] * 2, rtol=1e-7, atol=0)
  assert sweep.points(Hp(0.1, 2), {}) == Hp(0.1, 2)


@pytest.mark.parametrize(
  'axes, message',
  [
    ({'lr': (1.0,)}, r'sweep axis lr is not .* There are eta, k'),
    ({'eta': ()}, 'sweep axis eta: no values'),
    ({'k': (3, 3.5)}, r'sweep axis k is int64, which cannot hold 3\.5'),
  ],
)
def test_bad_axes_are_refused(axes, message):
  with pytest.raises(ValueError, match=message):
    sweep.points(Hp(0.1, np.int64(2)), axes)


def test_a_python_int_given_floats_becomes_one():
  """Cast to whole numbers, both rates would be 0."""
  grid = sweep.points(Hp(1, 2), {'eta': (0.5, 0.25), 'k': (3, 4)})
  assert grid.eta.tolist() == [0.5, 0.5, 0.25, 0.25]
  assert grid.k.dtype == int


def test_axes_are_named_by_their_path():
  hp = {'opt': {'lr': 0.1, 'b': (0.9, 0.99)}, 'k': 2}
  assert sweep.names(hp) == ('k', 'opt.b.0', 'opt.b.1', 'opt.lr')
  grid = sweep.points(hp, {'opt.b.1': (0.5, 0.6), 'k': (3, 4)})
  assert grid['opt']['b'][1].tolist() == [0.5, 0.5, 0.6, 0.6]
  assert grid['k'].tolist() == [3, 4, 3, 4]
  assert grid['opt']['lr'] == 0.1 and grid['opt']['b'][0] == 0.9
  with pytest.raises(ValueError, match=r'sweep axis opt is .*: opt.b.0, opt.b'):
    sweep.points(hp, {'opt': (1.0,)})


def test_a_leaf_that_is_no_number_is_refused():
  """An array would pass for an axis of points."""
  with pytest.raises(ValueError, match='hyperparameter eta is array'):
    sweep.points(Hp(np.zeros(3), 2), {})
