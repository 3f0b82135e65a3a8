"""report.html: one page that says what a run shows.

Nothing comes from elsewhere and the figures are inside the page, so that it can
be mailed; PDFs and data by relative links. A small script lets figures be
zoomed and their values be read; the page is whole without it. Equal inputs give
equal bytes.
"""

import base64
import html
import json
import pathlib
import struct
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

from etils import epath

from framework.evidence import claims as claims_lib
from framework.evidence.claims import Claim
from framework.run.progress import duration
from framework.run.workdir import write_text

__all__ = ['NAME', 'write']

NAME = 'report.html'
_FILES = ('config.json', 'run.json', 'claims.json', 'results.csv', 'log.txt')

# {key in run.json: how the page calls it}, in the order of the page.
_FACTS = {
  'status': 'Status',
  'seconds': 'Wall time',
  'started': 'Started',
  'lanes': 'Lanes',
  'diverged_lanes': 'Diverged lanes',
  'precision': 'Precision',
  'x64': 'float64 enabled',
  'device_kind': 'Device',
  'platform': 'Platform',
  'devices': 'Devices',
  'processes': 'Processes',
  'plans': 'Batching',
  'prng': 'Random numbers',
  'python': 'Python',
  'versions': 'Versions',
  'git': 'Source',
  'argv': 'Command line',
}

_HERE = pathlib.Path(__file__).parent
_CSS = (_HERE / 'report.css').read_text('utf-8')
_SCRIPT = (_HERE / 'report.js').read_text('utf-8')


def write(
  workdir: epath.PathLike,
  *,
  title: str,
  summary: str,
  claims: Iterable[Claim],
  figures: Mapping[str, str],
  config_text: str,
  run: Mapping[str, Any],
  notes: Iterable[str] = (),
  values: Mapping[str, Any] | None = None,
) -> epath.Path:
  """Writes `workdir/report.html`, whole or not at all.

  Args:
    workdir: The work directory of a run; local path or bucket.
    title: What was run, one line.
    summary: What it reproduces, a paragraph.
    claims: Shown in their order.
    figures: {name: caption} of `figures/<name>.png` and `.pdf`.
    config_text: The table that `framework.config.describe` makes; any other
      text is shown as it is.
    run: What run.json holds; keys that are not known here are shown, too.
    notes: More paragraphs.
    values: {name: `page.values` of that figure}, for the pointer.

  Returns:
    The path of the page.

  Raises:
    ValueError: If an id of a claim occurs twice.
  """
  workdir = epath.Path(workdir)
  claims, path = list(claims), workdir / NAME
  files = [name for name in _FILES if (workdir / name).exists()]
  sections = {
    'Claims': _wide(claims_lib.html_table(claims)) if claims else '',
    'Figures': _figures(workdir, figures, values or {}),
    'Notes': '\n'.join(f'<p>{_text(note)}</p>' for note in notes),
    'Config': _config(config_text),
    'Run': _run(run),
    'Files': ', '.join(f'<a href="{name}">{name}</a>' for name in files),
  }
  lines = [
    '<!DOCTYPE html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    f'<title>{_text(title)}</title>',
    f'<style>{_CSS}</style>',
    '</head>',
    '<body>',
    '<main>',
    f'<h1>{_text(title)}</h1>',
    f'<p>{_text(summary)}</p>',
    *_warnings(run),
  ]
  for heading, body in sections.items():
    if body:
      lines += [f'<h2>{heading}</h2>', body]
  lines.append('</main>')
  if figures:
    lines.append(f'<script>\n{_SCRIPT}</script>')
  write_text(path, '\n'.join([*lines, '</body>', '</html>', '']))
  return path


def _text(value: Any) -> str:
  """Anything as text that means itself, in an element or an attribute."""
  # Arguments and file names can hold bytes that are no UTF-8: surrogates.
  text = str(value).encode('utf-8', 'replace').decode('utf-8')
  return html.escape(text, quote=True)


def _wide(table: str) -> str:
  return f'<div class="wide">\n{table}\n</div>'


def _warnings(run: Mapping[str, Any]) -> list[str]:
  """Paragraphs that a reader must see before believing the page."""
  found = []
  if run.get('status', 'done') != 'done':
    found.append(f'This run is not complete: its status is {run["status"]}.')
  if run.get('diverged_lanes'):
    of = f' of {run["lanes"]}' if 'lanes' in run else ''
    found.append(f'Lanes that diverged: {run["diverged_lanes"]}{of}.')
  return [f'<p class="warning">{_text(line)}</p>' for line in found]


_MOST = 1_400_000  # bytes of figures in a page: two thirds of 2 MB, as base64
_WIDE = 1000  # pixels: a figure of more is as wide as a page


