"""Claims: what a source predicts, what was measured, and whether it holds.

A claim is a sentence that a run can refute. Its verdict is always computed, by
`equals`, `within`, `at_most` or `at_least`, from the samples (one a seed) and a
tolerance whose derivation is part of the claim. What cannot be decided with the
runs at hand is `untestable` and says what is missing. A negative control is a
claim as well: its statement says what must not happen.

A sample that is not finite makes any claim fail: a lane that diverged, or that
never got where it should, is evidence too.
"""

import html
import json
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from framework.fits import mean_stderr

__all__ = [
  'Claim',
  'at_least',
  'at_most',
  'equals',
  'failed',
  'from_json',
  'html_table',
  'table',
  'to_json',
  'untestable',
  'within',
]

_VERDICTS = ('holds', 'fails', 'not testable')

_Samples: TypeAlias = float | Sequence[float] | Float[np.ndarray, '...']
_Prediction: TypeAlias = float | tuple[float, float] | str


class Claim(NamedTuple):
  """One prediction next to its measurement; made by the functions below."""

  id: str  # short and stable, such as 'symmetric.exponent'
  statement: str  # one sentence
  source: str  # paper, theorem or figure; or 'derived' and where
  predicted: _Prediction  # a number, an interval or words
  measured: float  # mean over seeds, or the worst of them; NaN if there is none
  stderr: float  # of that mean; NaN for one seed, and for the worst
  tolerance: str  # what deviation is allowed
  derivation: str  # of the tolerance
  verdict: str  # 'holds', 'fails' or 'not testable'
  reason: str  # why it fails or cannot be tested, in numbers
  n: int  # seeds or lanes measured (finite)


def equals(
  id: str,
  statement: str,
  source: str,
  predicted: float,
  samples: _Samples,
  *,
  atol: float = 0.0,
  rtol: float = 0.0,
  derivation: str,
) -> Claim:
  """Claims that the mean over seeds is a given number.

      |mean - predicted| <= atol + rtol |predicted|

  Args:
    id: Short and stable name.
    statement: What is claimed, one sentence.
    source: Where it is claimed.
    predicted: The number, finite.
    samples: Measured values, one a seed (any shape), or one number.
    atol: Absolute tolerance >= 0.
    rtol: Tolerance relative to the prediction >= 0.
    derivation: Where the tolerance comes from.

  Returns:
    A `Claim`.

  Raises:
    ValueError: If a text is empty, the prediction is not finite or a tolerance
      is negative.

  >>> claim = equals('exponent', 'The squared error decays as t^-2.',
  ...                'Theorem 1', -2, [-1.98, -1.99], rtol=0.02,
  ...                derivation='next order, 1/(η t), at t = 10^4')
  >>> claim.verdict, claim.tolerance
  ('holds', '± 0.04')
  """
  predicted = _finite(id, 'predicted', predicted)
  for name, value in (('atol', atol), ('rtol', rtol)):
    if not 0 <= value < math.inf:
      raise ValueError(f'claim {id}: {name} is {value}, expected >= 0')
  allowed = atol + rtol * abs(predicted)

  def miss(mean: float) -> str:
    off = abs(mean - predicted)
    if off <= allowed:
      return ''
    return f'off by {_number(off)}, {_number(off - allowed)} more than allowed'

  texts = (id, statement, source, f'± {_number(allowed)}', derivation)
  return _judged(texts, predicted, samples, miss)


