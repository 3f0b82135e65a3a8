import dataclasses
import html.parser
import json
import re
import struct

import pytest

from framework import config
from framework.evidence import claims as claims_lib
from framework.evidence import page as report
from framework.run.workdir import write_bytes

EVIL = '<script>alert("1")</script>&amp;\'" onload="x'

CLAIMS = [
  claims_lib.equals(
    'rate', 'The error decays as t^-1.', 'Theorem 1', -1.0, [-0.99, -1.01],
    atol=0.05, derivation='next order',
  ),
  claims_lib.at_most(
    'floor', 'The error vanishes.', 'Figure 2', 1e-9, 1e-3, derivation='eps'
  ),
  claims_lib.untestable('width', 'Holds at any width.', '§3', 'one width'),
]  # fmt: skip

RUN = {
  'argv': ['run.py', '--seeds=8'],
  'started': '2025-01-01T00:00:00Z',
  'status': 'done',
  'seconds': 3725.2,
  'lanes': 40,
  'diverged_lanes': 0,
  'plans': [{'seeds': 8, 'devices': 2}, {'seeds': 8, 'devices': 2}],
  'precision': 'float64',
  'versions': {'jax': '0.10.0', 'numpy': '2.0'},
  'device_kind': 'TPU v5e',
  'x64': True,
  'new key': [1.5, None],
}


class Page(html.parser.HTMLParser):
  """What a browser would make of a page."""

  VOID = ('meta', 'img')

  def __init__(self, text):
    super().__init__()
    self.tags, self.attributes, self.words, self.rows = set(), [], [], []
    self.scripts = []
    self._open = []
    self.feed(text)
    self.close()
    assert self._open == []

  def handle_starttag(self, tag, attrs):
    self.tags.add(tag)
    self.attributes += [(tag, name, value) for name, value in attrs]
    if tag not in self.VOID:
      self._open.append(tag)
    if tag == 'tr':
      self.rows.append([])
    if tag in ('td', 'th'):
      self.rows[-1].append('')

  def handle_endtag(self, tag):
    assert self._open.pop() == tag

  def handle_data(self, data):
    if self._open and self._open[-1] == 'style':
      return
    if self._open and self._open[-1] == 'script':
      self.scripts.append(data)
      return
    self.words.append(data)
    if {'td', 'th'} & set(self._open):
      self.rows[-1][-1] += data

  @property
  def text(self):
    return ' '.join(self.words)


def write(workdir, **kwargs):
  """Writes a page and reads it back as bytes, as text and as a browser."""
  given = dict(
    title='Matrix sensing',
    summary='Theorem 1.',
    claims=CLAIMS,
    figures={'rates': 'Rates of decay.'},
    config_text='path  value\neta   0.1',
    run=RUN,
  )
  path = report.write(workdir, **(given | kwargs))
  assert path.name == 'report.html'
  text = path.read_bytes().decode('utf-8')
  return text, Page(text)


def test_page_has_everything(tmp_path):
  text, page = write(tmp_path, notes=['A note: ‖X‖² ≤ 1.'])
  assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
  for words in (
    'Matrix sensing', 'Theorem 1.', 'The error decays as t^-1.', 'next order',
    'not testable', 'Rates of decay.', 'A note: ‖X‖² ≤ 1.',
  ):  # fmt: skip
    assert words in page.text
  assert claims_lib.html_table(CLAIMS) in text
  for kind in ('holds', 'fails', 'not-testable'):
    assert ('tr', 'class', kind) in page.attributes
  for kind in ('holds', 'fails', 'claims', 'config', 'warning'):
    assert f'.{kind} ' in text[: text.index('</style>')]
  assert 'prefers-color-scheme: dark' in text


def test_figures_are_relative_links_in_order(tmp_path):
  figures = {'b/x y#1': 'First', 'alpha=0.1': 'Second'}
  _, page = write(tmp_path, figures=figures)
  assert [v for tag, name, v in page.attributes if name == 'src'] == [
    'figures/b/x%20y%231.png',
    'figures/alpha%3D0.1.png',
  ]
  links = [v for tag, name, v in page.attributes if name == 'href']
  assert links[::2] == [
    'figures/b/x%20y%231.pdf',
    'figures/alpha%3D0.1.pdf',
  ]
  assert page.text.index('First') < page.text.index('Second')


def test_only_our_script_runs_and_nothing_is_fetched(tmp_path):
  text, page = write(tmp_path)
  _, evil = write(
    tmp_path,
    title=EVIL,
    summary=EVIL,
    claims=[
      claims_lib.untestable('a', EVIL, EVIL, EVIL),
    ],
    figures={EVIL: EVIL},
    config_text=f'path  value  unit  doc\neta   {EVIL}',
    run={EVIL: EVIL, 'argv': [EVIL], 'versions': {EVIL: EVIL}, 'status': EVIL},
    notes=[EVIL],
    values={EVIL: [{'x': EVIL, 'series': [{'name': EVIL}]}]},
  )
  _, raw = write(tmp_path, config_text=EVIL)
  for each in (page, evil, raw):
    assert each.tags <= {
      'html', 'head', 'meta', 'title', 'style', 'body', 'h1', 'h2', 'p', 'div',
      'table', 'caption', 'thead', 'tbody', 'tr', 'th', 'td', 'code', 'cite',
      'small', 'figure', 'figcaption', 'img', 'a', 'pre', 'script', 'main',
    }  # fmt: skip
    (script,) = each.scripts
    assert script.startswith('\n/* Zoom') and 'alert' not in script
    for _, name, value in each.attributes:
      assert name in (
        'lang', 'charset', 'name', 'content', 'class', 'href', 'src', 'alt',
        'data-label', 'data-values', 'tabindex',
      )  # fmt: skip
      if name in ('href', 'src'):
        assert re.fullmatch(r'[\w./%=-]+', value), value
  assert evil.text.count('<script>alert("1")</script>') >= 10
  assert '<script>' in raw.text
  assert 'url(' not in text and '@import' not in text and '//' not in text


