"""Traces of asymptotes against an independent reference."""

import pathlib

import numpy as np
import pytest

from framework.evidence.scaling import trace

GOLDEN = np.load(
  pathlib.Path(__file__).parents[2] / 'golden' / 'spectrum' / 'trace.npz'
)


def stored(case):
  g = {x: GOLDEN[f'trace_{case}_{x}'] for x in ('i', 'c', 'a', 'b', 'x', 'sse')}
  at_last = g['c'] - g['a'] * g['x'][g['i'] - 1] ** -g['b']
  return trace.Trace(g['i'], g['c'], at_last, g['sse'])


@pytest.mark.parametrize('case', ['noisy', 'twopow', 'sgd'])
def test_levels_and_stops(case):
  """Of the reference's own fits: the rules alone."""
  given = stored(case)
  level = trace.prediction_level(given)
  assert level == GOLDEN[f'trace_{case}_level']
  for tau, with_level, without in zip(
    GOLDEN[f'trace_{case}_stop_taus'],
    GOLDEN[f'trace_{case}_stop'],
    GOLDEN[f'trace_{case}_stop_nolevel'],
    strict=True,
  ):
    assert trace.proximity_stop(given, tau, level) == with_level
    assert trace.proximity_stop(given, tau) == without


@pytest.mark.slow
@pytest.mark.parametrize('case', ['noisy', 'clean', 'twopow', 'sgd'])
def test_asymptotes_are_those_of_the_reference(case):
  x, y = GOLDEN[f'trace_{case}_x'], GOLDEN[f'trace_{case}_y']
  found = trace.asymptotes(x, y)
  wanted = stored(case)
  slack = 1e-12 * np.sum(y**2)
  assert np.all(found.sse <= wanted.sse * (1 + 1e-6) + slack)
  # Short prefixes have flat valleys: c is known where b is not near 0.
  known = (GOLDEN[f'trace_{case}_b'] > 0.1) & (wanted.points >= 10)
  np.testing.assert_allclose(
    found.asymptote[known], wanted.asymptote[known], rtol=1e-3, atol=0
  )


def test_a_prefix_too_short_is_refused():
  with pytest.raises(ValueError, match=r'first is 3, expected in \(3, 8\]'):
    trace.asymptotes(np.arange(1.0, 9), np.arange(8.0), first=3)
