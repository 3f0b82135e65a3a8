"""Claims: what a source predicts, what was measured, and whether it holds.

A claim is a sentence that a run can refute. Its verdict is always computed, by
`equals`, `within`, `at_most` or `at_least`, from the samples (one a seed) and a
tolerance whose derivation is part of the claim. What the *setting* of a run
cannot show is `untestable` and says what is missing: that is decided from the
config, before anyone looks at the outcome. A negative control is a claim as
well: its statement says what must not happen. A number that nothing could
refute, such as whether an assumption of a theorem is met, is a `fact`.

What a prediction rests on is its kind:

    theorem     a law derived from the equations, here or in the source
    paper       what the source reports: a number, or a direction
    regression  our own earlier measurement, which the source says

A sample that is not finite makes any claim fail: a lane that diverged, or that
never got where it should, is evidence too.
"""

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from framework.evidence.claim_tables import (
  KINDS,
  Claim,
  Prediction,
  from_json,
  html_table,
  number,
  table,
  to_json,
)
from framework.evidence.fits import mean_stderr

__all__ = [
  'KINDS',
  'Claim',
  'at_least',
  'at_most',
  'equals',
  'fact',
  'failed',
  'from_json',
  'html_table',
  'table',
  'to_json',
  'unfinished',
  'untestable',
  'within',
]

_NOT_FINITE = 'samples not finite'
_Samples: TypeAlias = float | Sequence[float] | Float[np.ndarray, '...']


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
  kind: str = 'paper',
  headline: bool = False,
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
    kind: What the prediction rests on, one of `KINDS`.
    headline: Whether the figure stands or falls with it.

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
  claim = _inside(
    (id, statement, source, derivation),
    (predicted - allowed, predicted + allowed),
    samples,
    kind=kind,
    headline=headline,
  )
  return claim._replace(predicted=predicted, tolerance=f'± {number(allowed)}')


