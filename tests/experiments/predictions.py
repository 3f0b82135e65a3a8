"""Predictions, tolerances and what is read off records, entered a second time.

`tests/golden/predictions/<experiment>.json` has, by variant and claim: its
kind, what is predicted, what deviation is allowed, whether it is a headline,
and what is measured on the made-up records of `adversary`, so that no run is
needed. Whoever changes a law, a published number, a tolerance or a measure
changes it in two places:

    REWRITE_PREDICTIONS=1 python -m pytest -m 'slow or not slow' \
        tests/experiments/adversary_test.py
"""

import json
import os
import pathlib
import re
from collections.abc import Mapping, Sequence

import numpy as np

from framework.evidence.claim_tables import Claim, Prediction

__all__ = ['FILLS', 'check']

FILLS = 'random', 'rising', 'falling'

_PLACE = pathlib.Path(__file__).parents[1] / 'golden/predictions'
_NUMBER = re.compile(r'(?<![\w.])[-−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?')


def check(
  experiment: str, variant: str, claims: Mapping[str, Sequence[Claim]]
) -> None:
  """Compares claims with what is written down: words exactly, numbers to 1e-3.

  Args:
    experiment: Its name.
    variant: Its variant.
    claims: {fill: claims of such records with seed 0}.

  Raises:
    AssertionError: Naming the first claim that differs.
  """
  file = _PLACE / f'{experiment}.json'
  known = json.loads(file.read_text()) if file.exists() else {}
  found = {
    same[0].id: _line(same) for same in zip(*claims.values(), strict=True)
  }
  if os.environ.get('REWRITE_PREDICTIONS'):
    known[variant] = found
    text = json.dumps(known, ensure_ascii=False, indent=1, sort_keys=True)
    file.write_text(text + '\n')
  wanted = known.get(variant, {})
  assert found.keys() == wanted.keys(), found.keys() ^ wanted.keys()
  for name, line in found.items():
    words, numbers = _apart(line)
    words_wanted, numbers_wanted = _apart(wanted[name])
    what = f'{name} has {line}, {file.name} has {wanted[name]}'
    assert words == words_wanted, what
    np.testing.assert_allclose(
      numbers, numbers_wanted, rtol=1e-3, atol=1e-12, err_msg=what
    )


def _line(same: Sequence[Claim]) -> str:
  """One claim of all fills; its prediction may depend on the records."""
  claim = same[0]
  if claim.verdict == 'not testable':
    return 'not testable'
  predicted = list(dict.fromkeys(_words(c.predicted) for c in same))
  tolerance = list(dict.fromkeys(c.tolerance for c in same))
  parts = [
    claim.kind + claim.headline * ', headline',
    'predicted ' + '; '.join(predicted),
    '; '.join(tolerance),
    'measured ' + '; '.join(_words(c.measured) for c in same),
  ]
  return ' | '.join(parts)


def _words(value: Prediction) -> str:
  if isinstance(value, str):
    return value
  if isinstance(value, tuple):
    return ' to '.join(map(_words, value))
  return f'{float(value):.6g}'


def _apart(line: str) -> tuple[str, list[float]]:
  numbers = [float(n.replace('−', '-')) for n in _NUMBER.findall(line)]
  return _NUMBER.sub('#', line), numbers
