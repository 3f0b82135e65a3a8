import json
import xml.etree.ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.evidence import claims
from framework.evidence.claims import Claim

TEXTS = ('a.b', 'It is so.', 'Theorem 1')
WHY = {'derivation': 'O(η)'}


def equals(predicted, samples, **tolerances):
  return claims.equals(*TEXTS, predicted, samples, **tolerances, **WHY)


def within(low, high, samples):
  return claims.within(*TEXTS, low, high, samples, **WHY)


def at_most(bound, samples):
  return claims.at_most(*TEXTS, bound, samples, **WHY)


def at_least(bound, samples):
  return claims.at_least(*TEXTS, bound, samples, **WHY)


def untestable(**kwargs):
  return claims.untestable(*TEXTS, 'needs n = 10^5, has 10^3', **kwargs)


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (lambda: claims.table([], width=59), 'width is 59'),
    (lambda: claims.from_json('{}'), 'claims are a dict'),
    (lambda: claims.from_json('[{}]'), "not a claim: '{}'"),
    (lambda: claims.from_json('[NaN]'), 'NaN is not JSON'),
    (lambda: claims.from_json('['), 'line 1'),
    (
      lambda: claims.from_json(
        claims.to_json([at_most(1, 0)]).replace('holds', 'held')
      ),
      "verdict is 'held'",
    ),
  ],
)
def test_bad_input_is_refused_in_one_line(call, message):
  with pytest.raises(ValueError) as error:
    call()
  assert message in str(error.value)
  assert '\n' not in str(error.value)


def test_an_id_occurs_once():
  twice = [at_most(1, 0), at_least(1, 0)]
  text = claims.to_json(twice[:1])[:-2] + ',' + claims.to_json(twice[1:])[1:]
  for call in (
    lambda: claims.table(twice),
    lambda: claims.html_table(twice),
    lambda: claims.to_json(twice),
    lambda: claims.from_json(text),
  ):
    with pytest.raises(ValueError, match=r'claim id a\.b occurs twice'):
      call()


numbers = st.floats(allow_nan=False, allow_infinity=False)
sentences = st.text(min_size=1).filter(str.strip)
ids = sentences.map(lambda s: ''.join(s.split()) or 'x')
any_claim = st.builds(
  Claim,
  id=ids,
  statement=sentences,
  source=sentences,
  predicted=numbers | st.tuples(st.floats(), st.floats()) | st.text(),
  measured=st.floats(),
  stderr=st.floats(),
  tolerance=st.text(),
  derivation=st.text(),
  verdict=st.sampled_from(['holds', 'fails', 'not testable']),
  reason=st.text(),
  n=st.integers(0, 10**9),
)
lists_of_claims = st.lists(any_claim, max_size=4, unique_by=lambda c: c.id)


@given(lists_of_claims)
def test_json_round_trip_is_exact(some):
  text = claims.to_json(some)
  back = claims.from_json(text)
  # repr tells NaN, -0.0, and the text 'nan' from the number.
  assert list(map(repr, back)) == list(map(repr, some))
  assert claims.to_json(back) == text
  json.loads(text, parse_constant=lambda token: pytest.fail(token))


def test_equal_claims_give_equal_bytes():
  claim = equals(2, 3)
  same = claim._replace(predicted=np.float64(2), measured=3, n=np.int64(1))
  assert claims.to_json([claim]) == claims.to_json([same])
  assert '"predicted": 2.0' in claims.to_json([same])
  interval = within(1, 2, 0)
  same = interval._replace(predicted=(1, np.int64(2)))
  assert claims.to_json([interval]) == claims.to_json([same])


def test_json_for_readers_that_are_not_python():
  some = [at_most(1, [0, 1])._replace(id='η'), untestable(predicted='a number')]
  first, second = json.loads(claims.to_json(some))
  assert list(first) == list(Claim._fields)
  assert '"id": "η"' in claims.to_json(some)
  assert first['predicted'] == ['-inf', 1.0]
  assert (second['predicted'], second['measured']) == ('a number', 'nan')


@given(lists_of_claims, st.integers(60, 140))
def test_no_line_of_a_table_is_too_wide(some, width):
  lines = claims.table(some, width).splitlines()
  assert max(map(len, lines)) <= width
  hold = sum(c.verdict == 'holds' for c in some)
  fail = len(claims.failed(some))
  rest = len(some) - hold - fail
  assert lines[-1] == f'{hold} hold, {fail} fail, {rest} not testable'


def test_table():
  some = [
    equals(-2, [-1.98765, -1.98765], rtol=0.02)._replace(id='exponent'),
    within(1, 2, 3),
    untestable(predicted='grows')._replace(id='limit'),
  ]
  assert claims.table(some).splitlines() == [
    'id        kind   predicted  measured ± stderr   tolerance    verdict',
    'exponent  paper  -2         -1.988 ± 0 (n = 2)  ± 0.04       holds',
    '  It is so. [Theorem 1]',
    'a.b       paper  [1, 2]     3                   mean inside  fails',
    '  It is so. [Theorem 1]',
    '  fails: 1 above 2',
    'limit     paper  grows      -                                not testable',
    '  It is so. [Theorem 1]',
    '  not testable: needs n = 10^5, has 10^3',
    '',
    '1 hold, 1 fail, 1 not testable',
  ]
  assert claims.table([]) == '0 hold, 0 fail, 0 not testable'


def test_a_table_wraps_and_loses_nothing():
  statement = ' '.join(f'word{i}' for i in range(40))
  claim = at_most(1, 0)._replace(statement=statement, id='x' * 70)
  for width in range(60, 101):
    text = claims.table([claim], width)
    assert max(map(len, text.splitlines())) <= width
    words = text.split()
    assert [w for w in words if w.startswith('word')] == statement.split()
    assert text.count('x') == 70
  assert text == claims.table([claim])


def test_html_is_escaped_and_classed():
  evil = '<script>&"'
  some = [
    at_most(1, 0)._replace(id='a'),
    at_most(1, [2, 2])._replace(id='b', statement=evil, source=evil),
    untestable(predicted=evil)._replace(id='c<d', reason=evil),
    at_most(1, 0)._replace(id='e', tolerance=evil, derivation=evil),
  ]
  page = claims.html_table(some)
  assert '<script>' not in page
  root = xml.etree.ElementTree.fromstring(page)
  assert root.get('class') == 'claims'
  rows = root.findall('./tbody/tr')
  kinds = [row.get('class') for row in rows]
  assert kinds == ['holds', 'fails', 'not-testable', 'holds']
  assert [row.find('./td/code').text for row in rows] == ['a', 'b', 'c<d', 'e']
  assert [''.join(row.itertext()).count(evil) for row in rows] == [0, 2, 2, 2]
  cells = [''.join(cell.itertext()).strip() for cell in rows[1]]
  assert cells[1:4] == ['paper', '≤ 1', '2 ± 0 (n = 2)']
  assert cells[5] == 'fails 1 above 1'
  assert root.find('caption').text == '2 hold, 1 fail, 1 not testable'