def within(
  id: str,
  statement: str,
  source: str,
  low: float,
  high: float,
  samples: _Samples,
  *,
  each: bool = False,
  strict: bool = False,
  derivation: str,
  kind: str = 'paper',
  headline: bool = False,
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
    strict: Whether the ends are left out.
    derivation: Where the interval comes from.
    kind: What the prediction rests on, one of `KINDS`.
    headline: Whether the figure stands or falls with it.

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
  texts = (id, statement, source, derivation)
  return _inside(
    texts,
    (low, high),
    samples,
    each,
    strict=strict,
    kind=kind,
    headline=headline,
  )


def at_most(
  id: str,
  statement: str,
  source: str,
  bound: float,
  samples: _Samples,
  *,
  each: bool = False,
  strict: bool = False,
  derivation: str,
  kind: str = 'paper',
  headline: bool = False,
) -> Claim:
  """Claims that the mean over seeds, or every sample, is at most a bound.

  The same as `within` for the interval (-inf, bound].

  >>> at_most('loss', 'The loss vanishes.', 'Theorem 2', 1e-6, [3e-7, 2e-7],
  ...         derivation='ten times the floor of float32').verdict
  'holds'
  """
  interval = (-math.inf, _finite(id, 'bound', bound))
  return _inside(
    (id, statement, source, derivation),
    interval,
    samples,
    each,
    strict=strict,
    kind=kind,
    headline=headline,
  )


def at_least(
  id: str,
  statement: str,
  source: str,
  bound: float,
  samples: _Samples,
  *,
  each: bool = False,
  strict: bool = False,
  derivation: str,
  kind: str = 'paper',
  headline: bool = False,
) -> Claim:
  """Claims that the mean over seeds, or every sample, is at least a bound.

  The same as `within` for the interval [bound, inf).

  >>> at_least('cosine', 'The iterate aligns.', 'Theorem 3', 0.99, 0.97,
  ...          derivation='1 - O(1/ln t)').reason
  '0.02 below 0.99'
  """
  interval = (_finite(id, 'bound', bound), math.inf)
  return _inside(
    (id, statement, source, derivation),
    interval,
    samples,
    each,
    strict=strict,
    kind=kind,
    headline=headline,
  )


def untestable(
  id: str,
  statement: str,
  source: str,
  reason: str,
  *,
  predicted: Prediction = '',
  kind: str = 'paper',
  headline: bool = False,
) -> Claim:
  """States a claim that the runs at hand cannot decide, and why.

  Args:
    id: Short and stable name.
    statement: What is claimed, one sentence.
    source: Where it is claimed.
    reason: What is missing, in numbers.
    predicted: A finite number, an interval or words, if there are any.
    kind: What the prediction rests on, one of `KINDS`.
    headline: Whether the figure stands or falls with it.

  Returns:
    A `Claim` that is 'not testable'.

  Raises:
    ValueError: If a text is empty or the prediction is not finite.

  >>> untestable('limit', 'The width goes to infinity.', 'Theorem 4',
  ...            'needs width 10^5, the largest run has 4096').verdict
  'not testable'
  """
  _check_texts(id, statement=statement, source=source, reason=reason)
  _check_kind(id, kind)
  if isinstance(predicted, tuple):
    predicted = (float(predicted[0]), float(predicted[1]))
  elif not isinstance(predicted, str):
    predicted = _finite(id, 'predicted', predicted)
  measured = stderr = math.nan
  texts = ('', '', 'not testable', reason)
  return Claim(
    id,
    statement,
    source,
    predicted,
    measured,
    stderr,
    *texts,
    0,
    kind,
    headline,
  )


def fact(
  id: str,
  statement: str,
  source: str,
  value: float,
  *,
  wanted: Prediction = '',
) -> Claim:
  """States a number of this setting that no run could refute.

  For instance what an assumption of a theorem asks for, beside what the setting
  has: where a theorem does not apply, that is no failure of it.

  Args:
    id: Short and stable name.
    statement: What the number is, one sentence.
    source: Where it is asked for.
    value: The number.
    wanted: What the source asks for: a number, an interval or words.

  Returns:
    A `Claim` of kind 'fact', which neither holds nor fails.

  Raises:
    ValueError: If a text is empty.

  >>> fact('A2', 'ln n against n', '(A2)', 5.3, wanted='well below 200').verdict
  'fact'
  """
  _check_texts(id, statement=statement, source=source)
  texts = ('', '', 'fact', '')
  numbers = wanted, float(value), math.nan
  return Claim(id, statement, source, *numbers, *texts, 1, 'fact')


def unfinished(claims: Iterable[Claim], status: str) -> list[Claim]:
  """The claims of a run that is not complete: none of them has a verdict yet.

  Args:
    claims: As made from the records that there are.
    status: What the run says of itself.

  Returns:
    The claims in their order; those that hold or fail are not testable, and
    say how they stand so far.

  >>> made = at_most('loss', 'The loss vanishes.', 'Theorem 2', 1e-6,
  ...                [3e-7, math.nan], derivation='float32')
  >>> now, = unfinished([made], 'preempted')
  >>> now.verdict, now.reason
  ('not testable', 'the run is preempted; so far 1 of 2 samples not finite')
  """
  return [
    c._replace(
      verdict='not testable',
      reason=f'the run is {status}; so far {c.reason or "it would hold"}',
    )
    if c.verdict in ('holds', 'fails')
    else c
    for c in claims
  ]


def failed(claims: Iterable[Claim]) -> list[Claim]:
  """The claims that fail, in their order."""
  return [c for c in claims if c.verdict == 'fails']


def _inside(
  texts: tuple[str, str, str, str],
  interval: tuple[float, float],
  samples: _Samples,
  each: bool = False,
  *,
  strict: bool = False,
  kind: str,
  headline: bool,
) -> Claim:
  """Measures the samples and judges; an end of the interval may be infinite."""
  id, statement, source, derivation = texts
  _check_texts(id, statement=statement, source=source, derivation=derivation)
  _check_kind(id, kind)
  low, high = interval
  x = np.ravel(np.asarray(samples, np.float64))
  finite = x[np.isfinite(x)]
  measured, stderr, n = map(float, mean_stderr(finite))
  if each and n:
    margins = np.minimum(finite - low, high - finite)
    measured, stderr = float(finite[np.argmin(margins)]), math.nan
  below, above = (
    (np.less_equal, np.greater_equal)
    if strict
    else (
      np.less,
      np.greater,
    )
  )
  outside = np.sum(below(x, low) | above(x, high))
  which = f'{outside} of {x.size} outside, the worst ' if each else ''
  reason = ''
  if not x.size:
    reason = 'no samples'
  elif n < x.size:
    reason = f'{x.size - finite.size} of {x.size} {_NOT_FINITE}'
  elif below(measured, low):
    reason = f'{which}{number(low - measured)} below {number(low)}'
  elif above(measured, high):
    reason = f'{which}{number(measured - high)} above {number(high)}'
  return Claim(
    id=id,
    statement=statement,
    source=source,
    predicted=interval,
    measured=measured,
    stderr=stderr,
    tolerance='every sample inside' if each else 'mean inside',
    derivation=derivation,
    verdict='fails' if reason else 'holds',
    reason=reason,
    n=int(n),
    kind=kind,
    headline=headline,
  )


def _check_texts(id: str, **texts: str) -> None:
  if not id or any(c.isspace() for c in id):
    raise ValueError(f'claim id is {id!r}, expected a name without spaces')
  for name, text in texts.items():
    if not text.strip():
      raise ValueError(f'claim {id}: {name} is empty, expected a sentence')


def _check_kind(id: str, kind: str) -> None:
  if kind not in KINDS or kind == 'fact':
    raise ValueError(
      f'claim {id}: kind is {kind!r}, expected one of {", ".join(KINDS[:-1])}'
    )


def _finite(id: str, name: str, value: float) -> float:
  if not math.isfinite(value):
    raise ValueError(f'claim {id}: {name} is {value}, expected a finite number')
  return float(value)
