"""report.html in a real browser, from a disk and without network."""

import numpy as np
import pytest

from framework.evidence import claims, figures, page

pytestmark = pytest.mark.slow
T = np.logspace(0, 3, 31)
LONG = 'x' * 90
CONFIG = f'{"path":17}{"value":92}doc\n{"parametrisation":17}{LONG:92}a word'


@pytest.fixture(scope='module')
def report(tmp_path_factory):
  """A page with a figure of a column and one of a page."""
  where = tmp_path_factory.mktemp('a run')
  fig, ax = figures.figure()
  ax.set(xscale='log', yscale='log', xlabel='step $T$', ylabel='loss')
  figures.lanes(ax, T, np.stack([1 / T, 2 / T, 4 / T]), 'k = 3')
  figures.law(ax, T, 2 / T, '$T^{-1}$')
  wide, axes = figures.figure('double', ncols=2)
  axes[0].plot(T, T)
  figures.heatmap(axes[1], [1, 2], [1, 2], np.ones((2, 2)), 'steps')
  shown = {'one': fig, 'two': wide}
  for name, each in shown.items():
    figures.save(each, where / 'figures' / name)
  claim = claims.equals(
    'exponent', 'It falls as T⁻¹.', 'Theorem 1', -1, -1.5, atol=0.1,
    derivation='given', kind='theorem',
  )  # fmt: skip
  return page.write(
    where,
    title='Matrix sensing',
    summary='A summary.',
    claims=[claim],
    figures={name: f'Figure {name}.' for name in shown},
    config_text=CONFIG,
    run={'argv': ['run.py', '--workdir=' + '/long' * 30], 'status': 'done'},
    values={name: page.values(each) for name, each in shown.items()},
  )


@pytest.fixture
def opened(report, browser):
  """The page in a window of some width, whose errors fail the test."""
  problems = []

  def opened(width=1280, **context):
    viewport = {'width': width, 'height': 900}
    tab = browser.new_context(viewport=viewport, **context).new_page()
    tab.on('console', lambda m: m.type == 'error' and problems.append(m.text))
    tab.on('pageerror', lambda error: problems.append(f'{error}'))
    tab.on('request', lambda r: r.url[:4] == 'http' and problems.append(r.url))
    tab.goto(f'file://{report}')
    return tab

  yield opened
  assert not problems


def test_the_pointer_tells_values_of_lanes_and_of_the_law(opened):
  tab = opened()
  frame = tab.locator('.frame').first
  readout = frame.locator('.readout')
  assert readout.is_hidden()
  frame.hover()
  text = readout.inner_text()
  assert text.startswith('step T = ')
  x = float(text.split('=')[1].split()[0])
  assert x == pytest.approx(T[np.abs(T - x).argmin()], rel=1e-3)
  assert f'[{float(f"{1 / x:.3g}"):.2g}'[:4] in text  # the band, from 1/x
  assert 'k = 3:' in text and 'T⁻¹:' in text
  tab.mouse.move(1, 1)
  assert readout.is_hidden()


def test_figures_are_worked_by_keyboard(opened):
  tab = opened()
  frame, image = tab.locator('.frame').first, tab.locator('figure img').first
  frame.focus()
  before = frame.locator('.readout').inner_text()
  for _ in range(8):
    tab.keyboard.press('ArrowRight')
  assert frame.locator('.readout').inner_text() != before
  wide = image.bounding_box()['width']
  tab.keyboard.press('+')
  assert image.bounding_box()['width'] == pytest.approx(1.5 * wide, rel=0.01)
  left = image.bounding_box()['x']
  for _ in range(40):
    tab.keyboard.press('ArrowRight')
  assert image.bounding_box()['x'] < left  # the view follows the pointer
  tab.keyboard.press('0')
  assert image.bounding_box()['width'] == pytest.approx(wide, rel=0.01)
  tab.keyboard.press('Tab')
  tab.keyboard.press('Enter')  # the first button
  assert image.bounding_box()['width'] > wide
  assert tab.get_by_role('button', name='Zoom in').count() == 2


def test_cells_are_told(opened):
  tab = opened()
  frame = tab.locator('.frame').nth(1)
  box = frame.bounding_box()
  frame.hover(position={'x': 0.7 * box['width'], 'y': 0.5 * box['height']})
  assert 'value 1' in frame.locator('.readout').inner_text()


@pytest.mark.parametrize('script', [True, False])
@pytest.mark.parametrize('width', [390, 1280])
def test_it_fits_the_screen(width, script, opened):
  tab = opened(width, java_script_enabled=script)
  size = tab.locator('html').bounding_box()['width']
  assert size == width
  for each in tab.locator('td, th, img, h1').all():
    box = each.bounding_box()
    assert box is None or box['x'] + box['width'] <= width
  row = tab.locator('.claims tbody tr').inner_text()
  assert 'fails' in row and '± 0.1' in row
  first, second = (i.bounding_box() for i in tab.locator('figure img').all())
  assert second['width'] >= first['width'] > 300
  assert width == 390 or second['width'] > 900  # ticks of 8 points, above 14 px


@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('width', [390, 1280])
def test_axe_finds_nothing(width, scheme, opened):
  axe = pytest.importorskip('axe_playwright_python.sync_playwright')
  tab = opened(width, color_scheme=scheme)
  tab.locator('.frame').first.focus()
  found = axe.Axe().run(tab).response['violations']
  assert [(v['id'], [n['html'] for n in v['nodes'][:5]]) for v in found] == []
