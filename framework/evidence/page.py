"""report.html: one page that says what a run shows.

A static page: no scripts, nothing from elsewhere, figures inside the page, so
that it can be mailed; PDFs and data by relative links. Equal inputs give equal
bytes.
"""

import base64
import html
import json
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

_CSS = """
:root { color-scheme: light dark; --ink: #1a1a1a; --dim: #5c5c5c;
  --paper: #ffffff; --line: #dddddd; --shade: #f5f5f5; --link: #005a9c;
  --holds: #006b4d; --fails: #b03a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --dim: #a3a3a3;
  --paper: #161616; --line: #3a3a3a; --shade: #222222; --link: #7cb8f0;
  --holds: #4fc79a; --fails: #ff9160; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 60rem;
  color: var(--ink); background: var(--paper);
  font: 1rem/1.55 Georgia, "Times New Roman", serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; padding-bottom: .25rem;
  border-bottom: 1px solid var(--line); }
a { color: var(--link); }
small, cite, caption, figcaption, .dim { color: var(--dim); }
small, cite { display: block; font-size: .85em; }
code, pre, .config td { font-family: ui-monospace, Menlo, Consolas, monospace;
  font-size: .85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: left; padding-bottom: .5rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { font-weight: 600; }
tbody th { width: 11rem; }
.claims td { font-variant-numeric: tabular-nums; overflow-wrap: normal; }
.claims td:first-child { min-width: 15rem; }
.claims td:first-child code { display: block; color: var(--dim); }
.claims td:last-child { border-left: 3px solid var(--line);
  padding-left: .6rem; font-weight: 600; }
.claims td:last-child small { font-weight: 400; }
.holds td:last-child { color: var(--holds); border-left-color: currentColor; }
.fails td:last-child { color: var(--fails); border-left-color: currentColor; }
.config td:last-child { font-family: inherit; font-size: inherit; }
@media (max-width: 45rem) {
  .claims thead { display: none; }
  .claims tr { display: block; margin-bottom: 1rem; padding: .25rem .75rem;
    border: 1px solid var(--line); border-left-width: 3px; }
  .claims tr.holds { border-left-color: var(--holds); }
  .claims tr.fails { border-left-color: var(--fails); }
  .claims td { display: grid; grid-template-columns: 6.5rem 1fr;
    padding: .3rem 0; overflow-wrap: break-word; }
  .claims td > * { grid-column: 2; }
  .claims td::before { content: attr(data-label); color: var(--dim);
    font-weight: 400; }
  .claims td:first-child { display: block; min-width: 0; }
  .claims td:first-child::before { content: none; }
  .claims td:last-child { border-left: 0; padding-left: 0; border-bottom: 0; }
}
pre { background: var(--shade); padding: .75rem; overflow-x: auto; }
.warning { border-left: 3px solid var(--fails); background: var(--shade);
  padding: .5rem .75rem; }
.figures { display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
figure { margin: 0; }
figure img { display: block; max-width: 100%; margin: 0 auto .5rem;
  background: #ffffff; }
figcaption { font-size: .9rem; }
@media print { body { max-width: none; padding: 0; } figure, tr {
  break-inside: avoid; } }
"""


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
    'Figures': _figures(workdir, figures),
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
    f'<h1>{_text(title)}</h1>',
    f'<p>{_text(summary)}</p>',
    *_warnings(run),
  ]
  for heading, body in sections.items():
    if body:
      lines += [f'<h2>{heading}</h2>', body]
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
  """What a reader must know before believing the page."""
  found = []
  if run.get('status', 'done') != 'done':
    found.append(f'This run is not complete: its status is {run["status"]}.')
  if run.get('diverged_lanes'):
    of = f' of {run["lanes"]}' if 'lanes' in run else ''
    found.append(f'Lanes that diverged: {run["diverged_lanes"]}{of}.')
  return [f'<p class="warning">{_text(line)}</p>' for line in found]


_MOST = 1_400_000  # bytes of figures in a page: two thirds of 2 MB, as base64


def _figures(workdir: epath.Path, figures: Mapping[str, str]) -> str:
  """The figures; those beyond the size of a mail are only linked to."""
  if not figures:
    return ''
  lines, size = ['<div class="figures">'], 0
  for name, caption in figures.items():
    link = _text('figures/' + urllib.parse.quote(name, errors='replace'))
    image, file = f'{link}.png', workdir / 'figures' / f'{name}.png'
    if file.exists():
      content = file.read_bytes()
      size += len(content)
      if size <= _MOST:
        image = 'data:image/png;base64,' + base64.b64encode(content).decode()
    lines += [
      '<figure>',
      f'<a href="{link}.pdf"><img src="{image}" alt="{_text(caption)}"></a>',
      f'<figcaption>{_text(caption)} <a href="{link}.pdf">PDF</a></figcaption>',
      '</figure>',
    ]
  return '\n'.join([*lines, '</div>'])


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
    return f'<pre>{_text(text)}</pre>' if text.strip() else ''
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
  """What JSON can hold as words; equal members of a list are said once.

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
