"""Tasks: what is learnt and what is tested, drawn or stored."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.grokking import tables, tasks

PATH = pathlib.Path(__file__).parents[2] / 'golden' / 'grok_splits_seed42.npz'
GOLDEN = np.load(PATH)
KEY = jax.random.key(0)


@pytest.mark.parametrize('operation', tables.OPERATIONS)
def test_splits_are_those_of_the_reference(operation):
  name = f'{operation}_mod'
  split = tasks.stored_split(str(PATH), name, 113**2)
  np.testing.assert_array_equal(split.train, GOLDEN[f'{name}_train_idx'])
  assert len(split.train) == tasks.train_size(113**2, 0.4) == 5107
  rows = np.concatenate(split)
  np.testing.assert_array_equal(np.sort(rows), np.arange(113**2))
  # Its transformer has no zeros.
  assert tasks.train_size(112**2, 0.4) == 5017


def test_a_keyed_split_is_a_split():
  split = tasks.keyed_split(jax.random.key(3), 100, 30)
  rows = np.concatenate(split)
  np.testing.assert_array_equal(np.sort(rows), np.arange(100))
  assert len(split.train) == 30 and split.train.dtype == jnp.int32
  again = tasks.keyed_split(jax.random.key(4), 100, 30)
  assert np.any(split.train != again.train)


def test_every_seed_draws_its_own_split_and_no_row_is_lost():
  draw = jax.jit(lambda key: tasks.modular(7, train_fraction=0.6)(key, None))
  one, two = draw(jax.random.key(1)), draw(jax.random.key(2))
  rows = np.concatenate([one['x'], one['x_test']])
  assert len({tuple(r) for r in rows.tolist()}) == 49 and len(one['x']) == 29
  assert np.any(np.asarray(one['x']) != two['x'])
  np.testing.assert_array_equal(one['x'].sum(1) % 7, one['y'])


def test_a_stored_split_is_used():
  split = tasks.stored_split(str(PATH), 'add_mod', 113**2)
  task = tasks.modular(113, train_fraction=0.4)
  problem = jax.jit(lambda: task(KEY, None, tasks.Data(None, split)))()
  x = tables.modular_table(113).x
  np.testing.assert_array_equal(problem['x'], x[split.train])
  np.testing.assert_array_equal(problem['x_test'], x[split.test])


def test_a_subset_of_a_table_leaves_the_last_rows_to_test():
  x = np.arange(30.0)[:, None]
  table = tables.Table(x, np.arange(30) % 3)
  draw = tasks.subset(8, 20)
  problem = jax.device_get(
    jax.jit(lambda: draw(KEY, None, tasks.Data(table)))()
  )
  np.testing.assert_array_equal(problem['x_test'][:, 0], np.arange(20, 30))
  own = problem['x'][:, 0]
  assert len(set(own.tolist())) == 8 and own.max() < 20
  np.testing.assert_array_equal(problem['y'], own.astype(int) % 3)
  assert problem['x'].dtype == jnp.float32
  with pytest.raises(ValueError, match='no table, expected one in the data'):
    tasks.subset(8, 20)(KEY, None)


def test_features_have_the_dtype_asked_for_and_tokens_are_integers():
  for encoding, dtype in (('token', jnp.int32), ('binary', jnp.float64)):
    task = tasks.modular(5, encoding=encoding, dtype=jnp.float64)
    assert jax.eval_shape(task, KEY, None)['x'].dtype == dtype


@pytest.mark.parametrize(
  'make, wanted',
  [
    (lambda: tasks.train_size(10, 0.01), 'leaves 0 to train on and 10'),
    (lambda: tasks.train_size(10, 1.0), 'leaves 10 to train on and 0 to test'),
    (lambda: tasks.keyed_split(None, 4, 4), 'train is 4, expected 1 <= train'),
    (lambda: tasks.modular(1), 'modulus is 1, expected an integer in [2,'),
    (lambda: tasks.modular(7, 'divide'), "operation is 'divide', expected"),
    (
      lambda: tasks.modular(7, train_fraction=1.0),
      'leaves 49 to train on and 0 to test',
    ),
    (lambda: tasks.parity(50), 'parity k is 50, expected 1 <= k <= bits = 43'),
    (lambda: tasks.subset(9, 8), 'train is 9, expected 1 <= train <= 8'),
    (lambda: tasks.stored_split('/no.npz', 'a', 4), 'split file /no.npz: No'),
    (
      lambda: tasks.stored_split(str(PATH), 'mul', 4),
      'has no split mul, but add_mod,',
    ),
    (
      lambda: tasks.stored_split(str(PATH), 'add_mod', 12_000),
      'split add_mod does not fit 12000 rows',
    ),
  ],
)
def test_what_cannot_be_is_refused_in_one_line(make, wanted):
  with pytest.raises(ValueError) as caught:
    make()
  assert wanted in str(caught.value)
  assert len(str(caught.value).splitlines()) == 1
