import concurrent.futures
import io
import itertools
import pathlib
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from framework.evidence import figures as plotting

T = np.logspace(0, 4, 60)


def pixels(fig):
  """The figure as it is saved: (height, width, RGB in 0..255)."""
  content = io.BytesIO()
  with plotting.style():
    fig.savefig(content, format='rgba', dpi=fig.dpi)
  wide, high = fig.canvas.get_width_height()
  return np.frombuffer(content.getvalue(), np.uint8).reshape(high, wide, 4)[
    ..., :3
  ]


def uncovered(fig, artist):
  """Whether nothing but white and the grid lies under an artist."""
  pixels(fig)  # the layout is final after this
  box = artist.get_window_extent()
  fig.set_layout_engine('none')
  artist.set_visible(False)
  image = pixels(fig).astype(int)
  artist.set_visible(True)
  high = image.shape[0]
  under = image[
    max(high - int(box.y1), 0) : high - int(box.y0), int(box.x0) : int(box.x1)
  ]
  assert under.size
  return under.min() >= 0xE0 and np.ptp(under, axis=2).max() < 4


def test_imports_no_pyplot_and_import_of_framework_stays_light(tmp_path):
  code = (
    'import sys, framework; assert "matplotlib" not in sys.modules\n'
    'import framework.evidence.figures as p\n'
    'fig, ax = p.figure(); ax.plot([1, 2])\n'
    'p.save(fig, sys.argv[1]); assert "matplotlib.pyplot" not in sys.modules'
  )
  root = pathlib.Path(plotting.__file__).parent
  command = [sys.executable, '-c', code, str(tmp_path / 'x')]
  subprocess.run(command, check=True, cwd=root.parent)
  heavy = re.compile(r'^(import|from) matplotlib', re.M)
  users = [p.name for p in root.rglob('*.py') if heavy.search(p.read_text())]
  assert set(users) == {'figures.py', 'labels.py', 'values.py'}


def test_settings_are_restored_also_after_an_error():
  before = dict(matplotlib.rcParams)
  _, ax = plotting.figure()
  plotting.lanes(ax, T, np.stack([T, 2 * T]), 'a')
  plotting.law(ax, T, T, 'law')
  plotting.legend(ax)
  with pytest.raises(ValueError, match='Y has shape'):
    plotting.lanes(ax, T, T)
  with pytest.raises(ZeroDivisionError), plotting.style():
    _ = 1 / 0
  assert dict(matplotlib.rcParams) == before


# --- figure -------------------------------------------------------------------


@pytest.mark.parametrize(('width', 'inches'), [('single', 3.4), ('double', 7)])
def test_widths(width, inches):
  fig, axes = plotting.figure(width, nrows=2, ncols=2, sharex=True)
  assert fig.get_size_inches()[0] == inches
  assert axes.shape == (2, 2)
  assert plotting.figure(width, 2.5)[0].get_size_inches()[1] == 2.5


def test_look():
  with plotting.style():
    fig, ax = plotting.figure()
    ax.plot(T, T, label='a')
    ax.set(title='title', xlabel='$t$', ylabel='y')
    plotting.legend(ax)
    plotting.law(ax, T, 2 * T, 'law')
    fig.draw_without_rendering()
  assert not ax.spines['top'].get_visible()
  assert not ax.spines['right'].get_visible()
  assert ax.xaxis.get_gridlines()[0].get_linewidth() < 0.5
  texts = fig.findobj(matplotlib.text.Text)
  assert min(text.get_fontsize() for text in texts) >= 8
  assert fig.get_layout_engine() is not None


@pytest.mark.parametrize(
  ('kwargs', 'line'),
  [
    ({'width': 'wide'}, "width is 'wide', expected single or double"),
    ({'nrows': 0}, 'panels are 0 x 1, expected at least 1 x 1'),
    ({'height': -1.0}, r'height is -1.0, expected inches in \(0, 50\)'),
  ],
)
def test_figure_refuses(kwargs, line):
  with pytest.raises(ValueError, match=line):
    plotting.figure(**kwargs)


