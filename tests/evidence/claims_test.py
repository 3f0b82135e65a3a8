import math

import numpy as np
import pytest

from framework.evidence import claims

TEXTS = ('a.b', 'It is so.', 'Theorem 1')
WHY = {'derivation': 'O(η)'}


def equals(predicted, samples, **tolerances):
  return claims.equals(*TEXTS, predicted, samples, **tolerances, **WHY)


def within(low, high, samples, each=False):
  return claims.within(*TEXTS, low, high, samples, each=each, **WHY)


def at_most(bound, samples, each=False):
  return claims.at_most(*TEXTS, bound, samples, each=each, **WHY)


def at_least(bound, samples, each=False):
  return claims.at_least(*TEXTS, bound, samples, each=each, **WHY)


def untestable(**kwargs):
  return claims.untestable(*TEXTS, 'needs n = 10^5, has 10^3', **kwargs)


@pytest.mark.parametrize(
  ('make', 'inside', 'outside'),
  [
    (lambda x: equals(2, x, atol=0.25), [1.75, 2.25], [1.74, 2.26]),
    (lambda x: equals(-4, x, rtol=0.25), [-5, -3], [-5.01, -2.99]),
    (
      lambda x: equals(4, x, atol=0.5, rtol=0.25),
      [2.5, 5.5],
      [2.49, 5.51],
    ),
    (lambda x: equals(1.5, x), [1.5], [np.nextafter(1.5, 2)]),
    (lambda x: within(1, 2, x), [1, 1.5, 2], [0.99, 2.01]),
    (lambda x: within(1, 2, x, each=True), [1, 1.5, 2], [0.99, 2.01]),
    (lambda x: at_most(1, x), [1, -1e9], [1.001]),
    (lambda x: at_most(1, x, each=True), [1, -1e9], [1.001]),
    (lambda x: at_least(1, x), [1, 1e9], [0.999]),
    (lambda x: at_least(1, x, each=True), [1, 1e9], [0.999]),
  ],
)
def test_every_verdict_can_flip(make, inside, outside):
  for samples in inside:
    assert make(samples).verdict == 'holds'
    assert make(samples).reason == ''
  for samples in outside:
    assert make(samples).verdict == 'fails'
    assert make(samples).reason
  for samples in (math.nan, math.inf, -math.inf):
    assert make(samples).verdict == 'fails'


def test_fields():
  claim = equals(-2, [-1.9, -2.1, -1.7], atol=0.1, rtol=0.05)
  assert claim[:4] == (*TEXTS, -2.0)
  np.testing.assert_allclose(claim.measured, -1.9, rtol=1e-7, atol=0)
  np.testing.assert_allclose(
    claim.stderr, 0.2 / math.sqrt(3), rtol=1e-7, atol=0
  )
  assert (claim.tolerance, claim.derivation) == ('± 0.2', 'O(η)')
  assert (claim.verdict, claim.reason, claim.n) == ('holds', '', 3)
  assert {type(x) for x in claim} == {str, float, int, bool}
  assert (claim.kind, claim.headline) == ('paper', False)
  assert at_most(1, 0).predicted == (-math.inf, 1)
  assert at_least(1, 0).predicted == (1, math.inf)
  assert within(1, 2, 0).predicted == (1, 2)


def test_one_number_is_one_sample():
  claim = equals(1, np.float32(1))
  assert (claim.measured, claim.n) == (1, 1)
  assert math.isnan(claim.stderr)


def test_samples_of_any_shape():
  assert within(0, 5, np.arange(6.0).reshape(2, 3)).n == 6


def test_a_mean_can_hide_what_each_shows():
  samples = [0.0, 2.0, 1.0]
  assert within(0.5, 1.5, samples).verdict == 'holds'
  claim = within(0.5, 1.5, [-1, 2, 1], each=True)
  assert claim.verdict == 'fails'
  assert claim.measured == -1  # 1.5 outside; 2 is 0.5 outside
  assert math.isnan(claim.stderr)
  assert claim.reason == '2 of 3 outside, the worst 1.5 below 0.5'
  assert at_most(1.5, samples, each=True).measured == 2
  assert at_least(0.5, samples, each=True).measured == 0
  assert within(-9, 2.5, samples, each=True).measured == 2  # nearest an end


def test_reasons_have_numbers():
  assert equals(1, 1.5, atol=0.25).reason == '0.25 above 1.25'
  assert equals(1, 0.5, rtol=0.25).reason == '0.25 below 0.75'
  assert at_most(1, 3).reason == '2 above 1'
  assert at_least(1, -1).reason == '2 below 1'
  # What four digits hide, the excess shows.
  assert at_most(1, 1 + 2**-40).reason == '9.095e-13 above 1'


