"""Rates and seeds side by side are the runs one by one."""

import jax
import jax.numpy as jnp
import numpy as np

from framework.system import rollout
from framework.systems.width import transfer
from framework.systems.width.transfer import lr_sweep
from tests.compiling import counted

SMALL = transfer.Structure(
  width=8, base_width=4, inputs=5, outputs=3, rows=64, batch=8, evaluated=32
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
