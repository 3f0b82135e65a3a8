import numpy as np
import pytest
import scipy.stats

from framework.evidence import survival


def test_without_censoring_it_is_the_empirical_distribution():
  event = np.array([3.0, 1.0, 2.0, 2.0, 5.0])
  found = survival.kaplan_meier(event, 9.0)
  np.testing.assert_array_equal(found.time, [0, 1, 2, 3, 5])
  np.testing.assert_allclose(
    found.survival, [1, 0.8, 0.4, 0.2, 0], rtol=1e-7, atol=0
  )
  np.testing.assert_allclose(
    found.stderr[:-1],
    np.sqrt(found.survival * (1 - found.survival) / 5)[:-1],
    rtol=1e-7,
    atol=0,
  )
  assert found.stderr[-1] == 0
  assert survival.median(found) == 2.0


def test_a_textbook_example_with_censoring():
  """6-MP arm of Freireich et al. 1963: 21 patients, weeks of remission."""
  event = [6, 6, 6, 7, 10, 13, 16, 22, 23]
  censored = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
  times = np.array(event + [np.nan] * len(censored))
  end = np.array([40] * len(event) + censored, float)
  found = survival.kaplan_meier(times, end)
  wanted = {
    6: 0.857,
    7: 0.807,
    10: 0.753,
    13: 0.690,
    16: 0.627,
    22: 0.538,
    23: 0.448,
  }
  for t, s in wanted.items():
    assert abs(found.survival[found.time == t][0] - s) < 6e-4
  assert abs(found.stderr[found.time == 10][0] - 0.0963) < 1e-4
  assert survival.median(found) == 23


def test_nobody_and_nothing():
  found = survival.kaplan_meier(np.array([np.nan, np.nan]), 5.0)
  np.testing.assert_array_equal(found.survival, [1])
  assert np.isnan(survival.median(found))
  nan = np.array([np.nan])
  assert survival.log_rank(nan, nan, 5.0) == 0
  with pytest.raises(ValueError, match='no runs'):
    survival.kaplan_meier(np.array([]), 5.0)
  with pytest.raises(ValueError, match='an event is at 6, expected by 5'):
    survival.kaplan_meier(np.array([6.0]), 5.0)


def test_the_log_rank_statistic_is_standard_normal_without_a_difference():
  rng = np.random.default_rng(0)
  z = []
  for _ in range(400):
    x = rng.exponential(1.0, (2, 40))
    x[x > 2.0] = np.nan
    z.append(survival.log_rank(x[0], x[1], 2.0))
  assert abs(np.mean(z)) < 0.15 and 0.85 < np.std(z) < 1.15
  early, late = rng.exponential(1.0, 40), rng.exponential(4.0, 40)
  assert survival.log_rank(early, late, 99.0) > 3
  assert survival.log_rank(late, early, 99.0) < -3


def test_half_is_half():
  """Twelve of 25 is less than half, 13 more; an event may be the end itself."""
  event = np.array([1.0] * 12 + [5.0] + [np.nan] * 12)
  found = survival.kaplan_meier(event, 5.0)
  np.testing.assert_allclose(
    found.survival, [1, 0.52, 0.48], rtol=1e-12, atol=0
  )
  assert survival.median(found) == 5.0


def test_the_smallest_log_rank_test():
  """One against one: 1 − ½ over √¼; the second event is certain by then."""
  assert survival.log_rank(np.array([1.0]), np.array([2.0]), 2.0) == 1.0


def test_ties_count_in_the_variance():
  """Eight runs against eight, by hand; with scipy's test for many more.

  At t = 1 it happens to 4 of 8 + 8, at t = 2 to 4 + 2 of 4 + 8:

      4 − 8·4/16 + 4 − 4·6/12 = 4,
      8·8·4·12/(16²·15) + 4·8·6·6/(12²·11) = 0.8 + 8/11

  and without the factor (n − d)/(n − 1) of ties z would be 2.62.
  """
  nan = np.nan
  one = np.array([1.0] * 4 + [2.0] * 4)
  two = np.array([2.0] * 2 + [nan] * 6)
  found = survival.log_rank(one, two, 9.0)
  np.testing.assert_allclose(
    found, 4 / np.sqrt(0.8 + 8 / 11), rtol=1e-12, atol=0
  )
  assert f'{found:.2f}' == '3.24'
  rng = np.random.default_rng(1)
  for _ in range(5):
    x = rng.integers(1, 7, (2, 12)).astype(float)
    x[x > 5] = nan
    groups = [
      scipy.stats.CensoredData(
        uncensored=g[~np.isnan(g)], right=np.full(np.isnan(g).sum(), 5.0)
      )
      for g in x
    ]
    want = scipy.stats.logrank(*groups).statistic
    np.testing.assert_allclose(
      abs(survival.log_rank(*x, 5.0)), abs(want), rtol=1e-9, atol=1e-12
    )
