"""Tables, those of the reference among them."""

import pathlib

import jax
import numpy as np
import pytest

from framework.systems.grokking import tables

PATH = pathlib.Path(__file__).parents[2] / 'golden' / 'grok_splits_seed42.npz'
GOLDEN = np.load(PATH)


@pytest.mark.parametrize('operation', tables.OPERATIONS)
def test_tables_are_those_of_the_reference(operation):
  table = tables.modular_table(113, operation)
  np.testing.assert_array_equal(table.y, GOLDEN[f'{operation}_mod_targets'])


def test_the_transformer_table_begins_at_one():
  table = tables.modular_table(113, 'add', lowest=1)
  np.testing.assert_array_equal(table.x, GOLDEN['add_mod_transformer_data'])
  np.testing.assert_array_equal(table.y, GOLDEN['add_mod_transformer_targets'])


def test_the_stored_parity_task_is_the_parity_of_the_first_three():
  x, y = GOLDEN['sparse_parity_data'], GOLDEN['sparse_parity_targets']
  np.testing.assert_array_equal(x[:, :3].sum(1) % 2, y)


def test_encodings_say_the_same():
  token = tables.modular_table(6, 'product')
  hot = tables.modular_table(6, 'product', 'one_hot')
  bits = tables.modular_table(6, 'product', 'binary')
  assert hot.x.shape == (36, 12) and bits.x.shape == (36, 6)
  np.testing.assert_array_equal(hot.x.reshape(36, 2, 6).argmax(2), token.x)
  value = (bits.x.reshape(36, 2, 3) * [1, 2, 4]).sum(2)
  np.testing.assert_array_equal(value, token.x)
  assert tables.modular_table(113, 'add', 'binary').x.shape[1] == 14


@pytest.mark.parametrize(
  'bits, rows', [(6, 64), (17, 500), (43, 2000), (62, 99)]
)
def test_parity_strings_are_distinct_and_fair(bits, rows):
  draw = jax.jit(lambda key: tables.sparse_parity(key, 3, bits, rows))
  x, y = map(np.asarray, draw(jax.random.key(0)))
  assert x.shape == (rows, bits) and set(np.unique(x)) == {0.0, 1.0}
  assert len(set(map(bytes, x.astype(np.uint8)))) == rows
  np.testing.assert_array_equal(y, x[:, :3].sum(1) % 2)
  assert (np.abs(x.mean(0) - 0.5) < 5 * 0.5 / rows**0.5).all()
  other, _ = draw(jax.random.key(1))
  assert np.any(np.asarray(other) != x)


def test_repeated_strings_are_dropped():
  """17 bits, a quarter of all strings: repeats are certain among the draws."""
  draw = jax.jit(tables.sparse_parity, static_argnums=(1, 2, 3))
  x, _ = draw(jax.random.key(0), 1, 17, 2**15)
  assert len(set(map(bytes, np.asarray(x, np.uint8)))) == 2**15


@pytest.mark.parametrize(
  'make, wanted',
  [
    (lambda: tables.modular_table(1), 'modulus is 1, expected an integer in'),
    (lambda: tables.modular_table(5, 'divide'), "operation is 'divide', expec"),
    (
      lambda: tables.modular_table(5, encoding='x'),
      "encoding is 'x', expected",
    ),
    (lambda: tables.modular_table(5, lowest=4), 'lowest is 4, expected 0 <='),
    (
      lambda: tables.sparse_parity(jax.random.key(0), 9, 8, 4),
      'parity k is 9, expected 1 <= k <= bits = 8',
    ),
    (
      lambda: tables.sparse_parity(jax.random.key(0), 1, 3, 9),
      'expected bits <= 62 and 2 to 8 rows',
    ),
  ],
)
def test_what_cannot_be_is_refused_in_one_line(make, wanted):
  with pytest.raises(ValueError) as caught:
    make()
  assert wanted in str(caught.value)
  assert len(str(caught.value).splitlines()) == 1