def test_lanes_that_are_not_finite_are_not_forgotten():
  for claim in (
    equals(1, [1, 1, math.nan]),
    within(0, 2, [1, 1, math.inf]),
    at_most(2, [1, 1, -math.inf], each=True),
  ):
    assert (claim.verdict, claim.measured, claim.n) == ('fails', 1, 2)
    assert claim.reason == '1 of 3 samples not finite'
  claim = at_least(0, [math.nan])
  assert (claim.reason, claim.n) == ('1 of 1 samples not finite', 0)
  assert math.isnan(claim.measured)


def test_what_is_not_recorded_yet_is_not_testable():
  made = [
    at_most(2, [1, math.nan]),
    at_most(2, [1, 1, math.nan], each=True),
    at_most(2, [3, 3]),
    at_most(2, [1, 1]),
  ]
  now = claims.unfinished(made, 'running')
  assert {c.verdict for c in now} == {'not testable'}
  assert [c.reason for c in now] == [
    'the run is running; so far 1 of 2 samples not finite',
    'the run is running; so far 1 of 3 samples not finite',
    'the run is running; so far 1 above 2',
    'the run is running; so far it would hold',
  ]
  assert [c.measured for c in now] == [c.measured for c in made]
  known = [untestable(), fact(1)]
  assert claims.unfinished(known, 'running') == known


def fact(value, **kwargs):
  return claims.fact(*TEXTS, value, **kwargs)


def test_a_fact_neither_holds_nor_fails():
  for value in (3, math.nan, math.inf):
    claim = fact(value, wanted='≥ 5')
    assert (claim.verdict, claim.kind) == ('fact', 'fact')
    assert claims.failed([claim]) == []
  assert '0 hold, 0 fail, 0 not testable, 1 facts' in claims.table([fact(3)])


def test_a_strict_bound_leaves_its_end_out():
  for make, end, inside in (
    (claims.at_most, 1, 0.9),
    (claims.at_least, 1, 1.1),
  ):
    for each in (False, True):
      for x, verdict in ((end, 'fails'), (inside, 'holds')):
        claim = make(*TEXTS, end, x, each=each, strict=True, **WHY)
        assert claim.verdict == verdict, (make, each, x)
        assert bool(claim.reason) == (verdict == 'fails')


@pytest.mark.parametrize('kind', ['fact', 'law', ''])
def test_a_claim_is_of_a_known_kind(kind):
  with pytest.raises(ValueError, match=r'kind is .* expected one of theorem'):
    claims.at_most(*TEXTS, 1, 0, kind=kind, **WHY)
  with pytest.raises(ValueError, match='kind is'):
    untestable(kind=kind)


@pytest.mark.parametrize('kind', claims.KINDS[:-1])
def test_kind_and_headline_are_kept(kind):
  made = [
    claims.equals(*TEXTS, 1, 1, kind=kind, headline=True, **WHY),
    claims.within(*TEXTS, 0, 1, 1, kind=kind, headline=True, **WHY),
    claims.at_most(*TEXTS, 1, 1, kind=kind, headline=True, **WHY),
    claims.at_least(*TEXTS, 1, 1, kind=kind, headline=True, **WHY),
    untestable(kind=kind, headline=True),
  ]
  assert [(c.kind, c.headline) for c in made] == [(kind, True)] * 5


def test_no_samples_never_hold():
  for each in (False, True):
    claim = at_most(1, [], each=each)
    assert (claim.verdict, claim.reason, claim.n) == ('fails', 'no samples', 0)


def test_untestable():
  claim = untestable(predicted=(1, 2))
  assert claim.verdict == 'not testable'
  assert claim.reason == 'needs n = 10^5, has 10^3'
  assert (claim.predicted, claim.n) == ((1.0, 2.0), 0)
  assert untestable().predicted == ''


def test_failed():
  good, bad = at_most(1, 0), at_most(1, 2)
  assert claims.failed([good, bad, untestable(), bad]) == [bad, bad]


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (lambda: equals(math.nan, 1), 'predicted is nan'),
    (lambda: equals(1, 1, atol=-0.1), 'atol is -0.1, expected >= 0'),
    (lambda: equals(1, 1, rtol=math.inf), 'rtol is inf'),
    (lambda: equals(1, 1, atol=math.nan), 'atol is nan'),
    (lambda: within(2, 1, 1), 'low is 2.0, expected <= high = 1.0'),
    (lambda: within(-math.inf, 1, 1), 'low is -inf'),
    (lambda: at_most(math.nan, 1), 'bound is nan'),
    (lambda: at_least(math.inf, 1), 'bound is inf'),
    (lambda: untestable(predicted=math.nan), 'predicted is nan'),
    (
      lambda: claims.untestable(*TEXTS, ' '),
      'claim a.b: reason is empty',
    ),
    (
      lambda: claims.equals(*TEXTS, 1, 1, derivation=''),
      'claim a.b: derivation is empty',
    ),
    (
      lambda: claims.at_most('a b', '', '', 1, 1, derivation='x'),
      "claim id is 'a b'",
    ),
  ],
)
def test_bad_input_is_refused_in_one_line(call, message):
  with pytest.raises(ValueError) as error:
    call()
  assert message in str(error.value)
  assert '\n' not in str(error.value)
