import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from framework.evidence import fits


def test_line_agrees_with_scipy():
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(2, 30))
  got, want = fits.line(x, y), scipy.stats.linregress(x, y)
  np.testing.assert_allclose(
    [got.slope, got.stderr, got.intercept, got.r2],
    [want.slope, want.stderr, want.intercept, want.rvalue**2],
    rtol=1e-12,
    atol=0,
  )
  assert got.n == 30


def test_stderr_in_closed_form():
  # y = x with an error of ±s that is orthogonal to 1 and x.
  x = np.array([0.0, 1.0, 2.0, 3.0])
  fit = fits.line(x, x + 0.1 * np.array([1, -1, -1, 1]))
  np.testing.assert_allclose(fit.slope, 1.0, rtol=1e-14, atol=0)
  # Σ e² = 4 s², n - 2 = 2, Σ (x - 1.5)² = 5
  np.testing.assert_allclose(
    fit.stderr, 0.1 * np.sqrt(2 / 5), rtol=1e-13, atol=0
  )


@pytest.mark.parametrize('noise', [0.01, 1.0])
def test_stderr_covers_the_truth_95_times_of_100(noise):
  rng = np.random.default_rng(1)
  x, n, trials = np.arange(12.0), 12, 4000
  y = 3 - 0.5 * x + noise * rng.normal(size=(trials, n))
  fit = fits.line(x, y)
  inside = abs(fit.slope + 0.5) <= scipy.stats.t.ppf(0.975, n - 2) * fit.stderr
  # A binomial of 4000 trials has a standard deviation of 0.0034.
  assert abs(inside.mean() - 0.95) < 4 * 0.0034
  np.testing.assert_allclose(
    fit.slope.std(), noise / np.sqrt(143), rtol=0.05, atol=0
  )


@pytest.mark.parametrize('offset', [0.0, 1e9])
def test_an_offset_of_x_costs_no_accuracy(offset):
  x = np.arange(9.0)
  np.testing.assert_allclose(
    fits.line(x + offset, 2 * x).slope, 2, rtol=1e-12, atol=0
  )


def test_left_out_points_are_as_if_they_were_not_there():
  rng = np.random.default_rng(2)
  x, y = rng.normal(size=(2, 20))
  where = rng.random(20) < 0.7
  bad = y.copy()
  bad[~where] = rng.choice([np.nan, np.inf, 1e300, -7], (~where).sum())
  want = fits.line(x[where], y[where])
  np.testing.assert_allclose(fits.line(x, bad, where), want, rtol=1e-13, atol=0)
  gone = np.where(where, y, np.nan)
  np.testing.assert_allclose(fits.line(x, gone), want, rtol=1e-13, atol=0)
  gone[0] = -np.inf
  assert fits.line(x, gone).n == (where[1:]).sum()


@pytest.mark.parametrize('n', [0, 1, 2])
def test_fewer_than_three_points_are_nan(n):
  fit = fits.line(np.arange(5.0), np.where(np.arange(5) < n, 1.0, np.nan))
  assert fit.n == n
  assert np.isnan(fit[:4]).all()
  assert fits.line([], []).n == 0


def test_equal_x_have_no_slope_and_constant_y_no_r2():
  assert np.isnan(fits.line(np.full(7, 0.1), np.arange(7)).slope)
  fit = fits.line(np.arange(7), np.full(7, 2.0))
  assert (fit.slope, fit.stderr, fit.intercept) == (0, 0, 2)
  assert np.isnan(fit.r2)


def test_batch_is_a_loop():
  rng = np.random.default_rng(3)
  t = np.arange(1, 41)
  y = rng.lognormal(size=(2, 3, 40))
  y[0, 1, 5:] = np.nan
  y[1, 2, 7] = 0
  where = rng.random((2, 3, 40)) < 0.8
  level = np.array([[0.5, 0.3, 2.0], [1e-9, 0.4, 0.2]])
  functions = {
    'power_law': lambda y, w, level: fits.power_law(t, y, (3, 30), w),
    'exponential': lambda y, w, level: fits.exponential(t, y, where=w),
    'between': lambda y, w, level: fits.between_levels(y, level, level / 4),
    'after': lambda y, w, level: fits.after(t, 9 * level),
    'first_passage': lambda y, w, level: fits.first_passage(t, y, level),
    'local_slope': lambda y, w, level: fits.local_slope(t, y)[1],
    'mean_stderr': lambda y, w, level: fits.mean_stderr(y),
  }
  for name, f in functions.items():
    batch = f(y, where, level)
    for i in np.ndindex(2, 3):
      one = f(y[i], where[i], level[i])
      got = [b[i] for b in batch] if isinstance(one, tuple) else batch[i]
      np.testing.assert_array_equal(got, one, err_msg=name)
      assert np.shape(one) == np.shape(got)


