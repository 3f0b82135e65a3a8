"""What a figure shows, read back as numbers."""

import json

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from framework.evidence import figures
from framework.evidence.page import values

T = np.array([1.0, 10.0, 100.0])


def read(fig):
  fig.draw_without_rendering()
  found = values(fig)
  assert json.loads(json.dumps(found, allow_nan=False)) == found
  return found


def one(fig):
  (panel,) = read(fig)
  (series,) = panel['series']
  return panel, series


def test_lanes_have_their_median_and_their_band():
  fig, ax = figures.figure()
  ax.set(xscale='log', xlabel='step $T$', ylabel=r'$\|X\|^2$')
  figures.lanes(ax, T, np.stack([T, 2 * T, 4 * T]), 'k = 3', 'C1')
  panel, series = one(fig)
  assert (panel['x'], panel['y']) == ('step T', '‖X‖²')
  assert series['name'] == 'k = 3'
  assert series['x'] == [1, 10, 100]
  assert series['y'] == [2, 20, 200]
  assert (series['low'], series['high']) == ([1, 10, 100], [4, 40, 400])


def test_places_are_those_of_the_picture():
  """At (u, v) the picture has the colour of the point."""
  fig, ax = figures.figure(height=2.0)
  ax.plot(T[:2], [3.0, 4.0], 'o', color='#ff0000', ms=4)
  ax.set(xlim=(0, 12), ylim=(2, 5))
  _, series = one(fig)
  canvas = FigureCanvasAgg(fig)
  canvas.draw()
  image = np.asarray(canvas.buffer_rgba())
  for u, v in zip(series['u'], series['v'], strict=True):
    row, column = v * image.shape[0] // 10_000, u * image.shape[1] // 10_000
    assert image[row, column, :3].tolist() == [255, 0, 0]


def test_a_law_has_its_name_wherever_that_stands():
  fig, ax = figures.figure()
  ax.plot(T, T, label='data')
  figures.law(ax, T, T, r'$t^{-1}$')
  figures.law(ax, T, 2 * T)  # not that of its like in the legend
  figures.legend(ax)
  (panel,) = read(fig)
  assert [s['name'] for s in panel['series']] == ['data', 't⁻¹', 'law']


def test_cells_and_names_of_ticks():
  fig, ax = figures.figure()
  Z = np.array([[1.0, 2.0], [3.0, np.nan]])
  figures.heatmap(ax, ['gd', 'adam'], [0.1, 0.2], Z, 'steps', 'linear')
  panel, series = one(fig)
  assert series['spread'] == 'cells'
  assert series['z'] == [1, 2, 3, None]
  assert series['x'] == ['gd', 'adam'] * 2
  left, top, right, bottom = panel['box']
  assert min(series['u']) - left == pytest.approx(right - max(series['u']), 2)
  assert series['v'][0] > series['v'][2] > top  # upwards
  assert bottom > series['v'][0]


def test_error_bars_bars_and_points():
  fig = Figure()
  ax, other, third = fig.subplots(1, 3)
  ax.errorbar([1, 2], [3, 4], yerr=[[1, 1], [2, 2]], capsize=2, label='m')
  other.bar(['a', 'b'], [5, 6], label='share')
  third.scatter([1, 2], [3, 4], c=[0.5, 0.7])
  third.axhline(3.5, color='black')
  first, second, last = (panel['series'] for panel in read(fig))
  assert [(s['name'], s['low'], s['high']) for s in first] == [
    ('m', [2, 3], [5, 6])
  ]
  assert [(s['name'], s['y']) for s in second] == [('share', [5, 6])]
  line, points = last
  assert line['y'] == [3.5, 3.5]
  assert (points['spread'], points['z']) == ('points', [0.5, 0.7])


def test_what_lies_outside_or_is_not_a_number_is_left_out():
  fig, ax = figures.figure()
  ax.plot([1, 2, 3, 4], [1, np.nan, 1, 9])
  ax.plot([9, 9], [9, 9])
  ax.set(xlim=(0, 5), ylim=(0, 2))
  _, series = one(fig)
  assert series['x'] == [1, 3]


def test_many_points_are_thinned_and_the_last_kept():
  fig, ax = figures.figure()
  ax.plot(np.arange(9001.0), np.zeros(9001))
  _, series = one(fig)
  assert len(series['x']) <= 2001
  assert series['x'][-1] == 9000