# --- palette ------------------------------------------------------------------


def luminance(color):
  c = np.array(matplotlib.colors.to_rgb(color))
  linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
  return linear @ [0.2126, 0.7152, 0.0722]


def test_palette_is_readable_and_even():
  colors = plotting.palette(np.logspace(-4, 0, 9))
  contrast = [1.05 / (luminance(c) + 0.05) for c in colors]
  assert min(contrast) >= 3
  assert np.all(np.diff(contrast) < 0)
  steps = np.diff([luminance(c) ** (1 / 3) for c in colors])  # of lightness
  np.testing.assert_allclose(steps, steps.mean(), rtol=0.2, atol=0)


def test_palette_goes_by_value():
  assert plotting.palette([1, 0.01, 0.1]) == [
    plotting.palette([0.01, 0.1, 1])[i] for i in (2, 0, 1)
  ]
  even = plotting.palette([0, 1, 2])
  assert plotting.palette([1, 2, 3]) == even
  assert plotting.palette([1, 10, 100]) == even
  assert plotting.palette([1, 10, 100], 'linear') != even
  assert plotting.palette([3]) == [even[0]]
  assert plotting.palette([]) == []


@pytest.mark.parametrize(
  ('args', 'line'),
  [
    (([0.0, 1.0], 'log'), 'values have 0.0, expected > 0 on a log scale'),
    (([np.nan, 1.0],), 'expected a list of finite numbers'),
    (([1.0], 'sqrt'), "scale is 'sqrt', expected log, linear or None"),
  ],
)
def test_palette_refuses(args, line):
  with pytest.raises(ValueError, match=line):
    plotting.palette(*args)


# --- lanes --------------------------------------------------------------------


def test_lanes_skips_what_diverged_and_marks_it():
  Y = np.array([[1.0, 1, 1, 1], [2, 2, np.inf, np.nan], [5, 5, 5, 5]])
  _, ax = plotting.figure()
  line = plotting.lanes(ax, np.arange(4), Y, 'a')
  np.testing.assert_array_equal(line.get_ydata(), [2, 2, 3, 3])
  (band,) = ax.collections
  assert band.get_datalim(ax.transData).y0 == 1
  assert band.get_datalim(ax.transData).y1 == 5
  (cross,) = [x for x in ax.lines if x.get_marker() == 'x']
  np.testing.assert_array_equal(cross.get_xydata(), [[1, 2]])
  assert cross.get_color() == line.get_color()
  assert ax.get_legend_handles_labels()[1] == ['a', 'range over seeds']


def test_lanes_band_of_quantiles():
  _, ax = plotting.figure()
  Y = np.arange(11.0)[:, None] * np.ones(3)
  plotting.lanes(ax, np.arange(3), Y, band=(0.1, 0.8))
  limits = ax.collections[0].get_datalim(ax.transData)
  np.testing.assert_allclose([limits.y0, limits.y1], [1, 8], rtol=1e-7, atol=0)


def test_bands_are_named_once_after_their_lines():
  _, ax = plotting.figure()
  t, Y = np.arange(3), np.ones((2, 3))
  for label in ('one', 'two', ''):
    plotting.lanes(ax, t, Y, label)
  plotting.lanes(ax, t, Y[:1], 'three')
  names = ax.get_legend_handles_labels()[1]
  assert names == ['one', 'two', 'range over seeds', 'three']
  plotting.lanes(ax, t, Y, 'four', band=(0.1, 0.9))
  assert ax.get_legend_handles_labels()[1][-1] == '10–90 % of seeds'


def test_lanes_not_recorded_yet_is_a_gap_without_crosses():
  Y = np.array([[1.0, 2, np.nan], [3, 4, np.nan]])
  _, ax = plotting.figure()
  line = plotting.lanes(ax, np.arange(3), Y)
  np.testing.assert_array_equal(line.get_ydata(), [2, 3, np.nan])
  assert len(ax.lines) == 1
  plotting.lanes(ax, np.arange(3), np.full((2, 3), np.nan))
  plotting.lanes(ax, np.arange(3), Y[:1])
  assert len(ax.collections) == 2  # a single seed has no band