@given(exponent=st.floats(-4, 4), scale=st.floats(1e-20, 1e20))
def test_exact_power_laws(exponent, scale):
  t = np.arange(1001)
  y = scale * np.where(t > 0, t, 1.0) ** exponent
  fit = fits.power_law(t, y)
  assert fit.n == 1000  # t = 0 has no logarithm
  np.testing.assert_allclose(fit.slope, exponent, atol=1e-12, rtol=0)
  np.testing.assert_allclose(fit.intercept, np.log(scale), atol=1e-11, rtol=0)
  assert fit.stderr < 1e-12


@given(rate=st.floats(-0.5, 0.5), scale=st.floats(1e-20, 1e20))
def test_exact_exponentials(rate, scale):
  t = np.arange(200)
  fit = fits.exponential(t, scale * np.exp(rate * t))
  np.testing.assert_allclose(fit.slope, rate, atol=1e-13, rtol=0)
  np.testing.assert_allclose(fit.intercept, np.log(scale), atol=1e-11, rtol=0)


def test_a_fit_is_of_logarithms_to_the_base_e():
  rng = np.random.default_rng(4)
  t = np.arange(1, 60)
  y = t**-1.5 * rng.lognormal(sigma=0.1, size=59)
  want = scipy.stats.linregress(np.log(t), np.log(y))
  fit = fits.power_law(t, y)
  np.testing.assert_allclose(
    [fit.slope, fit.stderr], [want.slope, want.stderr], rtol=1e-7, atol=0
  )
  want = scipy.stats.linregress(t, np.log(y))
  fit = fits.exponential(t, y)
  np.testing.assert_allclose(
    [fit.slope, fit.stderr], [want.slope, want.stderr], rtol=1e-7, atol=0
  )


def test_windows_are_inclusive_and_joined_with_where():
  t = np.arange(1, 101)
  y = np.where((t >= 10) & (t <= 50), t**-2.0, 1.0)
  fit = fits.power_law(t, y, window=(10, 50))
  assert fit.n == 41
  np.testing.assert_allclose(fit.slope, -2, rtol=1e-12, atol=0)
  assert fits.exponential(t, y, window=(10, 50), where=t % 2 == 0).n == 21
  assert fits.power_law(t, y, window=fits.last_decade(t)).n == 91


def test_what_is_not_positive_is_left_out():
  t = np.arange(1, 11)
  y = np.exp(-1.0 * t)
  y[[2, 5]] = 0, -1
  fit = fits.exponential(t, y)
  assert fit.n == 8
  np.testing.assert_allclose(fit.slope, -1, rtol=1e-13, atol=0)


def test_last_decade():
  assert fits.last_decade([0, 30]) == (3.0, 30.0)
  for t in ([], [0], [1, np.nan]):
    with pytest.raises(ValueError, match='the last step is'):
      fits.last_decade(t)


def test_after_is_inclusive_and_per_lane():
  t = np.arange(4)
  np.testing.assert_array_equal(fits.after(t, 2), [False, False, True, True])
  mask = fits.after(t, [1, np.nan, -3])
  np.testing.assert_array_equal(mask.sum(-1), [3, 0, 4])


def test_between_levels_is_the_first_passage():
  def window(y, high=1e-2, low=1e-4):
    return fits.between_levels(np.array(y), high, low).nonzero()[0].tolist()

  assert window([1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-3]) == [1, 2, 3]
  assert window([1, 1e-3, 1, 1e-3, 0, 1e-3]) == [1, 2, 3]  # noise above high
  assert window([1, 1e-3, np.nan, 1e-3]) == [1, 3]
  assert window([1, 1e-5, 1e-3]) == []  # fell through both at once
  assert window([1, 1]) == []
  assert window([1e-3, 1e-3]) == [0, 1]  # never below low


def test_the_window_of_linear_convergence_avoids_the_floor():
  t = np.arange(400)
  y = np.exp(-0.2 * t) * (1 + 5 * np.exp(-t / 8)) + 1e-26
  mask = fits.between_levels(y, 1e-8, 1e-22)
  np.testing.assert_allclose(
    fits.exponential(t, y, where=mask).slope, -0.2, rtol=1e-3, atol=0
  )
  assert abs(fits.exponential(t, y).slope + 0.2) > 0.02


def test_local_slope_of_a_broken_power_law():
  t = np.array([0, 1, 2, 4, 8, 16])
  y = np.where(t <= 4, 16.0 * np.maximum(t, 1) ** -1.0, 64.0 / t.clip(1) ** 2)
  middle, slope = fits.local_slope(t, y)
  np.testing.assert_allclose(
    middle, np.sqrt(2) * np.array([1, 2, 4, 8]), rtol=1e-7, atol=0
  )
  np.testing.assert_allclose(slope, [-1, -1, -2, -2], rtol=1e-14, atol=0)
  y[2] = 0
  np.testing.assert_array_equal(
    np.isnan(fits.local_slope(t, y)[1]), [True, True, False, False]
  )


def test_local_slope_over_neighbours_or_octaves():
  t = np.arange(1, 11)
  assert len(fits.local_slope(t, t, ratio=1)[0]) == 9
  middle, slope = fits.local_slope(t, t**2.0)
  np.testing.assert_allclose(
    middle, np.sqrt(2) * np.arange(1, 6), rtol=1e-7, atol=0
  )
  np.testing.assert_allclose(slope, 2, rtol=1e-14, atol=0)