def _figures(
  workdir: epath.Path, figures: Mapping[str, str], values: Mapping[str, Any]
) -> str:
  """The figures; those beyond the size of a mail are only linked to."""
  if not figures:
    return ''
  lines, size = ['<div class="figures">'], 0
  for name, caption in figures.items():
    link = _text('figures/' + urllib.parse.quote(name, errors='replace'))
    image, file = f'{link}.png', workdir / 'figures' / f'{name}.png'
    wide, high = 0, 0
    if file.exists():
      content = file.read_bytes()
      wide, high = _shape(content)
      size += len(content)
      if size <= _MOST:
        image = 'data:image/png;base64,' + base64.b64encode(content).decode()
    points = _text(json.dumps(values.get(name, []), separators=(',', ':')))
    size += len(points)
    told = f' data-values="{points}"' if size <= _MOST else ''
    shape = f' width="{wide}" height="{high}"' if wide else ''
    alt = _text(caption)
    across = ' class="double"' if wide > _WIDE else ''
    lines += [
      f'<figure{across}{told}>',
      f'<a href="{link}.pdf"><img src="{image}" alt="{alt}"{shape}></a>',
      f'<figcaption>{alt} <a href="{link}.pdf">PDF</a></figcaption>',
      '</figure>',
    ]
  return '\n'.join([*lines, '</div>'])


def _shape(png: bytes) -> tuple[int, int]:
  """Width and height of an image in pixels; zeros if it is no PNG.

  >>> _shape(b'')
  (0, 0)
  """
  if png[12:16] != b'IHDR':
    return 0, 0
  wide, high = struct.unpack('>II', png[16:24])
  return wide, high


def _config(text: str) -> str:
  r"""The aligned columns of `config.describe` as a table.

  >>> print(_config('path  value  doc\neta   0.1    step size\nk     4'))
  <div class="wide">
  <table class="config">
  <thead><tr><th>path</th><th>value</th><th>doc</th></tr></thead>
  <tbody>
  <tr><td>eta</td><td>0.1</td><td>step size</td></tr>
  <tr><td>k</td><td>4</td><td></td></tr>
  </tbody>
  </table>
  </div>
  """
  head, *rows = text.rstrip('\n').split('\n')
  names = head.split()
  starts = [head.find(name) for name in names]
  aligned = names[:2] == ['path', 'value'] and not any(
    row[start - 1 : start].strip() for row in rows for start in starts[1:]
  )
  if not aligned:
    return f'<pre tabindex="0">{_text(text)}</pre>' if text.strip() else ''
  ends = [*starts[1:], None]
  lines = ['<table class="config">', f'<thead>{_row("th", names)}</thead>']
  lines.append('<tbody>')
  for row in rows:
    spans = zip(starts, ends, strict=True)
    lines.append(_row('td', [row[i:j].strip() for i, j in spans]))
  return _wide('\n'.join([*lines, '</tbody>', '</table>']))


def _row(tag: str, cells: Iterable[str]) -> str:
  inner = ''.join(f'<{tag}>{_text(cell)}</{tag}>' for cell in cells)
  return f'<tr>{inner}</tr>'


def _run(run: Mapping[str, Any]) -> str:
  keys = [key for key in _FACTS if key in run]
  keys += [key for key in run if key not in _FACTS]
  if not keys:
    return ''
  lines = ['<table class="run">', '<tbody>']
  for key in keys:
    name, value = _text(_FACTS.get(key, key)), run[key]
    known = key == 'seconds' and isinstance(value, (int, float))
    shown = _seconds(value) if known else _plain(value)
    if key == 'argv' and isinstance(value, (list, tuple)):
      shown = ' '.join(map(str, value))
    lines.append(f'<tr><th>{name}</th><td>{_text(shown)}</td></tr>')
  return _wide('\n'.join([*lines, '</tbody>', '</table>']))


def _seconds(value: float) -> str:
  """Wall time as a person reads it.

  >>> _seconds(3.217), _seconds(3661.0)
  ('3.2 s', '1:01:01')
  """
  return f'{value:.1f} s' if value < 60 else duration(value)


def _plain(value: Any) -> str:
  """Words for a value of JSON; equal members of a list are said once.

  >>> _plain([{'seeds': 8, 'devices': 2}, {'seeds': 8, 'devices': 2}])
  'seeds 8, devices 2'
  >>> _plain({'jax': '0.10', 'x64': True})
  'jax 0.10, x64 yes'
  """
  if isinstance(value, bool):
    return 'yes' if value else 'no'
  if isinstance(value, Mapping):
    return ', '.join(f'{k} {_plain(v)}' for k, v in value.items())
  if isinstance(value, (list, tuple)):
    words = [_plain(v) for v in value]
    if any(isinstance(v, (Mapping, list, tuple)) for v in value):
      return '; '.join(dict.fromkeys(words))
    return ', '.join(words)
  return value if isinstance(value, str) else json.dumps(value, default=str)
