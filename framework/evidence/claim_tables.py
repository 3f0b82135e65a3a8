"""A claim as a record, and how it is written: as text, as HTML, as JSON."""

import html
import itertools
import json
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

__all__ = [
  'KINDS',
  'Claim',
  'Prediction',
  'cells',
  'from_json',
  'html_table',
  'number',
  'table',
  'to_json',
]

Prediction: TypeAlias = float | tuple[float, float] | str

KINDS = ('theorem', 'paper', 'regression', 'fact')
_VERDICTS = ('holds', 'fails', 'not testable', 'fact')
_HEAD = ('kind', 'predicted', 'measured ± stderr', 'tolerance', 'verdict')


class Claim(NamedTuple):
  """One prediction next to its measurement; made in `evidence.claims`."""

  id: str  # short and stable, such as 'symmetric.exponent'
  statement: str  # one sentence
  source: str  # paper, theorem or figure; or 'derived' and where
  predicted: Prediction  # a number, an interval or words
  measured: float  # mean over seeds, or the worst of them; NaN if there is none
  stderr: float  # of that mean; NaN for one seed, and for the worst
  tolerance: str  # what deviation is allowed
  derivation: str  # of the tolerance
  verdict: str  # 'holds', 'fails' or 'not testable'; 'fact' is no verdict
  reason: str  # why it fails or cannot be tested, in numbers
  n: int  # seeds or lanes measured (finite)
  kind: str = 'paper'  # one of `KINDS`: what the prediction rests on
  headline: bool = False  # without it the figure has not been reproduced


def table(claims: Iterable[Claim], width: int = 100) -> str:
  """A plain-text table for a terminal, and a line that counts the verdicts.

  Args:
    claims: The claims, in the order of the table.
    width: Columns of the terminal >= 60. Nothing is wider.

  Returns:
    Lines without a final newline.

  Raises:
    ValueError: If an id occurs twice or `width` is too small.

  >>> from framework.evidence.claims import at_most
  >>> print(table([at_most('loss', 'The loss vanishes.', 'Theorem 2', 1e-6,
  ...                      [3e-7, 2e-7], kind='theorem',
  ...                      derivation='float32')]))
  id    kind     predicted  measured ± stderr        tolerance    verdict
  loss  theorem  ≤ 1e-06    2.5e-07 ± 5e-08 (n = 2)  mean inside  holds
    The loss vanishes. [Theorem 2]
  <BLANKLINE>
  1 hold, 0 fail, 0 not testable
  """
  claims = _unique(claims)
  if width < 60:
    raise ValueError(f'width is {width}, expected >= 60')
  if not claims:
    return _count(claims)
  rows = [('id', *_HEAD)] + [(_one_line(c.id), *cells(c)) for c in claims]
  columns = [max(map(len, column)) for column in zip(*rows, strict=True)]
  while sum(columns) + 2 * (len(columns) - 1) > width:
    columns[columns.index(max(columns))] -= 1
  lines = _row(rows[0], columns)
  for claim, row in zip(claims, rows[1:], strict=True):
    lines += _row(row, columns)
    texts = [f'{claim.statement} [{claim.source}]']
    texts += [f'{claim.verdict}: {claim.reason}'] if claim.reason else []
    for text in texts:
      lines += ['  ' + part for part in _wrapped(text, width - 2)]
  return '\n'.join([*lines, '', _count(claims)])


def html_table(claims: Iterable[Claim]) -> str:
  """An HTML table; its rows have the class holds, fails or not-testable.

  Args:
    claims: The claims, in the order of the table.

  Returns:
    One `<table class="claims">` with every text escaped.

  Raises:
    ValueError: If an id occurs twice.
  """
  claims, text = _unique(claims), html.escape
  head = ''.join(f'<th>{name}</th>' for name in ('claim', *_HEAD))
  lines = ['<table class="claims">', f'<caption>{_count(claims)}</caption>']
  lines += [f'<thead><tr>{head}</tr></thead>', '<tbody>']
  for c in claims:
    kind, predicted, measured, tolerance, verdict = map(text, cells(c))
    row = (
      f'<code>{text(c.id)}</code> {text(c.statement)} '
      f'<cite>{text(c.source)}</cite>',
      kind,
      predicted,
      measured,
      f'{tolerance} <small>{text(c.derivation)}</small>',
      f'{verdict} <small>{text(c.reason)}</small>',
    )
    # On a narrow screen a row is a card, whose lines need their names.
    row = ''.join(
      f'<td data-label="{name}">{cell}</td>'
      for name, cell in zip(('claim', *_HEAD), row, strict=True)
    )
    verdict = text(c.verdict.replace(' ', '-'))
    lines.append(f'<tr class="{verdict}">{row}</tr>')
  return '\n'.join([*lines, '</tbody>', '</table>'])