def within(
  id: str,
  statement: str,
  source: str,
  low: float,
  high: float,
  samples: _Samples,
  *,
  each: bool = False,
  derivation: str,
) -> Claim:
  """Claims that the mean over seeds, or every sample, is in [low, high].

  Args:
    id: Short and stable name.
    statement: What is claimed, one sentence.
    source: Where it is claimed.
    low: Lower end, included.
    high: Upper end, included.
    samples: Measured values, one a seed (any shape), or one number.
    each: Whether every sample has to be inside; then the worst is reported.
    derivation: Where the interval comes from.

  Returns:
    A `Claim`.

  Raises:
    ValueError: If a text is empty or the interval is not finite, or empty.

  >>> within('ratio', 'The ratio is about one.', 'derived', 0.9, 1.1,
  ...        [0.95, 1.2], each=True, derivation='O(η)').reason
  '1 of 2 outside, the worst 0.1 above 1.1'
  """
  low, high = _finite(id, 'low', low), _finite(id, 'high', high)
  if low > high:
    raise ValueError(f'claim {id}: low is {low}, expected <= high = {high}')
  texts = (id, statement, source, _rule(each), derivation)
  return _inside(texts, (low, high), samples, each)


def at_most(
  id: str,
  statement: str,
  source: str,
  bound: float,
  samples: _Samples,
  *,
  each: bool = False,
  derivation: str,
) -> Claim:
  """Claims that the mean over seeds, or every sample, is at most a bound.

  The same as `within` for the interval (-inf, bound].

  >>> at_most('loss', 'The loss vanishes.', 'Theorem 2', 1e-6, [3e-7, 2e-7],
  ...         derivation='ten times the floor of float32').verdict
  'holds'
  """
  texts = (id, statement, source, _rule(each), derivation)
  interval = (-math.inf, _finite(id, 'bound', bound))
  return _inside(texts, interval, samples, each)


def at_least(
  id: str,
  statement: str,
  source: str,
  bound: float,
  samples: _Samples,
  *,
  each: bool = False,
  derivation: str,
) -> Claim:
  """Claims that the mean over seeds, or every sample, is at least a bound.

  The same as `within` for the interval [bound, inf).

  >>> at_least('cosine', 'The iterate aligns.', 'Theorem 3', 0.99, 0.97,
  ...          derivation='1 - O(1/ln t)').reason
  '0.02 below 0.99'
  """
  texts = (id, statement, source, _rule(each), derivation)
  interval = (_finite(id, 'bound', bound), math.inf)
  return _inside(texts, interval, samples, each)


def untestable(
  id: str,
  statement: str,
  source: str,
  reason: str,
  *,
  predicted: _Prediction = '',
) -> Claim:
  """States a claim that the runs at hand cannot decide, and why.

  Args:
    id: Short and stable name.
    statement: What is claimed, one sentence.
    source: Where it is claimed.
    reason: What is missing, in numbers.
    predicted: A finite number, an interval or words, if there are any.

  Returns:
    A `Claim` that is 'not testable'.

  Raises:
    ValueError: If a text is empty or the prediction is not finite.

  >>> untestable('limit', 'The width goes to infinity.', 'Theorem 4',
  ...            'needs width 10^5, the largest run has 4096').verdict
  'not testable'
  """
  _check_texts(id, statement=statement, source=source, reason=reason)
  return Claim(
    id=id,
    statement=statement,
    source=source,
    predicted=_prediction(id, predicted),
    measured=math.nan,
    stderr=math.nan,
    tolerance='',
    derivation='',
    verdict='not testable',
    reason=reason,
    n=0,
  )


def failed(claims: Iterable[Claim]) -> list[Claim]:
  """The claims that fail, in their order."""
  return [c for c in claims if c.verdict == 'fails']


