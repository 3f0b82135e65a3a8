"""Hyperparameters by name, in every kind of pytree."""

import dataclasses
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import leaves


class Tuple(NamedTuple):
  opt: Any
  k: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Data:
  opt: Any
  k: Any


@flax.struct.dataclass
class Struct:
  opt: Any
  k: Any


@pytest.mark.parametrize('kind', [Tuple, Data, Struct, dict])
def test_every_kind_of_tree(kind):
  hp = kind(opt={'lr': 0.5, 'betas': (0.9, None, 0.99)}, k=np.int32(3))
  names = ('opt.betas.0', 'opt.betas.2', 'opt.lr', 'k')
  assert sorted(leaves.names(hp)) == sorted(names)
  new = leaves.replaced(hp, {'opt.betas.2': 7, 'k': 4})
  assert type(new) is kind
  assert jax.tree.structure(new) == jax.tree.structure(hp)
  found = dict(zip(leaves.names(new), jax.tree.leaves(new), strict=True))
  assert found == {**dict.fromkeys(names), 'k': 4, 'opt.betas.2': 7} | {
    'opt.betas.0': 0.9,
    'opt.lr': 0.5,
  }


def test_a_number_alone_and_nothing():
  assert leaves.names(0.1) == ('hp',)
  assert leaves.replaced(0.1, {'hp': 0.2}) == 0.2
  assert leaves.names(()) == () and leaves.replaced((), {}) == ()


@pytest.mark.parametrize(
  'name, message',
  [
    ('lr', r'lr is not .* did you mean opt.lr\? There are k, opt.b, opt.lr'),
    ('opt.lrr', r'did you mean opt.lr\?'),
    ('opt', 'opt is not a hyperparameter but holds some: opt.b, opt.lr'),
    ('K', r'K is not a hyperparameter'),
  ],
)
def test_a_wrong_name_is_said_with_the_nearest(name, message):
  hp = {'opt': {'lr': 0.1, 'b': 0.2}, 'k': 3}
  with pytest.raises(ValueError, match=message):
    leaves.replaced(hp, {name: 1})
  with pytest.raises(ValueError, match=message):
    leaves.like(hp, name, (1.0,))


def test_no_leaf_has_no_nearest():
  with pytest.raises(ValueError, match=r'lr is not .*: there are none'):
    leaves.replaced({}, {'lr': 1})


def test_two_leaves_of_one_name_are_refused():
  with pytest.raises(ValueError, match=r'two hyperparameters are called a\.b'):
    leaves.names({'a.b': 1, 'a': {'b': 2}})


@pytest.mark.parametrize(
  'leaf',
  [np.zeros(2), 'sgd', jax.random.key(0), [np.zeros((1,))], np.array('x')],
)
def test_what_is_no_number_is_refused(leaf):
  with pytest.raises(ValueError, match=r'(?s)hyperparameter a.* expected a n'):
    leaves.check_scalars({'a': leaf})


def test_numbers_are_numbers():
  leaves.check_scalars([1, 0.5, 1j, True, np.float32(1), jnp.bfloat16(1), None])


@pytest.mark.parametrize(
  'leaf, values, want',
  [
    (1, (0.5, 0.25), np.float64),
    (1, (2, 3), np.int64),
    (1.0, (2, 3), np.float64),
    (np.float32(1), (0.1, 2), np.float32),
    (jnp.float32(1), (0.1, np.inf, np.nan), np.float32),
    (np.int32(1), (2.0, 3.0), np.int32),
    (jnp.bfloat16(1), (0.5,), jnp.bfloat16),
    (True, (True, False), bool),
    (np.complex64(1), (1j, 2), np.complex64),
  ],
)
def test_values_get_the_type_of_the_leaf(leaf, values, want):
  found = leaves.like({'x': leaf}, 'x', values)
  assert found.dtype == want and type(found) is np.ndarray
  np.testing.assert_array_equal(found, np.asarray(values).astype(want))


@pytest.mark.parametrize(
  'leaf, values, message',
  [
    (np.int32(1), (2, 0.5), 'x is int32, which cannot hold 0.5'),
    (np.int32(1), (2**31,), 'x is int32, which cannot hold 2147483648'),
    (np.int32(1), (np.nan,), 'x is int32, which cannot hold nan'),
    (np.uint8(1), (-1,), 'x is uint8, which cannot hold -1'),
    (True, (0.5,), 'x is bool, which cannot hold 0.5'),
    (True, (2,), 'x is bool, which cannot hold 2'),
    (np.float32(1), (1.0, 1e39), r'x is float32, which cannot hold 1e\+39'),
    (1.0, (1j,), 'x is float64, which cannot hold complex128'),
    (1.0, (), 'x: no values'),
    (1.0, ('a',), r"x: \('a',\), expected a list of float64 values"),
    (1.0, (None,), 'expected a list of float64 values'),
    (1.0, 0.5, 'x: 0.5, expected a list of float64 values'),
    (1.0, [[1.0]], 'expected a list of float64 values'),
    (1.0, [[1.0], [1.0, 2.0]], 'expected a list of float64 values'),
    (1, (2**70,), 'expected a list of int64 values'),
  ],
)
def test_values_that_would_be_changed_are_refused(leaf, values, message):
  with pytest.raises(ValueError, match=message):
    leaves.like({'x': leaf}, 'x', values)


def test_traced_values_are_judged_by_their_type():
  def typed(leaf, values):
    return jax.jit(lambda v: leaves.like({'x': leaf}, 'x', v))(values)

  floats, whole = jnp.array([0.5, 0.25]), jnp.array([1, 2])
  assert typed(1, floats).dtype == jnp.float64
  assert typed(1, floats).tolist() == [0.5, 0.25]
  assert typed(np.float32(1), floats).dtype == jnp.float32
  assert typed(np.float32(1), whole).dtype == jnp.float32
  with pytest.raises(ValueError, match='x is int32, which cannot hold float64'):
    typed(np.int32(1), floats)
