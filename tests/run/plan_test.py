import os
import pathlib
import subprocess
import sys
import types

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from framework.run import plan as lib
from framework.run.plan import Plan, Sizes, Varies
from framework.system import System
from tests import toy

SEED, POINT = Varies(True, False), Varies(False, True)
BOTH, NEITHER = Varies(True, True), Varies(False, False)


def gpus(count, limit):
  """Devices as `choose` sees them."""
  one = types.SimpleNamespace(
    platform='gpu', process_index=0, memory_stats=lambda: {'bytes_limit': limit}
  )
  return [one] * count


def test_dependence_of_each_kind_of_leaf():
  swept = toy.LinearHp(scale=np.array([1.0, 2.0]))
  found = lib.dependence(toy.linear(3), swept, None)
  assert found == toy.LinearProblem(SEED, POINT, NEITHER, BOTH)


def test_only_swept_hp_make_points():
  found = lib.dependence(
    toy.linear(3), toy.LinearHp(eta=np.array([0.1, 0.2])), None
  )
  assert found == toy.LinearProblem(SEED, NEITHER, NEITHER, SEED)


def test_data_is_shared():
  found = lib.dependence(
    toy.shared(), toy.LinearHp(scale=np.ones(2)), np.eye(3)
  )
  assert found == {'operator': NEITHER, 'target': NEITHER}


def test_dependence_through_control_flow_errs_on_copying():
  """A loop hides which of its results needs what: all are copied."""

  def sample(key, hp):
    def body(carry, _):
      noise, level = carry
      return (noise + jax.random.normal(key), level * hp.scale), None

    (noise, level), _ = jax.lax.scan(body, (0.0, 1.0), None, length=3)
    chosen = jax.lax.cond(hp.eta > 0, lambda: noise, lambda: 0.0)
    return noise, level, chosen, jnp.arange(3), key

  system = toy.linear(3)._replace(sample=sample)
  noise, level, chosen, constant, key = lib.dependence(
    system, toy.LinearHp(eta=np.ones(2), scale=np.ones(2)), None
  )
  assert noise == level == chosen == BOTH
  assert constant == NEITHER and key == SEED


def test_an_empty_problem():
  assert lib.dependence(toy.walk(), toy.WalkHp(), None) == ()


def test_sizes_are_bytes_by_how_often_they_are_needed():
  hp = toy.LinearHp(scale=np.array([1.0, 2.0]))
  assert lib.sizes(toy.linear(dim=3, rows=4), hp) == Sizes(
    state=24,
    record=8 + 24 + 8,
    problem_lane=4 * 8 + 8,
    problem_seed=4 * 3 * 8,
    problem_shared=24,
  )
  data = np.zeros((5, 3))
  assert lib.sizes(toy.shared(), toy.LinearHp(), data).problem_shared == (
    data.nbytes * 2 + 5 * 8
  )


def test_sizes_count_keys():
  # A key, two numbers, an integer.
  assert lib.sizes(toy.walk(), toy.WalkHp()).state == 8 + 16 + 4


SMALL = Sizes(80, 8, 8, 80, 80)


@settings(deadline=None)
@given(
  size=st.builds(Sizes, *[st.integers(0, 10**7)] * 5),
  seeds=st.integers(1, 50),
  points=st.integers(1, 50),
  batching=st.sampled_from(['auto', 'map', 'vmap']),
  lanes=st.integers(0, 200),
  devices=st.integers(1, 8),
)
def test_every_plan_is_sound(size, seeds, points, batching, lanes, devices):
  plan = lib.choose(
    size,
    seeds,
    points,
    batching=batching,
    lanes_per_call=lanes,
    devices=jax.devices()[:devices],
  )
  local = {'seed': plan.seeds, 'point': plan.points}
  assert local[plan.sharded] % plan.devices == 0
  local[plan.sharded] //= plan.devices
  assert 1 <= plan.devices <= devices
  assert 1 <= plan.seed_batch <= local['seed']
  assert 1 <= plan.point_batch <= local['point']
  # Blocks are no larger than the sweep and the limit but for what makes the
  # sharded axis a multiple of the devices.
  slack = {'seed': 0, 'point': 0, plan.sharded: plan.devices - 1}
  real = plan.seeds - slack['seed'], plan.points - slack['point']
  assert real[0] <= seeds and real[1] <= points
  if lanes:
    assert real[0] * real[1] <= lanes
  if batching == 'map':
    assert (plan.seed_batch, plan.point_batch) == (1, 1)
  if batching == 'vmap':
    assert (plan.seed_batch, plan.point_batch) == (
      local['seed'],
      local['point'],
    )


@pytest.mark.parametrize(
  'seeds, points, axis, devices',
  [
    (8, 3, 'seed', 8),
    (3, 8, 'point', 8),
    (16, 1, 'seed', 8),
    (1, 1, 'seed', 1),
  ],
)
def test_the_axis_that_is_done_soonest_is_sharded(seeds, points, axis, devices):
  plan = lib.choose(SMALL, seeds, points)
  assert (plan.sharded, plan.devices) == (axis, devices)
  assert (plan.seeds, plan.points) == (seeds, points)