def table(claims: Iterable[Claim], width: int | None = None) -> str:
  """A plain-text table for a terminal, and a line that counts the verdicts.

  Args:
    claims: The claims, in the order of the table.
    width: Columns of the terminal >= 60; 100 when None. Nothing is wider.

  Returns:
    Lines without a final newline.

  Raises:
    ValueError: If an id occurs twice or `width` is too small.

  >>> print(table([at_most('loss', 'The loss vanishes.', 'Theorem 2', 1e-6,
  ...                      [3e-7, 2e-7], derivation='float32')]))
  id    predicted  measured ± stderr        tolerance    verdict
  loss  ≤ 1e-06    2.5e-07 ± 5e-08 (n = 2)  mean inside  holds
    The loss vanishes. [Theorem 2]
  <BLANKLINE>
  1 hold, 0 fail, 0 not testable
  """
  claims = _unique(claims)
  width = 100 if width is None else width
  if width < 60:
    raise ValueError(f'width is {width}, expected >= 60')
  if not claims:
    return _count(claims)
  rows = [('id', *_HEAD)] + [(_one_line(c.id), *_cells(c)) for c in claims]
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
    predicted, measured, tolerance, verdict = map(text, _cells(c))
    cells = (
      f'<code>{text(c.id)}</code> {text(c.statement)} '
      f'<cite>{text(c.source)}</cite>',
      predicted,
      measured,
      f'{tolerance} <small>{text(c.derivation)}</small>',
      f'{verdict} <small>{text(c.reason)}</small>',
    )
    cells = ''.join(f'<td>{cell}</td>' for cell in cells)
    kind = text(c.verdict.replace(' ', '-'))
    lines.append(f'<tr class="{kind}">{cells}</tr>')
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
    ValueError: If an id occurs twice or a single predicted number is not
      finite.
  """
  objects = [
    {name: _plain(value) for name, value in _normal(claim)._asdict().items()}
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

  >>> claim = untestable('a', 'It holds.', 'derived', 'one seed', predicted=1)
  >>> from_json(to_json([claim]))[0].predicted
  1.0
  """

  def refuse(token: str):
    raise ValueError(f'{token} is not JSON')

  objects = json.loads(text, parse_constant=refuse)
  if not isinstance(objects, list):
    raise ValueError(f'claims are a {type(objects).__name__}, expected a list')
  return _unique(_parsed(x) for x in objects)


def _judged(
  texts: tuple[str, str, str, str, str],
  predicted: _Prediction,
  samples: _Samples,
  miss: Callable[..., str],
  worst: Callable[..., float] | None = None,
) -> Claim:
  """Measures the samples; `miss` says what is wrong with the number, or ''."""
  id, statement, source, tolerance, derivation = texts
  _check_texts(id, statement=statement, source=source, derivation=derivation)
  x = np.ravel(np.asarray(samples, np.float64))
  finite = x[np.isfinite(x)]
  measured, stderr, n = map(float, mean_stderr(finite))
  if worst and n:
    measured, stderr = worst(finite), math.nan
  if not x.size:
    reason = 'no samples'
  elif n < x.size:
    reason = f'{x.size - finite.size} of {x.size} samples not finite'
  else:
    reason = miss(measured)
  return Claim(
    id=id,
    statement=statement,
    source=source,
    predicted=predicted,
    measured=measured,
    stderr=stderr,
    tolerance=tolerance,
    derivation=derivation,
    verdict='fails' if reason else 'holds',
    reason=reason,
    n=int(n),
  )


def _inside(
  texts: tuple[str, str, str, str, str],
  interval: tuple[float, float],
  samples: _Samples,
  each: bool,
) -> Claim:
  """A claim about an interval; an end may be infinite."""
  low, high = interval
  x = np.ravel(np.asarray(samples, np.float64))

  def worst(x: np.ndarray) -> float:
    return float(x[np.argmin(np.minimum(x - low, high - x))])

  def miss(value: float) -> str:
    if low <= value <= high:
      return ''
    if value < low:
      where = f'{_number(low - value)} below {_number(low)}'
    else:
      where = f'{_number(value - high)} above {_number(high)}'
    if not each:
      return where
    outside = int(np.sum((x < low) | (x > high)))
    return f'{outside} of {x.size} outside, the worst {where}'

  return _judged(texts, interval, samples, miss, worst if each else None)


def _rule(each: bool) -> str:
  return 'every sample inside' if each else 'mean inside'


def _check_texts(id: str, **texts: str) -> None:
  if not id or any(c.isspace() for c in id):
    raise ValueError(f'claim id is {id!r}, expected a name without spaces')
  for name, text in texts.items():
    if not text.strip():
      raise ValueError(f'claim {id}: {name} is empty, expected a sentence')