def test_figures_are_in_the_page_up_to_the_size_of_a_mail(tmp_path):
  sizes = {'small': 30_000, 'large': 1_390_000, 'little': 1_000}
  (tmp_path / 'figures').mkdir()
  for name, size in sizes.items():
    (tmp_path / 'figures' / f'{name}.png').write_bytes(bytes(size))
  text, page = write(tmp_path, figures={n: f'About {n}.' for n in sizes})
  shown = [v for tag, name, v in page.attributes if name == 'src']
  inside = [v.startswith('data:image/png;base64,AAAA') for v in shown]
  assert inside == [True, False, False]
  assert shown[1:] == ['figures/large.png', 'figures/little.png']
  assert [v for _, n, v in page.attributes if n == 'alt'] == [
    f'About {name}.' for name in sizes
  ]
  assert len(text) < 2_000_000


def test_a_figure_as_wide_as_a_page_goes_across(tmp_path):
  for name, wide in (('one', 680), ('two', 1400)):
    head = b'\x89PNG\r\n\x1a\n' + struct.pack('>I4sII', 13, b'IHDR', wide, 476)
    write_bytes(tmp_path / 'figures' / f'{name}.png', head)
  text, page = write(tmp_path, figures={'one': 'One.', 'two': 'Two.'})
  classes = [v for t, n, v in page.attributes if (t, n) == ('figure', 'class')]
  assert classes == ['double']
  assert text.index('width="680"') < text.index('class="double"')


def test_values_are_in_the_page_while_there_is_room(tmp_path):
  (tmp_path / 'figures').mkdir()
  (tmp_path / 'figures/b.png').write_bytes(bytes(1_399_000))
  values = {name: [{'x': 'step "t"', 'series': []}] for name in 'abc'}
  values['c'] *= 50
  _, page = write(tmp_path, figures=dict.fromkeys('abc', 'F.'), values=values)
  stored = [json.loads(v) for _, n, v in page.attributes if n == 'data-values']
  assert stored == [values['a'], values['b']]


def test_config_is_a_table(tmp_path):
  @dataclasses.dataclass(frozen=True)
  class Config:
    eta: float = config.field(0.1, 'step size', unit='1/s')
    k: int = config.field(4, 'rank of the model')
    name: str = config.field('two  spaces', 'a name')

  _, page = write(tmp_path, config_text=config.describe(Config()))
  head = page.rows.index(['path', 'value', 'unit', 'doc'])
  assert page.rows[head + 1 : head + 4] == [
    ['eta', '0.1', '1/s', 'step size'],
    ['k', '4', '', 'rank of the model'],
    ['name', 'two  spaces', '', 'a name'],
  ]
  assert 'pre' not in page.tags


@pytest.mark.parametrize(
  'text', ['{"eta": 0.1}', 'path  value\na long row', 'eta = 0.1\nk = 4']
)
def test_other_config_is_shown_as_it_is(tmp_path, text):
  _, page = write(tmp_path, config_text=text)
  assert text in page.words
  assert 'pre' in page.tags


def test_run_facts(tmp_path):
  _, page = write(tmp_path)
  rows = {row[0]: row[1] for row in page.rows if len(row) == 2}
  assert rows['Wall time'] == '1:02:05'
  assert rows['Batching'] == 'seeds 8, devices 2'
  assert rows['Versions'] == 'jax 0.10.0, numpy 2.0'
  assert rows['Precision'] == 'float64'
  assert rows['Device'] == 'TPU v5e'
  assert rows['float64 enabled'] == 'yes'
  assert rows['Command line'] == 'run.py --seeds=8'
  assert rows['new key'] == '1.5, null'
  assert 'warning' not in [v for _, _, v in page.attributes]


def test_warnings_come_first(tmp_path):
  run = RUN | {'status': 'preempted', 'diverged_lanes': 3}
  text, page = write(tmp_path, run=run)
  assert 'not complete: its status is preempted' in page.text
  assert 'Lanes that diverged: 3 of 40.' in page.text
  assert text.index('class="warning"') < text.index('<h2>')


def test_what_there_is_not_is_left_out(tmp_path):
  _, page = write(
    tmp_path, claims=iter(()), figures={}, config_text='', run={}, notes=()
  )
  assert 'h2' not in page.tags
  (tmp_path / 'results.csv').write_text('')
  _, page = write(tmp_path, run={'argv': ['\udcff']})  # not UTF-8
  assert ('a', 'href', 'results.csv') in page.attributes
  assert ('a', 'href', 'claims.json') not in page.attributes


def test_equal_inputs_give_equal_bytes(tmp_path):
  assert write(tmp_path / 'a')[0] == write(tmp_path / 'b')[0]


def test_whole_or_not_at_all(tmp_path):
  before, _ = write(tmp_path)
  with pytest.raises(ValueError, match='occurs twice'):
    write(tmp_path, title='new', claims=CLAIMS + CLAIMS)
  assert [path.name for path in tmp_path.iterdir()] == ['report.html']
  assert (tmp_path / 'report.html').read_bytes().decode() == before
  write(tmp_path, claims=iter(CLAIMS))
  assert [path.name for path in tmp_path.iterdir()] == ['report.html']
