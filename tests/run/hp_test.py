"""Hyperparameters of every kind, from a rollout to the opened results."""

import dataclasses
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.run import results
from framework.run.job import Arm, Job, Layout
from framework.system import System, rollout
from tests import compiling
from tests.run import jobs

TIMES = np.array([0, 1, 2, 3, 5, 8, 13, 20, 30])
AXES = {'opt.lr': (0.1, 0.3), 'size.1': (1.0, 2.0, 4.0)}


@pytest.fixture(scope='module', autouse=True)
def compile_once(tmp_path_factory):
  with compiling.cached(tmp_path_factory.mktemp('compiled')):
    yield


class Opt(NamedTuple):
  lr: Any
  noise: Any


class Tuple(NamedTuple):
  opt: Any
  size: Any
  nothing: Any = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Data:
  opt: Any
  size: Any


@flax.struct.dataclass
class Struct:
  opt: Any
  size: Any


KINDS = {
  'NamedTuple': (Tuple(Opt(0.2, 0.01), (3.0, 1.0)), getattr),
  'nested dict': (
    {'opt': {'lr': 0.2, 'noise': 0.01}, 'size': [3.0, 1.0]},
    lambda tree, name: tree[name],
  ),
  'dataclass': (Data(Opt(0.2, 0.01), (3.0, 1.0)), getattr),
  'flax dataclass': (Struct(Opt(0.2, 0.01), (3.0, 1.0)), getattr),
}


def decay(get) -> System:
  """A noisy decay from `size.1`, shifted by `size.0`."""

  def step(key, x, problem, hp):
    opt = get(hp, 'opt')
    kick = get(opt, 'noise') * jax.random.uniform(key, (), x.dtype)
    return x - get(opt, 'lr') * x + kick

  return System(
    lambda key, hp: jax.random.uniform(key, (2,)) + get(hp, 'size')[0],
    lambda key, problem, hp: get(hp, 'size')[1] * jnp.ones(()),
    step,
    lambda x, problem, hp: {'x': x, 'shifted': x + problem},
  )


def final(x, problem, hp):
  return {'last': x}


@pytest.mark.parametrize('kind', KINDS)
def test_from_a_rollout_to_the_results(tmp_path, kind):
  hp, get = KINDS[kind]
  system = decay(get)
  job = Job([Arm(system, hp, final=final)], Layout({}, AXES, (4, 5), TIMES))
  options = {'batching': 'map', 'lanes_per_call': 6, 'chunk_stops': 2}
  stopped = jobs.go(job, tmp_path, **options, stop_requested=jobs.Stop(2))
  assert stopped.status == 'preempted'
  assert jobs.go(job, tmp_path, **options).status == 'done'
  found = results.open(tmp_path)
  assert found['x'].dims == ('opt.lr', 'size.1', 'seed', 'time')
  assert found['opt.lr'].values.tolist() == [0.1, 0.3]
  one = jax.jit(lambda key, hp: rollout(system, key, hp, TIMES))
  leaves, tree = jax.tree.flatten(hp)
  assert leaves == [0.2, 0.01, 3.0, 1.0]
  for lr in AXES['opt.lr']:
    for size in AXES['size.1']:
      own = [np.float64(x) for x in (lr, 0.01, 3, size)]
      own = jax.tree.unflatten(tree, own)
      state, records = one(jax.random.key(5), own)
      lane = found.sel({'opt.lr': lr, 'size.1': size, 'seed': 5})
      for name, x in records.items():
        np.testing.assert_array_equal(lane[name].values, x, err_msg=name)
      assert lane['last'] == state
  text = results.to_csv(found)
  assert text.startswith('opt.lr,size.1,seed,')
  assert text.count('\n') == 1 + 2 * 3 * 2


def test_one_number_is_hp_enough(tmp_path):
  system = System(
    lambda key, hp: (),
    lambda key, problem, hp: jnp.ones(()),
    lambda key, x, problem, hp: x * hp,
    lambda x, problem, hp: {'x': x},
  )
  layout = Layout({}, {'hp': (0.5, 2.0)}, (0,), np.arange(4))
  jobs.go(Job([Arm(system, 1)], layout), tmp_path)
  assert results.open(tmp_path)['x'].sel(hp=2.0, time=3) == 8
  assert results.open(tmp_path)['x'].sel(hp=0.5, time=3) == 0.125


def test_without_hyperparameters(tmp_path):
  system = System(
    lambda key, hp: (),
    lambda key, problem, hp: jax.random.uniform(key),
    lambda key, x, problem, hp: x / 2,
    lambda x, problem, hp: {'x': x},
  )
  layout = Layout({}, {}, (0, 1), np.arange(4))
  jobs.go(Job([Arm(system, {})], layout), tmp_path)
  assert results.open(tmp_path)['x'].shape == (2, 4)


@pytest.mark.parametrize(
  'axis, message',
  [
    ('lr', r'sweep axis lr is not .* did you mean opt\.lr\?'),
    ('opt', r'sweep axis opt is not .*: opt\.lr, opt\.noise'),
  ],
)
def test_a_wrong_axis_is_one_line_before_anything(tmp_path, axis, message):
  hp, get = KINDS['NamedTuple']
  layout = Layout({}, {axis: (1.0,)}, (0,), np.arange(3))
  with pytest.raises(ValueError, match=message):
    jobs.go(Job([Arm(decay(get), hp)], layout), tmp_path)
  assert not list(tmp_path.iterdir())