def _finite(id: str, name: str, value: float) -> float:
  if not math.isfinite(value):
    raise ValueError(f'claim {id}: {name} is {value}, expected a finite number')
  return float(value)


def _prediction(id: str, predicted: Any) -> _Prediction:
  """A prediction in plain Python types; a single number is finite."""
  if isinstance(predicted, str):
    return predicted
  if isinstance(predicted, tuple):
    low, high = predicted
    return float(low), float(high)
  return _finite(id, 'predicted', predicted)


def _unique(claims: Iterable[Claim]) -> list[Claim]:
  claims, seen = list(claims), set()
  for claim in claims:
    if claim.id in seen:
      raise ValueError(f'claim id {claim.id} occurs twice, expected once')
    seen.add(claim.id)
  return claims


def _normal(claim: Claim) -> Claim:
  """A claim whose numbers are those of Python, read from words if need be."""
  return claim._replace(
    predicted=_prediction(claim.id, claim.predicted),
    measured=float(claim.measured),
    stderr=float(claim.stderr),
    n=int(claim.n),
  )


def _plain(value: Any) -> Any:
  """A field of a claim as JSON has it."""
  if isinstance(value, tuple):
    return [_plain(x) for x in value]
  if isinstance(value, str | int):
    return value
  return float(value) if math.isfinite(value) else str(float(value))


def _parsed(x: Any) -> Claim:
  """A claim from its JSON object, checked."""
  if not isinstance(x, dict) or set(x) != set(Claim._fields):
    raise ValueError(f'not a claim: {str(x)[:60]!r}')
  if x['verdict'] not in _VERDICTS:
    raise ValueError(f'verdict is {x["verdict"]!r}, expected {_VERDICTS}')
  if isinstance(x['predicted'], list):
    x = x | {'predicted': tuple(x['predicted'])}
  return _normal(Claim(**x))


_HEAD = ('predicted', 'measured ± stderr', 'tolerance', 'verdict')


def _cells(claim: Claim) -> tuple[str, str, str, str]:
  """The columns of `_HEAD`, each one line."""
  measured = _number(claim.measured) if claim.n else '-'
  if not math.isnan(claim.stderr):
    measured += f' ± {_number(claim.stderr)}'
  if claim.n > 1:
    measured += f' (n = {claim.n})'
  predicted = claim.predicted
  if isinstance(predicted, tuple):
    low, high = predicted
    if low == -math.inf:
      predicted = f'≤ {_number(high)}'
    elif high == math.inf:
      predicted = f'≥ {_number(low)}'
    else:
      predicted = f'[{_number(low)}, {_number(high)}]'
  elif not isinstance(predicted, str):
    predicted = _number(predicted)
  texts = (predicted, measured, claim.tolerance, claim.verdict)
  a, b, c, d = map(_one_line, texts)
  return a, b, c, d


def _number(x: float) -> str:
  return f'{x:.4g}'


def _count(claims: Sequence[Claim]) -> str:
  hold, fail, rest = (sum(c.verdict == v for c in claims) for v in _VERDICTS)
  return f'{hold} hold, {fail} fail, {rest} not testable'


def _one_line(text: str) -> str:
  return ' '.join(text.split())


def _wrapped(text: str, width: int) -> list[str]:
  # A minus sign is no place to break a line.
  return textwrap.wrap(_one_line(text), width, break_on_hyphens=False) or ['']


def _row(cells: Sequence[str], columns: Sequence[int]) -> list[str]:
  """The lines of one row, its cells wrapped to the widths of the columns."""
  wrapped = [_wrapped(x, w) for x, w in zip(cells, columns, strict=True)]
  height = max(map(len, wrapped))
  lines = []
  for i in range(height):
    parts = [w[i] if i < len(w) else '' for w in wrapped]
    padded = [p.ljust(w) for p, w in zip(parts, columns, strict=True)]
    lines.append('  '.join(padded).rstrip())
  return lines