def test_no_device_is_given_nothing_but_padding():
  # Nine seeds on eight devices take two rounds; so they do on five.
  plan = lib.choose(SMALL, 9, 1)
  assert (plan.devices, plan.seeds) == (5, 10)


def test_cpu_batches_shrink_with_the_state():
  wide = [
    lib.choose(Sizes(n, 8, 0, 0, 0), 1, 256, devices=jax.devices()[:1])
    for n in (8, 10**4, 10**7)
  ]
  assert [p.point_batch for p in wide] == [64, 26, 1]


def test_seeds_with_large_problems_run_one_by_one_on_a_cpu():
  sizes = [Sizes(8, 8, 0, n, 0) for n in (80, 10**6)]
  one = jax.devices()[:1]
  few, many = (lib.choose(s, 16, 4, devices=one) for s in sizes)
  assert few.seed_batch == 16 and many.seed_batch == 1
  assert many.point_batch == 4


def test_an_accelerator_runs_all_that_fits_in_one_batch():
  plan = lib.choose(Sizes(10**4, 8, 0, 10**6, 0), 16, 4, devices=gpus(2, 1e10))
  assert plan == Plan(16, 4, 8, 4, 2, 'seed')


def test_memory_limits_the_lanes_of_a_call():
  # 3 states, 64 records and 2 problems a lane; 2 shared problems a device.
  size = Sizes(100, 10, 20, 0, 1000)
  lane = 3 * 100 + 64 * 10 + 2 * 20
  limit = (100 * lane / 2 + 2 * 1000) / 0.7
  assert lib.lanes_that_fit(size, 8, gpus(2, limit)) in (99, 100)
  assert lib.choose(size, 30, 8, devices=gpus(2, limit)).lanes <= 100


def test_one_lane_a_device_at_least():
  assert lib.lanes_that_fit(SMALL, 1, gpus(4, 0)) == 4
  assert lib.lanes_that_fit(Sizes(10**18, 0, 0, 0, 0), 1) == 8


def test_other_processes_are_not_asked_for_their_memory():
  def refuse():
    raise RuntimeError('not addressable')

  foreign = types.SimpleNamespace(
    platform='gpu', process_index=1, memory_stats=refuse
  )
  assert lib.lanes_that_fit(SMALL, 1, [foreign, *gpus(1, 1e9)]) > 2


@pytest.mark.parametrize('devices, want', [(8, 6), (5, 3), (2, 2), (1, 1)])
def test_relaid_keeps_blocks_and_batches(devices, want):
  plan = Plan(6, 4, 1, 4, 6, 'seed')
  assert lib.relaid(plan, devices) == plan._replace(devices=want)


def test_relaid_by_points():
  assert lib.relaid(Plan(6, 4, 1, 1, 4, 'point'), 3).devices == 2


def test_bad_arguments_are_refused():
  with pytest.raises(ValueError, match="batching is 'pmap'"):
    lib.choose(SMALL, 1, 1, batching='pmap')
  with pytest.raises(ValueError, match='lanes_per_call is -1'):
    lib.choose(SMALL, 1, 1, lanes_per_call=-1)


def test_constants_are_shared():
  outside = jnp.arange(3.0)
  system = System(
    lambda key, hp: (outside, 2 * outside, 1.0), *toy.linear(3)[1:]
  )
  assert lib.dependence(system, toy.LinearHp(), None) == (NEITHER,) * 3


def test_a_lane_that_fits_nowhere_is_told():
  devices = jax.devices()[:1]
  there = lib.memory(devices)
  half = int(there // 2)
  assert not lib.shortfall(Sizes(half // 4, 8, half // 2, 0, 0), devices)
  told = lib.shortfall(Sizes(half, 8, half, 0, half), devices)
  assert told.startswith(f'a lane needs {lib.bytes_text(4 * half)} (problem')
  assert told.endswith(f'there are {lib.bytes_text(there)} on this host')


def test_a_container_bounds_memory(monkeypatch, tmp_path):
  bound, free = tmp_path / 'memory.max', tmp_path / 'unbounded'
  bound.write_text('123456789\n')
  free.write_text('max\n')
  monkeypatch.setattr(lib, '_CGROUPS', (bound, free, tmp_path / 'none'))
  assert lib.memory(jax.devices()) == 123456789


def test_ulimit_bounds_memory():
  """Less what the process has taken already."""
  code = """
import resource
import jax
from framework.run import plan
before = plan.memory(jax.devices())
bound = 1 << 36
resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
after = plan.memory(jax.devices())
assert 0 < after < bound and after <= before, (before, after)
resource.setrlimit(resource.RLIMIT_AS, (1 << 33, bound))
assert plan.memory(jax.devices()) < 1 << 33
"""
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=pathlib.Path(lib.__file__).parents[2],
    env={**os.environ, 'JAX_PLATFORMS': 'cpu'},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
