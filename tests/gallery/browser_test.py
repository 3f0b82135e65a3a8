"""The site in a real browser, from a disk and without network."""

import html.parser
import pathlib
import shutil
import urllib.parse

import pytest

from experiments.gallery import collect, site
from tests.gallery.collect_test import made

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def built(tmp_path_factory):
  """A site with one run, below a folder with a space in its name."""
  try:
    site.check()
  except site.Missing as error:
    pytest.skip(f'{error}')
  root = tmp_path_factory.mktemp('runs')
  place = made(root, measured=-1.5)
  (place / 'figures').mkdir()
  figure = site.stage.ROOT / 'docs/figures/curse.png'
  shutil.copy(figure, place / 'figures/curse.png')
  (place / 'report.html').write_text('<!DOCTYPE html><title>Report</title>')
  where = tmp_path_factory.mktemp('served') / 'sub path'
  site.build(root, collect.collect(root), where)
  return where


def pages(where: pathlib.Path) -> list[pathlib.Path]:
  return sorted(where.rglob('*.html'))


def test_every_page_loads_without_errors_or_network(built, browser):
  context = browser.new_context(viewport={'width': 390, 'height': 800})
  problems, wide = [], []
  page = context.new_page()
  page.on('console', lambda m: m.type == 'error' and problems.append(m.text))
  page.on('pageerror', lambda error: problems.append(f'{error}'))
  # What is under way when the page is left is aborted: that is no failure.
  page.on(
    'requestfailed',
    lambda r: r.failure != 'net::ERR_ABORTED' and problems.append(r.url),
  )
  page.on(
    'request',
    lambda r: r.url.startswith('http') and problems.append(r.url),
  )
  for file in pages(built):
    page.goto(file.as_uri())
    width = page.evaluate('document.documentElement.scrollWidth')
    if width > 390:
      wide.append((f'{file.relative_to(built)}', width))
  assert not problems
  assert not wide


class Links(html.parser.HTMLParser):
  """Links, anchors and images without text of a page."""

  def __init__(self, text: str):
    super().__init__()
    self.links, self.ids, self.mute = [], {''}, []
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    found = dict(attrs)
    self.ids |= {found.get('id'), found.get('name')}
    if tag == 'img' and not (found.get('alt') or '').strip():
      self.mute.append(found.get('src'))
    for name in ('href', 'src'):
      if found.get(name):
        self.links.append(found[name])


def test_no_link_is_broken_and_every_figure_has_a_text(built):
  read = {file: Links(file.read_text()) for file in pages(built)}
  broken = []
  for file, links in read.items():
    assert not links.mute, file
    for link in links.links:
      url = urllib.parse.urlparse(link)
      if url.scheme or url.netloc:
        continue
      path = urllib.parse.unquote(url.path)
      target = (file.parent / path).resolve() if path else file
      anchor = urllib.parse.unquote(url.fragment)
      known = read.get(target)
      if not target.exists() or (known and anchor not in known.ids):
        broken.append((f'{file.relative_to(built)}', link))
  assert not broken


def test_the_search_finds(built, browser):
  page = browser.new_page()
  page.goto((built / 'index.html').as_uri())
  page.keyboard.press('s')
  page.locator('.md-search__input').press_sequentially('balanced')
  found = page.locator('.md-search-result__item')
  found.first.wait_for(timeout=20_000)
  assert 'balanced' in found.first.inner_text().lower()


def test_equations_are_typeset(built, browser):
  page = browser.new_page()
  page.goto((built / 'docs/matrix_sensing.html').as_uri())
  page.locator('mjx-container svg').first.wait_for(timeout=20_000)


@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize(
  'name',
  [
    'index.html',
    'claims.html',
    'start.html',
    'docs/matrix_sensing.html',
    'api/framework.maths.html',
    'results/matrix_sensing.html',
  ],
)
def test_text_has_contrast(name, scheme, built, browser):
  axe = pytest.importorskip('axe_playwright_python.sync_playwright')
  page = browser.new_page(color_scheme=scheme)
  page.goto((built / name).as_uri())
  rules = {'runOnly': ['color-contrast', 'image-alt', 'label', 'button-name']}
  found = axe.Axe().run(page, options=rules).response['violations']
  assert [(v['id'], [n['html'] for n in v['nodes'][:5]]) for v in found] == []


def test_the_table_of_claims_is_worked_by_keyboard(built, browser):
  page = browser.new_page()
  page.goto((built / 'claims.html').as_uri())
  rows = page.locator('table.sortable tbody tr:not([hidden])')
  assert rows.count() == 2
  assert 'exponent' in rows.first.inner_text()  # it fails
  page.locator('.filters input').focus()
  page.keyboard.type('loss')
  assert rows.count() == 1 and 'loss' in rows.first.inner_text()
  for _ in 'loss':
    page.keyboard.press('Backspace')
  page.keyboard.press('Tab')  # experiment
  page.keyboard.press('Tab')  # kind
  page.keyboard.press('Tab')  # verdict
  page.keyboard.press('h')  # holds
  assert rows.count() == 1 and 'loss' in rows.first.inner_text()
  page.keyboard.press('Home')  # all
  assert rows.count() == 2
  verdict = page.get_by_role('button', name='verdict')
  verdict.focus()
  page.keyboard.press('Enter')
  page.keyboard.press('Enter')
  head = page.locator('th[aria-sort]')
  assert head.get_attribute('aria-sort') == 'descending'
  assert 'loss' in rows.first.inner_text()