@pytest.mark.parametrize('band', [(0.9, 0.1), (-0.1, 1), (0, 1.1)])
def test_lanes_refuses_band(band):
  with pytest.raises(ValueError, match=r'band is .*expected 0 <= low <= high'):
    plotting.lanes(plotting.figure()[1], T, T[None], band=band)


# --- law ----------------------------------------------------------------------


def test_law_is_black_dashed_and_above():
  _, ax = plotting.figure()
  data = plotting.lanes(ax, T, np.stack([T, 2 * T]), 'a')
  line = plotting.law(ax, T, 3 * T, 'theory')
  assert line.get_color() == 'black'
  assert line.is_dashed()
  drawn = [data, *ax.collections]
  assert line.get_zorder() > max(artist.get_zorder() for artist in drawn)
  with pytest.raises(ValueError, match=r'y has shape \(2,\), expected \(60,\)'):
    plotting.law(ax, T, T[:2])


def test_law_label_stands_free_beside_its_line():
  with plotting.style():
    fig, ax = plotting.figure()
    ax.set(xscale='log', yscale='log')
    plotting.lanes(ax, T, np.stack([1 / T, 2 / T]), 'a')
    line = plotting.law(ax, T, 0.1 / T, 'theory')
  (text,) = ax.texts
  assert text.get_text() == 'theory'
  assert uncovered(fig, text)
  spot = ax.transData.transform(line.get_xydata())
  box = text.get_window_extent()
  centre = (box.min + box.max) / 2
  distance = np.hypot(*(spot - centre).T).min()
  assert distance < np.hypot(*box.size) / 2 + 10
  assert 'theory' not in ax.get_legend_handles_labels()[1]


def test_law_label_goes_to_the_legend_where_all_is_full():
  _, ax = plotting.figure()
  x = np.linspace(0, 1, 999)
  ax.plot(x, np.sin(200 * x))
  plotting.law(ax, x, x, 'theory')
  assert not ax.texts
  assert ax.get_legend_handles_labels()[1] == ['theory']


# --- labels and legends -------------------------------------------------------


RISING = np.linspace(0, 1, 300)


@pytest.mark.parametrize(
  'draw',
  [
    lambda ax: ax.plot(RISING, RISING, label='a'),
    lambda ax: ax.plot(RISING, RISING[::-1], label='a'),
    lambda ax: ax.plot([0, 1], [0.97, 0.97], label='two points'),
    lambda ax: ax.scatter(RISING, RISING**4, label='a'),
    lambda ax: ax.plot(RISING, RISING**2, '.', label='a'),
    lambda ax: ax.fill_between(RISING, RISING, 1, color='C0', label='a'),
    lambda ax: ax.fill_between(RISING, 0.2, 1, color='C0', label='a'),
    lambda ax: ax.bar([0, 1, 2], [0.3, 0.2, 0.1], label='a'),
    lambda ax: ax.plot(
      RISING, np.where(abs(RISING - 0.5) < 0.3, np.nan, 0.9), label='a'
    ),
    lambda ax: plotting.lanes(ax, RISING, np.stack([RISING, 2 * RISING]), 'a'),
  ],
)
def test_legend_covers_nothing(draw):
  with plotting.style():
    fig, ax = plotting.figure()
    draw(ax)
    ax.set(xlabel='$t$', ylim=(0, 1.05))
    box = plotting.legend(ax)
  pixels(fig)
  extent = box.get_window_extent()
  assert ax.bbox.y0 <= extent.y0 and extent.y1 <= ax.bbox.y1  # there is room
  assert uncovered(fig, box)


