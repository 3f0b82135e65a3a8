import types

import numpy as np
import pytest
import xarray as xr

from framework.evidence import lanes

# x over (rule, alpha, seed, time, own axis); last is not timed.
X = np.arange(2 * 3 * 2 * 4 * 5.0).reshape(2, 3, 2, 4, 5)
DATA = xr.Dataset(
  {
    'x': (('rule', 'alpha', 'seed', 'time', 'x_0'), X),
    'last': (('rule', 'alpha', 'seed'), X[..., 0, 0]),
    'diverged_at': (('rule', 'alpha', 'seed'), np.full((2, 3, 2), np.nan)),
  },
  {
    'rule': ['gd', 'adam'],
    'alpha': [0.1, 0.2, 0.3],
    'seed': [7, 8],
    'time': [0, 1, 5, 9],
  },
)


def test_lanes_are_in_c_order_of_their_axes():
  np.testing.assert_array_equal(lanes.lanes(DATA, 'x'), X.reshape(12, 4, 5))
  found = lanes.lanes(DATA, 'x', rule='adam', alpha=0.2)
  np.testing.assert_array_equal(found, X[1, 1])
  np.testing.assert_array_equal(
    lanes.lanes(DATA, 'last', seed=8), X[:, :, 1, 0, 0].ravel()
  )


def test_an_axis_that_was_not_swept_selects_nothing():
  np.testing.assert_array_equal(
    lanes.lanes(DATA, 'last', beta=3), lanes.lanes(DATA, 'last')
  )
  with pytest.raises(KeyError):
    lanes.lanes(DATA, 'last', alpha=0.9)


def test_coordinates_go_with_their_lanes():
  for where in ({}, {'rule': 'gd'}, {'seed': 8}):
    values = lanes.lanes(DATA, 'last', **where)
    for axis in ('alpha', 'seed', 'rule'):
      named = lanes.coordinate(DATA, axis, **where) if axis not in where else []
      for value, at in zip(values, named, strict=False):
        np.testing.assert_array_equal(
          DATA['last']
          .sel({**where, axis: at})
          .values.ravel()
          .tolist()
          .count(value),
          1,
        )


def test_over_a_grid_every_axis_is_there():
  found = lanes.over(DATA, 'x', ('alpha', 'beta', 'rule'))
  np.testing.assert_array_equal(found, X.transpose(1, 0, 2, 3, 4)[:, None])
  found = lanes.over(DATA, 'last', ('seed',), rule='gd', alpha=0.1)
  np.testing.assert_array_equal(found, X[0, 0, :, 0, 0])


def test_at_a_time():
  np.testing.assert_array_equal(
    lanes.at(DATA, 'x', 5, rule='gd'), X[0, :, :, 2].reshape(6, 5)
  )
  with pytest.raises(KeyError):
    lanes.at(DATA, 'x', 2)


def test_prepared_has_axes_that_were_not_swept():
  config = types.SimpleNamespace(alpha=9.0, beta=0.5)
  found = lanes.prepared(config, DATA, ('alpha', 'beta'))
  assert found.sizes['beta'] == 1 and found['beta'].item() == 0.5
  np.testing.assert_array_equal(found['alpha'], DATA['alpha'])
  np.testing.assert_array_equal(found['x'].isel(beta=0), DATA['x'])
