import csv
import io

import numpy as np
import pytest

from framework.run import results as lib
from framework.run.results import Layout, Records, Variable

LAYOUT = Layout(
  {'rule': ('sgd', 'adam'), 'rank': (3, 5)},
  {'eta': (0.1, 0.2, 0.4), 'alpha': (1.0, 2.0)},
  (7, 8),
  np.array([0, 1, 10, 100]),
)
VARIABLES = {
  'loss': Variable((), timed=True),
  'spectrum': Variable((2,), timed=True),
  'last': Variable((), timed=False),
  'diverged_at': Variable((), timed=False),
}


def block(structure, name):
  """(seed, point, time...) numbers that tell where they belong."""
  seed, point, time = np.ogrid[:2, :6, :4]
  x = 1000.0 * structure + 100 * seed + 10 * point + time
  if name == 'spectrum':
    x = x[..., None] + np.array([0.25, 0.75])
  return x if VARIABLES[name].timed else x[:, :, 3]


def fill(where):
  store = Records(where, LAYOUT, VARIABLES, {'loss': {'units': 'nat'}})
  for s in range(4):
    for name, v in VARIABLES.items():
      times = slice(0, 4) if v.timed else None
      store.write(s, slice(0, 6), slice(0, 2), {name: block(s, name)}, times)
  store.flush()
  return store


def test_dims_coordinates_values(tmp_path):
  fill(tmp_path)
  found = lib.open(tmp_path)
  lanes = ('rule', 'rank', 'eta', 'alpha', 'seed')
  assert found['loss'].dims == (*lanes, 'time')
  assert found['spectrum'].dims == (*lanes, 'time', 'spectrum_0')
  assert found['last'].dims == lanes
  assert found['loss'].attrs == {'units': 'nat'}
  assert found['rule'].values.tolist() == ['sgd', 'adam']
  assert found['rank'].values.tolist() == [3, 5]
  assert found['eta'].values.tolist() == [0.1, 0.2, 0.4]
  assert found['seed'].values.tolist() == [7, 8]
  assert found['time'].values.tolist() == [0, 1, 10, 100]
  # Structure 2 of 4 is (adam, 3); point 3 of 6 is (0.2, 2).
  lane = {'rule': 'adam', 'rank': 3, 'eta': 0.2, 'alpha': 2.0, 'seed': 8}
  assert found['loss'].sel(**lane, time=10) == 2000 + 100 + 30 + 2
  np.testing.assert_array_equal(
    found['spectrum'].sel(**lane, time=1), 2131 + np.array([0.25, 0.75])
  )
  assert found['last'].sel(**lane) == 2133


def test_what_is_not_written_is_nan(tmp_path):
  store = Records(tmp_path, LAYOUT, VARIABLES)
  store.write(
    0, slice(1, 2), slice(0, 1), {'loss': np.ones((1, 1, 1))}, slice(2, 3)
  )
  store.flush()
  found = lib.open(tmp_path)
  assert int(np.isfinite(found['loss']).sum()) == 1
  assert found['loss'][0, 0, 0, 1, 0, 2] == 1


def test_opened_again_it_keeps_what_is_there(tmp_path):
  fill(tmp_path)
  before = lib.open(tmp_path)
  Records(tmp_path, LAYOUT, VARIABLES)
  assert before.identical(lib.open(tmp_path))


def test_coordinates_are_filled_in_after_a_kill(tmp_path):
  """Made, but not yet written: strings are empty, numbers zero."""
  import zarr

  Records(tmp_path, LAYOUT, VARIABLES)
  group = zarr.open_group(str(tmp_path / lib.NAME), mode='a')
  for name, empty in (('rule', ''), ('eta', 0)):
    group[name][:] = np.full(
      group[name].shape, empty, object if name == 'rule' else float
    )
  Records(tmp_path, LAYOUT, VARIABLES)
  found = lib.open(tmp_path)
  assert found['rule'].values.tolist() == ['sgd', 'adam']
  assert found['eta'].values.tolist() == [0.1, 0.2, 0.4]


def test_an_array_of_another_shape_is_refused(tmp_path):
  fill(tmp_path)
  with pytest.raises(ValueError, match=r'loss in .* has shape .*expected'):
    Records(tmp_path, LAYOUT._replace(times=np.arange(5)), VARIABLES)