def test_legend_fits_into_the_gap_in_a_line():
  with plotting.style():
    fig, ax = plotting.figure()
    y = np.where((RISING < 0.1) | (RISING > 0.9), 0.95, np.nan)
    ax.plot(RISING, y, label='a')
    ax.fill_between(RISING, 0, 0.7, color='C1')
    ax.set_ylim(0, 1)
    box = plotting.legend(ax)
  assert uncovered(fig, box)
  assert box.get_window_extent().y0 > ax.bbox.y0


@pytest.mark.parametrize('panels', [1, 2])
def test_legend_goes_below_where_all_is_full(panels):
  with plotting.style():
    fig, axes = plotting.figure(
      'double' if panels > 1 else 'single', ncols=panels
    )
    ax = np.ravel(axes)[0]
    for k in range(5):
      ax.plot(RISING, np.sin(90 * RISING + k), label=f'phase {k}')
    ax.set(xlabel='time $t$', ylabel='y')
    box = plotting.legend(ax)
  pixels(fig)
  extent = box.get_window_extent()
  assert extent.y1 <= ax.xaxis.label.get_window_extent().y0 + 1
  assert fig.bbox.x0 <= extent.x0 and extent.x1 <= fig.bbox.x1
  assert fig.bbox.y0 <= extent.y0
  assert uncovered(fig, box)
  assert ax.bbox.height > 100 * 1.2  # the data keep their room


def test_legend_does_not_lie_inside_a_region():
  fig, ax = plotting.figure()
  ax.fill_between([-1, 2], -1, 2, label='a')
  ax.set(xlim=(0, 1), ylim=(0, 1))
  assert uncovered(fig, plotting.legend(ax))


def test_legend_refuses_to_be_empty():
  with pytest.raises(ValueError, match='nothing in the axes has a label'):
    plotting.legend(plotting.figure()[1])


# --- heatmap ------------------------------------------------------------------


def test_heatmap_cells_are_centred_on_values():
  fig, ax = plotting.figure()
  x, y = [0.001, 0.01, 0.1, 1.0], [1, 2, 3]
  Z = np.arange(1.0, 13).reshape(3, 4)
  mesh = plotting.heatmap(ax, x, y, Z, 'steps')
  corners = mesh.get_coordinates()
  np.testing.assert_allclose(
    corners[0, :, 0], np.logspace(-3.5, 0.5, 5), rtol=1e-7, atol=0
  )
  np.testing.assert_allclose(
    corners[:, 0, 1], [0.5, 1.5, 2.5, 3.5], rtol=1e-7, atol=0
  )
  assert (ax.get_xscale(), ax.get_yscale()) == ('log', 'linear')
  np.testing.assert_array_equal(mesh.get_array(), Z)
  assert isinstance(mesh.norm, matplotlib.colors.LogNorm)
  assert fig.axes[1].get_ylabel() == 'steps'
  assert not fig.legends and not ax.patch.get_hatch()
  image = pixels(fig)
  centre = ax.transData.transform([0.1, 2])  # Z = 7
  shown = image[image.shape[0] - int(centre[1]), int(centre[0])]
  expected = matplotlib.colormaps['viridis'](np.log(7) / np.log(12), bytes=True)
  np.testing.assert_allclose(shown, expected[:3], atol=2, rtol=1e-7)


def test_heatmap_hatches_what_was_not_reached():
  fig, axes = plotting.figure('double', ncols=2)
  Z = np.array([[1.0, np.nan], [np.inf, 4]])
  for ax in axes:
    mesh = plotting.heatmap(ax, ['GD', 'Muon'], [False, True], Z, 'steps')
    np.testing.assert_array_equal(mesh.get_array().mask, [[0, 1], [1, 0]])
    assert ax.patch.get_hatch()
    assert [t.get_text() for t in ax.get_xticklabels()] == ['GD', 'Muon']
    assert [t.get_text() for t in ax.get_yticklabels()] == ['False', 'True']
  (note,) = fig.legends
  assert [t.get_text() for t in note.get_texts()] == ['not reached']
  pixels(fig)
  assert note.get_window_extent().y1 < min(ax.get_tightbbox().y0 for ax in axes)


