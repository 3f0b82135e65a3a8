"""Rates and seeds side by side are the runs one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.system import System, rollout
from framework.systems import width
from framework.systems.width import transfer
from framework.systems.width.transfer import lr_sweep
from tests.compiling import counted

SMALL = transfer.Structure(
  width=8,
  base_width=4,
  model=lambda n: width.Perceptron(n, outputs=3),
  task=transfer.classes(inputs=5, outputs=3, rows=64),
  batch=8,
  evaluated=32,
)
HP = transfer.Hp(*map(jnp.float64, (0.1, 1, 0.0, 0.0)))._replace(
  rule=jnp.int32(1)
)
TIMES = jnp.array([0, 2, 5])


def test_a_sweep_is_its_runs():
  system = transfer.system(SMALL)
  rates = (0.003, 0.03)
  found = lr_sweep.lr_sweep(system, HP, rates, 2, TIMES)
  assert found['loss'].shape == (2, 2, 3)
  assert found['size'].shape == (2, 2, 3, 4)
  for i, rate in enumerate(rates):
    for seed in range(2):
      hp = HP._replace(lr=jnp.float64(rate))
      _, alone = rollout(system, jax.random.key(seed), hp, TIMES)
      for name, x in alone.items():
        # Lanes of a vmap round differently, in float32.
        np.testing.assert_allclose(
          found[name][i, seed], x, rtol=1e-5, atol=1e-6, err_msg=name
        )
  # Neither seeds nor rates are copies of each other.
  last = np.asarray(found['loss'][..., -1]).ravel()
  assert len(np.unique(last.round(4))) == 4


def test_other_rates_and_times_compile_nothing():
  system = transfer.system(SMALL)
  sweep = jax.jit(
    lambda rates, times: lr_sweep.lr_sweep(system, HP, rates, 2, times)
  )
  first = sweep(jnp.array([0.01, 0.1]), TIMES)
  rates, times = jnp.array([0.02, 0.1]), jnp.array([0, 2, 4])
  with counted() as count:
    other = sweep(rates, times)
  assert count.compiled == 0
  np.testing.assert_array_equal(other['loss'][1, :, 1], first['loss'][1, :, 1])


def decay(rate):
  return System(
    lambda key, hp: (),
    lambda key, problem, hp: jnp.ones(()),
    lambda key, x, problem, hp: x * (1 - rate(hp)),
    lambda x, problem, hp: {'x': x},
  )


@pytest.mark.parametrize(
  'hp, name, rate',
  [
    ({'lr': 1}, 'lr', lambda hp: hp['lr']),
    ({'opt': {'lr': jnp.float32(0)}}, 'opt.lr', lambda hp: hp['opt']['lr']),
    ((3, 1), '1', lambda hp: hp[1]),
  ],
)
def test_rates_of_any_hp(hp, name, rate):
  """Python's 1 as well: cast to whole numbers, both rates would be 0."""
  found = lr_sweep.lr_sweep(
    decay(rate), hp, (0.5, 0.25), 1, jnp.array([0, 1]), name=name
  )
  assert found['x'][:, 0, 1].tolist() == [0.5, 0.75]


def test_rates_that_the_hp_cannot_hold_are_refused():
  system = decay(lambda hp: hp['lr'])
  for traced in (False, True):
    with pytest.raises(ValueError, match='lr is int32, which cannot hold'):
      call = lambda rates: lr_sweep.lr_sweep(  # noqa: E731
        system, {'lr': np.int32(1)}, rates, 1, jnp.array([0, 1])
      )
      jax.jit(call)(jnp.array([0.5])) if traced else call((0.5, 0.25))
  with pytest.raises(ValueError, match=r'lr is not .* did you mean opt\.lr\?'):
    lr_sweep.lr_sweep(system, {'opt': {'lr': 0.1}}, (1.0,), 1, TIMES)


def test_the_best_is_never_a_run_that_diverged():
  nan, inf = np.nan, np.inf
  loss = np.array([[nan, 2.0, 1.0], [-inf, 0.5, inf], [3.0, nan, nan]])
  assert lr_sweep.best(loss).tolist() == [2, 1, 0]
  assert lr_sweep.best(loss[None]).shape == (1, 3)


def test_where_every_run_diverged_there_is_no_best():
  loss = np.array([[np.nan, np.nan], [np.inf, -np.inf], [1.0, np.nan]])
  assert lr_sweep.best(loss).tolist() == [-1, -1, 0]
  assert lr_sweep.best(loss[0]) == -1
  assert np.isnan(lr_sweep.drift(lr_sweep.best(loss)))


def test_drift_is_the_whole_way():
  assert lr_sweep.drift(np.array([3, 3, 3])) == 0
  assert lr_sweep.drift(np.array([2, 4, 1])) == 3
  assert lr_sweep.drift(np.array([1, 4, 2])) == 3  # has no sign