@given(
  rate=st.floats(0.01, 3),
  level=st.floats(1e-20, 0.99),
  gaps=st.lists(st.integers(1, 50), min_size=1, max_size=20),
)
def test_the_passage_of_an_exponential_is_exact(rate, level, gaps):
  t = np.concatenate([[0], np.cumsum(gaps)])
  want = -np.log(level) / rate
  got = fits.first_passage(t, np.exp(-rate * t), level)
  if want < t[-1] * (1 - 1e-9) and rate * t[-1] < 700:
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
  elif want > t[-1] * (1 + 1e-9):
    assert np.isnan(got)


def test_first_passage_is_between_the_records_around_it():
  """100 at 0, 10 at 1, 8 at 2, 1 at 3: 4 is a third of the way from 2 to 3."""
  found = fits.first_passage([0, 1, 2, 3], [100, 10, 8, 1], 4)
  np.testing.assert_allclose(found, 2 + 1 / 3, rtol=1e-14, atol=0)


def test_first_passage_at_a_record_is_that_record():
  t = np.array([0.1, 0.3, 0.9])  # 0.3 + (0.9 - 0.3) is not 0.9
  y = [3.0, 1.1, 0.3]
  assert [fits.first_passage(t, y, level) for level in y] == t.tolist()
  assert fits.first_passage(t, y, 5.0) == 0.1


@pytest.mark.parametrize('y', [[1, 0], [np.nan, 0.1], [np.inf, 0.1], [1, -1]])
def test_first_passage_without_a_logarithm_is_the_record(y):
  assert fits.first_passage([0, 8], y, 0.5) == 8


def test_only_the_first_passage_counts():
  y = [4, 1, 4, 1, np.nan]
  np.testing.assert_allclose(
    fits.first_passage(range(5), y, 2), 0.5, rtol=1e-7, atol=0
  )
  assert np.isnan(fits.first_passage(range(5), y, 0.5))
  got = fits.first_passage(range(5), y, [2, 0.5, np.nan])
  np.testing.assert_allclose(got, [0.5, np.nan, np.nan], rtol=1e-7, atol=0)


def test_mean_stderr_agrees_with_scipy():
  x = np.random.default_rng(5).normal(size=(3, 8))
  got = fits.mean_stderr(x, axis=0)
  np.testing.assert_allclose(got.mean, x.mean(0), rtol=1e-7, atol=0)
  np.testing.assert_allclose(
    got.stderr, scipy.stats.sem(x, axis=0), rtol=1e-7, atol=0
  )
  np.testing.assert_array_equal(got.n, np.full(8, 3))


def test_mean_stderr_counts_what_is_not_nan():
  got = fits.mean_stderr([[1, 3, np.nan], [5, np.nan, np.nan], [np.nan] * 3])
  np.testing.assert_array_equal(got.mean, [2, 5, np.nan])
  np.testing.assert_array_equal(got.stderr, [1, np.nan, np.nan])
  np.testing.assert_array_equal(got.n, [2, 1, 0])
  assert fits.mean_stderr(4.0)[::2] == (4.0, 1)
  assert fits.mean_stderr([np.inf, 1]).mean == np.inf


@given(st.floats(-1e100, 1e100), st.integers(2, 40))
def test_the_mean_of_equal_samples_is_that_sample(x, n):
  got = fits.mean_stderr(np.full(n, x))
  assert got == (x, 0, n)


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (lambda: fits.line([1, 2], [1, 2, 3]), 'the last axes differ'),
    (lambda: fits.line(1, 2), 'the last axes differ'),
    (lambda: fits.line([1, 2], [1, 2], [1, 0]), 'int64, expected bool'),
    (
      lambda: fits.power_law([1, 2], [1, 2], (0, 9), np.array([1, 0])),
      'int64, expected bool',
    ),
    (lambda: fits.power_law([1], [1], window=(2, 1)), r'window is \(2, 1\)'),
    (lambda: fits.power_law([1], [1], window=(1, np.nan)), 'window is'),
    (lambda: fits.between_levels([1], 1e-9, 1e-8), 'low is 1e-08'),
    (lambda: fits.local_slope([1, 2], [1, 2], ratio=0.5), 'ratio is 0.5'),
    (lambda: fits.local_slope([1, 3, 2], [1, 2, 3]), r't\[2\] is 2.0'),
    (lambda: fits.first_passage([1, 1], [2, 1], 1), r't\[1\] is 1.0'),
    (lambda: fits.first_passage([1, 2, 3], [2, 1], 1), r'expected \(n,\)'),
    (lambda: fits.first_passage([1, 2], [2, 1], 0), 'level is 0.0'),
  ],
)
def test_bad_input_is_refused_in_one_line(call, message):
  with pytest.raises(ValueError, match=message) as error:
    call()
  assert '\n' not in str(error.value)