def test_heatmap_of_one_cell_of_nothing_and_of_names_from_arrays():
  for norm in ('log', 'linear'):
    fig, ax = plotting.figure()
    plotting.heatmap(ax, [0.1], [3], np.array([[2.0]]), 'steps', norm)
    pixels(fig)
    fig, ax = plotting.figure()
    nothing = np.full((2, 2), np.nan)
    plotting.heatmap(ax, np.array([False, True]), [1, 2], nothing, 'x', norm)
    pixels(fig)
    assert len(fig.axes) == 1  # no colours to explain
    assert [t.get_text() for t in ax.get_xticklabels()] == ['False', 'True']


def test_heatmap_shows_as_many_names_as_fit():
  fig, ax = plotting.figure()
  x = np.arange(40) * 12.5
  plotting.heatmap(ax, x, [1, 2], np.ones((2, 40)), 'steps', 'linear')
  pixels(fig)
  boxes = [t.get_window_extent() for t in ax.get_xticklabels()]
  assert len(boxes) >= 4
  for left, right in itertools.pairwise(boxes):
    assert left.x1 < right.x0


@pytest.mark.parametrize(
  ('args', 'line'),
  [
    (([1, 2], [1], np.ones((2, 1)), 'z'), r'shape \(2, 1\), expected \(1, 2\)'),
    (([2, 1], [1], np.ones((1, 2)), 'z'), 'x values are 2, 1, expected finite'),
    (([1, 2], [1], np.array([[1, -1]]), 'z'), r'Z has -1.0, expected > 0'),
    (([1, 2], [1], np.ones((1, 2)), 'z', 'sqrt'), "norm is 'sqrt', expected"),
  ],
)
def test_heatmap_refuses(args, line):
  with pytest.raises(ValueError, match=line):
    plotting.heatmap(plotting.figure()[1], *args)


# --- save ---------------------------------------------------------------------


def demo(title='title'):
  with plotting.style():
    fig, ax = plotting.figure()
    ax.set(xscale='log', yscale='log', title=title, xlabel=r'$\alpha$')
    plotting.lanes(ax, T, np.stack([1 / T, 2 / T]), 'a')
    plotting.law(ax, T, 0.5 / T, '$1/t$')
    plotting.legend(ax)
  return fig


def test_save_gives_equal_bytes_for_equal_figures(tmp_path):
  first = plotting.save(demo(), tmp_path / 'new' / 'alpha=0.1')
  again = plotting.save(demo(), tmp_path / 'again')
  assert [p.name for p in first] == ['alpha=0.1.png', 'alpha=0.1.pdf']
  assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]
  assert first[0].read_bytes()[:4] == b'\x89PNG'
  pdf = first[1].read_bytes()
  assert b'CreationDate' not in pdf
  assert b'/Type3' not in pdf and b'/FontFile2' in pdf
  assert b'Software' not in first[0].read_bytes()
  image = matplotlib.image.imread(str(first[0]))
  assert image.shape[1] == 680  # 3.4 in at 200 dpi
  assert len(list((tmp_path / 'new').iterdir())) == 2


def test_save_is_whole_or_not_at_all(tmp_path):
  before = [p.read_bytes() for p in plotting.save(demo(), tmp_path / 'a')]
  broken = demo()
  broken.axes[0].set_title(r'$\frac$')
  with pytest.raises(ValueError, match='frac'):
    plotting.save(broken, tmp_path / 'a')
  names = ['a.png', 'a.pdf']
  assert [(tmp_path / name).read_bytes() for name in names] == before
  assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)


def test_threads_draw_what_one_draws(tmp_path):
  before = dict(matplotlib.rcParams)
  work = lambda i: plotting.save(demo(), tmp_path / str(i))  # noqa: E731
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    paths = list(pool.map(work, range(2)))
  assert dict(matplotlib.rcParams) == before
  alone = [path.read_bytes() for path in work('alone')]
  for pair in paths:
    assert [path.read_bytes() for path in pair] == alone