def to_json(claims: Iterable[Claim]) -> str:
  """Claims as strict JSON: equal claims give equal text.

  A list of objects with the fields of `Claim` in their order; numbers that JSON
  has no word for are the strings 'nan', 'inf' and '-inf'.

  Args:
    claims: The claims.

  Returns:
    Indented JSON with a final newline, its Greek letters not escaped.

  Raises:
    ValueError: If an id occurs twice.
  """
  objects = [
    {name: _plain(value) for name, value in claim._asdict().items()}
    | {'n': int(claim.n)}
    for claim in _unique(claims)
  ]
  text = json.dumps(objects, ensure_ascii=False, allow_nan=False, indent=2)
  return text + '\n'


def from_json(text: str) -> list[Claim]:
  """Reads what `to_json` wrote, exactly.

  Args:
    text: The JSON.

  Returns:
    The claims.

  Raises:
    ValueError: If the text is not strict JSON, not a list of claims, or an id
      occurs twice.

  >>> from framework.evidence.claims import untestable
  >>> claim = untestable('a', 'It holds.', 'derived', 'one seed', predicted=1)
  >>> from_json(to_json([claim]))[0].predicted
  1.0
  """

  def refuse(token: str):
    raise ValueError(f'{token} is not JSON')

  objects = json.loads(text, parse_constant=refuse)
  if not isinstance(objects, list):
    raise ValueError(f'claims are a {type(objects).__name__}, expected a list')
  return _unique(map(_parsed, objects))


def number(x: float) -> str:
  """A number as people read it: four digits."""
  return f'{x:.4g}'


def _unique(claims: Iterable[Claim]) -> list[Claim]:
  claims, seen = list(claims), set()
  for claim in claims:
    if claim.id in seen:
      raise ValueError(f'claim id {claim.id} occurs twice, expected once')
    seen.add(claim.id)
  return claims


def _plain(value: Any) -> Any:
  """A field of a claim as JSON has it."""
  if isinstance(value, tuple):
    return [_plain(x) for x in value]
  if isinstance(value, (str, bool)):
    return value
  return float(value) if math.isfinite(value) else str(float(value))


def _parsed(x: Any) -> Claim:
  """A claim from its JSON object, checked."""
  fields = set(Claim._fields)
  if not isinstance(x, dict) or not fields - {*_LATER} <= set(x) <= fields:
    raise ValueError(f'not a claim: {str(x)[:60]!r}')
  if x['verdict'] not in _VERDICTS:
    raise ValueError(f'verdict is {x["verdict"]!r}, expected {_VERDICTS}')
  for name in ('measured', 'stderr'):
    x[name] = float(x[name])
  if isinstance(x['predicted'], list):
    x['predicted'] = tuple(map(float, x['predicted']))
  return Claim(**x)


_LATER = ('kind', 'headline')  # not in what earlier versions wrote


def cells(claim: Claim) -> tuple[str, str, str, str, str]:
  """Kind, prediction, measurement, tolerance and verdict, each one line."""
  measured = number(claim.measured) if claim.n else '-'
  if not math.isnan(claim.stderr):
    measured += f' ± {number(claim.stderr)}'
  if claim.n > 1:
    measured += f' (n = {claim.n})'
  predicted = claim.predicted
  if isinstance(predicted, tuple):
    low, high = predicted
    if low == -math.inf:
      predicted = f'≤ {number(high)}'
    elif high == math.inf:
      predicted = f'≥ {number(low)}'
    else:
      predicted = f'[{number(low)}, {number(high)}]'
  elif not isinstance(predicted, str):
    predicted = number(predicted)
  texts = (claim.kind, predicted, measured, claim.tolerance, claim.verdict)
  a, b, c, d, e = map(_one_line, texts)
  return a, b, c, d, e


def _count(claims: Sequence[Claim]) -> str:
  hold, fail, rest, facts = (
    sum(c.verdict == v for c in claims) for v in _VERDICTS
  )
  told = f', {facts} facts' if facts else ''
  return f'{hold} hold, {fail} fail, {rest} not testable{told}'


def _one_line(text: str) -> str:
  return ' '.join(text.split())


def _wrapped(text: str, width: int) -> list[str]:
  # A minus sign is no place to break a line.
  return textwrap.wrap(_one_line(text), width, break_on_hyphens=False) or ['']


def _row(cells: Sequence[str], columns: Sequence[int]) -> list[str]:
  """The lines of one row, its cells wrapped to the widths of the columns."""
  wrapped = [_wrapped(x, w) for x, w in zip(cells, columns, strict=True)]
  lines = itertools.zip_longest(*wrapped, fillvalue='')
  return ['  '.join(map(str.ljust, line, columns)).rstrip() for line in lines]
