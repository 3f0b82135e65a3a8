"""Problems too large for one device: their rows spread over a second axis."""

import dataclasses

import jax
import numpy as np
import pytest

from framework.run.plan import Plan
from framework.run.sweep import Program
from framework.systems import matrix_sensing as dynamics
from framework.systems.clusters import xor
from framework.systems.clusters.xor import net as xor_net
from tests import toy

TIMES = np.array([0, 3, 20], np.int32)
STRUCTURE = dynamics.Structure(
  n1=20, n2=20, r=2, k_max=4, m=440, operator=dynamics.operators.gram
)
HP = toy.typed(dynamics.Hp(), float)._replace(
  k=np.int32(4), alpha=np.array([0.2, 0.5])
)


def observe(state, problem, hp):
  loss, gradient = dynamics.value_and_grad(state.params, problem)
  return {'loss': loss, 'gradient': gradient['X']}


def go(plan, structure=STRUCTURE, hp=HP):
  system = dynamics.system(structure)._replace(observe=observe)
  return run(system, plan, hp)


def run(system, plan, hp):
  program = Program(system, plan, hp)
  keys = program.seed_keys(range(plan.seeds))
  problem, lanes = program.start(keys, hp, None)
  args = (problem, hp, lanes, np.int32(0), TIMES, np.ones(3, bool))
  text = program.advance.lower(keys, *args).compile().as_text()
  return problem, program.advance(keys, *args)[1], text


@pytest.mark.parametrize('operator, devices', [('gram', 4), ('svec', 1)])
def test_spread_over_two_devices_a_lane_is_the_same_run(operator, devices):
  form = getattr(dynamics.operators, operator)
  structure = dataclasses.replace(STRUCTURE, operator=form)
  plan = Plan(4, 2, 1, 1, devices, 'seed')
  _, want, alone = go(plan, structure)
  problem, got, text = go(plan._replace(model=2), structure)
  for name, x in want.items():
    np.testing.assert_allclose(
      got[name], x, rtol=1e-9, atol=1e-12, err_msg=name
    )
  # Each device holds half of the rows, and no device ever holds them all.
  large = max(jax.tree.leaves(problem.operator), key=lambda x: x.size)
  shards = {s.data.shape for s in large.addressable_shards}
  assert shards == {(4 // devices, large.shape[1] // 2, large.shape[2])}
  whole = f'f64[{large.shape[1]},{large.shape[2]}]'
  assert whole in alone and whole not in text
  assert 'all-reduce' in text or 'all-gather' in text
  assert 'all-reduce' not in alone and 'all-gather' not in alone


def test_small_arrays_and_odd_rows_stay_whole():
  plan = Plan(2, 2, 1, 1, 1, 'seed', model=2)
  for structure in (
    dataclasses.replace(STRUCTURE, n1=5, n2=5, m=30),  # 15 x 15 numbers
    dataclasses.replace(STRUCTURE, operator=dynamics.operators.svec, m=441),
  ):
    problem, _, _ = go(plan, structure)
    for x in jax.tree.leaves(problem.operator):
      assert x.sharding.is_fully_replicated


def test_shared_data_is_placed_once_and_spread():
  data = np.random.default_rng(0).normal(size=(1024, 9)) / 100
  hp = toy.typed(toy.LinearHp(), float)
  records = []
  for model in (1, 4):
    plan = Plan(2, 1, 1, 1, 2, 'seed', model)
    hp_block = hp._replace(scale=np.array([1.5]))
    program = Program(toy.shared(9), plan, hp_block, data)
    placed = program.place(data)
    rows = {s.data.shape for s in placed.addressable_shards}
    assert rows == {(1024 // model, 9)}
    keys = program.seed_keys([3, 4])
    problem, lanes = program.start(keys, hp_block, placed)
    args = problem, hp_block, lanes, np.int32(0), TIMES, np.ones(3, bool)
    records.append(program.advance(keys, *args)[1]['x'])
  np.testing.assert_allclose(*records, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
  'draw, p', [(xor.gram_problem, 300), (xor.bartlett_problem, None)]
)
def test_the_gram_of_grokking_is_spread(draw, p):
  """K = XXᵀ, whichever way it was drawn: half of its rows on each device."""
  n = 180
  structure = xor.Structure(n, n_test=20, m=9, draw=draw, p=p, dtype=np.float64)
  # Large steps: sigmoid weights differ, so that all that K says counts.
  hp = xor.Hp(alpha=0.05, omega=0.1, signal=2.0, leak=0.2, p=300.0)
  hp = toy.typed(hp, float)._replace(alpha=np.array([0.02, 0.05]))

  def outputs(state, problem, hp):
    Z = xor.view(state, problem).Z
    return {'f': xor_net.outputs(Z, problem.facts.a, hp.leak)}

  system = xor.system(structure)._replace(observe=outputs)
  plan = Plan(2, 2, 1, 1, 2, 'seed')
  _, want, alone = run(system, plan, hp)
  problem, got, text = run(system, plan._replace(model=2), hp)
  np.testing.assert_allclose(got['f'], want['f'], rtol=1e-9, atol=1e-12)
  assert np.ptp(want['f'], axis=2).max() > 1e-3  # something was learnt
  shards = {s.data.shape for s in problem.K.addressable_shards}
  assert shards == {(1, n // 2, n)}
  whole = f'f64[{n},{n}]'
  assert whole in alone and whole not in text
  assert 'all-reduce' in text or 'all-gather' in text
