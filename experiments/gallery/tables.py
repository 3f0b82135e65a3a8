"""Claims, runs and figures as the HTML of pages."""

import html
import json
import pathlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.gallery import collect
from framework.evidence import claim_tables

__all__ = ['claims', 'count', 'figures', 'run', 'summary', 'text']

_HEAD = (
  'experiment',
  'variant',
  'claim',
  'kind',
  'predicted',
  'measured',
  'verdict',
  'date',
  'commit',
)


def text(value: Any) -> str:
  """A value as text that means itself, in HTML and in Markdown."""
  return html.escape(str(value), quote=True).replace('\n', ' ')


def summary(gallery: Mapping[str, Any]) -> str:
  """One sentence on all claims."""
  if not gallery['runs']:
    return 'No run is on the disk that this site was built from.'
  return f'{len(gallery["runs"])} runs: {_counts(gallery["claims"])}.'


def count(gallery: Mapping[str, Any], experiment: str) -> str:
  """The verdicts of one experiment in words."""
  own = [c for c in gallery['claims'] if c['experiment'] == experiment]
  return _counts(own) if own else 'not run here'


def _counts(claims: Iterable[Mapping[str, Any]]) -> str:
  counts = Counter(claim['verdict'] for claim in claims)
  words = {'holds': 'hold', 'fails': 'fail', 'fact': 'facts'}
  return ', '.join(f'{n} {words.get(v, v)}' for v, n in counts.items())


def claims(gallery: Mapping[str, Any]) -> str:
  """The page of all claims, and of the variants that are missing."""
  rows = gallery['claims']
  page = f'---\nhide: [navigation, toc]\n---\n# Claims\n\n{summary(gallery)} '
  page += 'Those that fail are on top. The same as data: '
  page += '<a href="gallery.json" download>gallery.json</a>.\n\n'
  page += f'{_filters(rows)}\n{_table(rows)}\n'
  if gallery['missing']:
    page += '\n## Not computed here\n\nA run costs so much; `--dry_run` says '
    page += 'the seconds.\n\n| experiment | variant | lanes | steps |\n'
    page += '|---|---|--:|--:|\n'
    for one in gallery['missing']:
      steps = one.get('steps', '')
      page += f'| {one["experiment"]} | `{one["variant"]}` '
      page += f'| {one["lanes"]} | {steps} |\n'
  return page


def _filters(rows: Sequence[Mapping[str, Any]]) -> str:
  fields = ['<label>Text <input type="search" name="text"></label>']
  for name in ('experiment', 'kind', 'verdict'):
    values = dict.fromkeys(row[name] for row in rows)
    options = ''.join(f'<option>{text(value)}</option>' for value in values)
    fields.append(
      f'<label>{name.capitalize()} <select name="{name}">'
      f'<option value="">all</option>{options}</select></label>'
    )
  return (
    '<form class="filters" role="search" aria-label="Claims">'
    f'{"".join(fields)}<output aria-live="polite"></output></form>'
  )


def _table(rows: Iterable[Mapping[str, Any]]) -> str:
  head = ''.join(f'<th scope="col">{name}</th>' for name in _HEAD)
  lines = [
    '<div class="wide" markdown="0"><table class="sortable">',
    f'<thead><tr>{head}</tr></thead><tbody>',
  ]
  lines += [_row(row) for row in rows]
  return '\n'.join([*lines, '</tbody></table></div>'])


def _row(row: Mapping[str, Any]) -> str:
  claim = collect.claim_of(row)
  kind, predicted, measured, tolerance, verdict = map(
    text, claim_tables.cells(claim)
  )
  experiment, variant = text(row['experiment']), text(row['variant'])
  cells = (
    f'<a href="results/{experiment}.html">{experiment}</a>',
    variant,
    f'<code>{text(claim.id)}</code><span>{text(claim.statement)} '
    f'<cite>{text(claim.source)}</cite></span>',
    kind,
    f'<span>{predicted} <small>{tolerance}</small></span>',
    measured,
    f'<span>{verdict} <small>{text(claim.reason)}</small></span>',
    text(row['date']),
    f'<span title="{text(row["commit"])}">{text(row["commit"][:9])}</span>',
  )
  line = f'<tr data-experiment="{experiment}" data-kind="{kind}" '
  line += f'data-verdict="{verdict}">'
  for name, cell in zip(_HEAD, cells, strict=True):
    key = f' data-sort="{verdict}"' if name == 'verdict' else ''
    line += f'<td class="{name}" data-label="{name}"{key}>{cell}</td>'
  return f'{line}</tr>'


def run(gallery: Mapping[str, Any], one: Mapping[str, Any], report: str) -> str:
  """A paragraph on one run."""
  own = [
    claim
    for claim in gallery['claims']
    if (claim['experiment'], claim['variant'])
    == (one['experiment'], one['variant'])
  ]
  return (
    f'{_counts(own) or "no claims"}; {one["lanes"]} lanes in '
    f'{one["seconds"]:.0f} s on {one["date"]}. '
    f'<a href="{report}">The report of the run</a>.\n\n'
  )


def figures(place: pathlib.Path, link: str) -> str:
  """The figures of a run with their captions, which figures.json has."""
  captions = json.loads((place / 'figures.json').read_text())
  lines = []
  for name, caption in captions.items():
    alt = text(caption)
    image = f'{link}/figures/{text(name)}.png'
    lines.append(
      f'<figure><img src="{image}" alt="{alt}" loading="lazy">'
      f'<figcaption>{alt}</figcaption></figure>\n'
    )
  return '\n'.join(lines)