@pytest.mark.parametrize(
  'values, want',
  [
    ((None, 'adam'), ['None', 'adam']),
    (((2, 3), (4,)), ['(2, 3)', '(4,)']),
    ((True, False), [True, False]),
    ((3, 0.5), [3.0, 0.5]),
  ],
)
def test_structural_values_of_any_kind(tmp_path, values, want):
  layout = Layout({'kind': values}, {}, (0,), np.arange(2))
  Records(tmp_path, layout, {'x': Variable((), timed=True)})
  assert lib.open(tmp_path)['kind'].values.tolist() == want


def test_no_records(tmp_path):
  with pytest.raises(FileNotFoundError, match=r'no records\.zarr in'):
    lib.open(tmp_path)


def test_without_axes_there_are_seeds_and_time(tmp_path):
  layout = Layout({}, {}, (1, 2, 3), np.arange(2))
  assert layout.points == 1 and layout.structures == [{}]
  store = Records(tmp_path, layout, {'x': Variable((), True)})
  x = np.arange(6.0).reshape(3, 1, 2)
  store.write(0, slice(0, 1), slice(0, 3), {'x': x}, slice(0, 2))
  store.flush()
  found = lib.open(tmp_path)
  assert found['x'].dims == ('seed', 'time')
  np.testing.assert_array_equal(found['x'], x[:, 0])


def test_structures_in_c_order():
  assert LAYOUT.structures == [
    {'rule': 'sgd', 'rank': 3},
    {'rule': 'sgd', 'rank': 5},
    {'rule': 'adam', 'rank': 3},
    {'rule': 'adam', 'rank': 5},
  ]
  assert LAYOUT.points == 6


def test_csv_has_a_row_a_lane(tmp_path):
  store = fill(tmp_path)
  nan = np.full((1, 1), np.nan)
  store.write(0, slice(0, 1), slice(0, 1), {'diverged_at': nan})
  # A lane that diverged keeps its last finite record; one without any has nan.
  lost = np.array([[[5.0, np.inf, np.nan, np.nan]]])
  store.write(0, slice(0, 1), slice(0, 1), {'loss': lost}, slice(0, 4))
  none = np.full((1, 1, 4), np.nan)
  store.write(3, slice(5, 6), slice(1, 2), {'loss': none}, slice(0, 4))
  store.flush()
  text = lib.to_csv(lib.open(tmp_path))
  rows = list(csv.DictReader(io.StringIO(text)))
  assert len(rows) == 4 * 6 * 2
  assert set(rows[0]) == {
    *('rule', 'rank', 'eta', 'alpha', 'seed', 'loss', 'last', 'diverged_at')
  }
  first = {'rule': 'sgd', 'rank': '3', 'eta': '0.1', 'alpha': '1.0'}
  assert rows[0].items() >= {**first, 'seed': '7', 'loss': '5.0'}.items()
  assert rows[0]['diverged_at'] == 'nan'
  assert rows[1].items() >= {**first, 'seed': '8', 'loss': '103.0'}.items()
  assert rows[2]['alpha'] == '2.0' and rows[2]['last'] == '13.0'
  assert rows[-1]['loss'] == 'nan' and rows[-1]['rule'] == 'adam'


def test_csv_keeps_all_digits(tmp_path):
  layout = Layout({}, {'eta': (0.1,)}, (0,), np.arange(1))
  x = np.array([[1 / 3]])
  Records(tmp_path, layout, VARIABLES).write(
    0, slice(0, 1), slice(0, 1), {'last': x}
  )
  (row,) = csv.DictReader(io.StringIO(lib.to_csv(lib.open(tmp_path))))
  assert float(row['last']) == 1 / 3


@pytest.mark.parametrize(
  'row, last',
  [
    ([np.nan, 1, 2], 2),
    ([1, np.nan, np.nan], 1),
    ([1, 2, np.inf], 2),
    ([np.nan, 1, np.nan], 1),
    ([np.nan] * 3, np.nan),
  ],
)
def test_the_last_finite_record_is_the_last_of_them(row, last):
  found = lib._last_finite(np.array([row, [0.0, 5.0, 7.0]], float))
  np.testing.assert_array_equal(found, [last, 7])
