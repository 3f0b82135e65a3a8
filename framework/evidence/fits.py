"""Numbers out of trajectories: slopes, window rules, first-passage times.

A law is compared with a trajectory through few numbers: the exponent of a power
law (`power_law`), the rate of an exponential (`exponential`), the time at which
a level is reached (`first_passage`). Time is the last axis, leading axes are
lanes, and a record that is not finite is left out. What the number is read off
matters as much as the fit, hence the window rules. Whatever numpy makes arrays
of will do: jax arrays and lists, too.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = [
  'Estimate',
  'Fit',
  'after',
  'between_levels',
  'exponential',
  'first_passage',
  'last_decade',
  'line',
  'local_slope',
  'mean_stderr',
  'power_law',
]

_Lanes: TypeAlias = Float[np.ndarray, '*lanes']
_Series: TypeAlias = Float[np.ndarray, '*lanes n']
_Mask: TypeAlias = Bool[np.ndarray, '*lanes n']


class Fit(NamedTuple):
  """A straight line through points, one for each lane; scalars for one lane."""

  slope: _Lanes
  stderr: _Lanes  # of the slope, from the residuals
  intercept: _Lanes
  r2: _Lanes  # share of the variance; NaN for constant y
  n: Int[np.ndarray, '*lanes']  # points used


class Estimate(NamedTuple):
  """A mean over seeds."""

  mean: _Lanes
  stderr: _Lanes  # of the mean; NaN for one sample
  n: Int[np.ndarray, '*lanes']  # samples that are not NaN


def line(x: _Series, y: _Series, where: _Mask | None = None) -> Fit:
  """Ordinary least squares of y on x along the last axis.

      b = Σ (x - x̄)(y - ȳ) / Σ (x - x̄)²,
      stderr(b)² = Σ (y - a - b x)² / ((n - 2) Σ (x - x̄)²)

  The standard error is that of *independent* residuals. Those of a
  deterministic trajectory are its curvature and autocorrelated, so it says how
  straight the points are, not how uncertain the slope is: for that take
  `mean_stderr` of the slopes over seeds.

  Args:
    x: Abscissae (n,), or with the leading axes of `y`.
    y: Ordinates (..., n). Points that are not finite are left out.
    where: Points to use, boolean (..., n); all of them when None.

  Returns:
    A `Fit`; NaN (but for `n`) below 3 points or when all x are equal.

  Raises:
    ValueError: If the shapes do not fit or `where` is not boolean.

  >>> fit = line([0, 1, 2, 3], [[1, 3, 5, 7], [2, np.nan, 1, 0]])
  >>> fit.slope.round(3).tolist(), fit.n.tolist()
  ([2.0, -0.643], [4, 3])
  """
  x, y, keep = _points(x, y, where)
  n = keep.sum(-1)
  # Rounding of the mean can leave Σ (x - x̄)² > 0 for equal x: compare them.
  lowest = np.where(keep, x, np.inf).min(-1, initial=np.inf)
  highest = np.where(keep, x, -np.inf).max(-1, initial=-np.inf)
  fitted = (n >= 3) & (lowest < highest)
  with np.errstate(divide='ignore', invalid='ignore'):
    x_mean, y_mean = (np.where(keep, v, 0.0).sum(-1) / n for v in (x, y))
    dx = np.where(keep, x - x_mean[..., None], 0.0)
    dy = np.where(keep, y - y_mean[..., None], 0.0)
    sxx, syy = (dx**2).sum(-1), (dy**2).sum(-1)
    slope = (dx * dy).sum(-1) / sxx
    ssr = ((dy - slope[..., None] * dx) ** 2).sum(-1)
    stderr = np.sqrt(ssr / (n - 2) / sxx)
    numbers = (slope, stderr, y_mean - slope * x_mean, 1 - ssr / syy)
  return Fit(*(np.where(fitted, v, np.nan)[()] for v in numbers), n=n[()])


def power_law(
  t: _Series,
  y: _Series,
  window: tuple[float, float] | None = None,
  where: _Mask | None = None,
) -> Fit:
  """The exponent of a power law: slope of ln y on ln t.

      y = C t^slope,   intercept = ln C

  Args:
    t: Steps (n,), or with the leading axes of `y`; t <= 0 is left out.
    y: Values (..., n); those that are not positive are left out.
    window: (t_lo, t_hi), both inclusive; everything when None.
    where: Points to use, boolean (..., n).

  Returns:
    A `Fit`; see `line` about its standard error.

  Raises:
    ValueError: If the window is empty or shapes do not fit.

  >>> t = np.arange(1, 100)
  >>> fit = power_law(t, 3 / t**2, window=(10, 90))
  >>> print(fit.slope.round(9), np.exp(fit.intercept).round(9), fit.n)
  -2.0 3.0 81
  """
  return line(_log(t), _log(y), _in_window(t, window, where))


def exponential(
  t: _Series,
  y: _Series,
  window: tuple[float, float] | None = None,
  where: _Mask | None = None,
) -> Fit:
  """The rate of an exponential: slope of ln y on t.

      y = C e^(slope t),   intercept = ln C

  Args:
    t: Steps (n,), or with the leading axes of `y`.
    y: Values (..., n); those that are not positive are left out.
    window: (t_lo, t_hi), both inclusive; everything when None.
    where: Points to use, boolean (..., n).

  Returns:
    A `Fit` with the slope per step; see `line` about its standard error.

  Raises:
    ValueError: If the window is empty or shapes do not fit.

  >>> t = np.arange(50)
  >>> print(exponential(t, 5 * 0.9**t).slope.round(9), np.log(0.9).round(9))
  -0.105360516 -0.105360516
  """
  return line(t, _log(y), _in_window(t, window, where))


def last_decade(t: _Series) -> tuple[float, float]:
  """The window (T/10, T) of the last factor of ten of time.

  Args:
    t: Steps, any shape; T is the largest.

  Returns:
    (T/10, T).

  Raises:
    ValueError: If T is not positive.

  >>> last_decade([0, 1, 50, 100])
  (10.0, 100.0)
  """
  end = float(np.max(np.asarray(t, np.float64), initial=-np.inf))
  if not 0 < end < np.inf:
    raise ValueError(f'the last step is {end}, expected finite and > 0')
  return end / 10, end


def after(t: _Series, t0: float | _Lanes) -> _Mask:
  """The mask t >= t0, for a start that differs between lanes.

  Args:
    t: Steps (n,), or (..., n).
    t0: The start of each lane, a scalar or (...); NaN is never.

  Returns:
    Boolean (..., n).

  >>> after([0, 5, 9], [5, np.nan]).tolist()
  [[False, True, True], [False, False, False]]
  """
  return np.asarray(t) >= np.asarray(t0, np.float64)[..., None]


def between_levels(
  y: _Series, high: float | _Lanes, low: float | _Lanes
) -> _Mask:
  """The mask of the first passage of y from one level down to another.

  From the first record with y <= high until the last before y first falls below
  `low`: past the transient, above the floor of rounding errors. What y does
  after that, or above `high` meanwhile, changes nothing.

  Args:
    y: Values (..., n); NaN is masked and ends no passage.
    high: Level where the window begins, a scalar or one a lane (...).
    low: Level where it ends.

  Returns:
    Boolean (..., n); all False where `high` is never reached.

  Raises:
    ValueError: If a `low` is not below its `high`.

  >>> between_levels([9, 4, 2, 5, 1, 0.1, 3], high=4, low=1).nonzero()
  (array([1, 2, 3, 4]),)
  """
  y, high, low = (np.asarray(v, np.float64) for v in (y, high, low))
  if np.any(low >= high):
    raise ValueError(f'low is {low}, expected below high, which is {high}')
  begun = np.logical_or.accumulate(y <= high[..., None], -1)
  ended = np.logical_or.accumulate(y < low[..., None], -1)
  return begun & ~ended & ~np.isnan(y)


def local_slope(
  t: Float[np.ndarray, ' n'], y: _Series, ratio: float = 2.0
) -> tuple[Float[np.ndarray, ' m'], Float[np.ndarray, '*lanes m']]:
  """The log-log slope over each octave, to plot against time.

      s_j = ln(y_k / y_j) / ln(t_k / t_j),   k the first with t_k >= ratio t_j

  Args:
    t: Increasing steps (n,); t <= 0 is left out.
    y: Values (..., n).
    ratio: Factor of time to take a slope over, at least 1; 1 is the next
      record.

  Returns:
    (√(t_j t_k) (m,), s_j (..., m)), NaN where a value is not positive.

  Raises:
    ValueError: If `t` is not increasing or `ratio` is below 1.

  >>> middle, slope = local_slope([0, 1, 2, 4], [9, 16, 4, 1])
  >>> print(middle.round(3), slope)
  [1.414 2.828] [-2. -2.]
  """
  if not ratio >= 1:
    raise ValueError(f'ratio is {ratio}, expected >= 1')
  t, y = _increasing(t, y)
  t, y = t[t > 0], y[..., t > 0]
  first = np.arange(len(t))
  second = np.maximum(np.searchsorted(t, ratio * t), first + 1)
  first, second = first[second < len(t)], second[second < len(t)]
  rise = _log(y[..., second]) - _log(y[..., first])
  run = np.log(t[second]) - np.log(t[first])
  return np.sqrt(t[first] * t[second]), rise / run


def first_passage(
  t: Float[np.ndarray, ' n'], y: _Series, level: float | _Lanes
) -> _Lanes:
  """The first time at which y <= level, interpolated between records.

      t* = t_i + (t_j - t_i) ln(y_i / level) / ln(y_i / y_j),   i = j - 1,

  with j the first record at or below the level: linear in t and logarithmic in
  y, so exact for an exponential, and t_j where y_j = level. Where y_i or y_j
  has no finite logarithm (an exact zero, a NaN before), t* = t_j.

  Args:
    t: Increasing steps (n,).
    y: Values (..., n).
    level: The level, > 0, a scalar or one a lane (...).

  Returns:
    t* (...); NaN where the level is never reached, so that it is not mistaken
    for a time, and t_0 where y starts at or below it.

  Raises:
    ValueError: If a level is not positive or `t` is not increasing.

  >>> first_passage([0, 2, 4], [[8, 2, 1], [8, 7, 6]], level=4).tolist()
  [1.0, nan]
  """
  level = np.asarray(level, np.float64)
  if np.any(level <= 0):
    raise ValueError(f'level is {level}, expected > 0')
  t, y = _increasing(t, y)
  y, below = np.broadcast_arrays(y, y <= level[..., None])
  j = below.argmax(-1)
  i = np.maximum(j - 1, 0)
  y_i, y_j = (
    np.take_along_axis(y, index[..., None], -1)[..., 0] for index in (i, j)
  )
  with np.errstate(divide='ignore', invalid='ignore'):
    part = (_log(y_i) - np.log(level)) / (_log(y_i) - _log(y_j))
    passed = t[i] + (t[j] - t[i]) * part
  passed = np.where(np.isfinite(part) & (y_j != level), passed, t[j])
  return np.where(below.any(-1), passed, np.nan)[()]


def mean_stderr(
  samples: float | Float[np.ndarray, '...'], axis: int = -1
) -> Estimate:
  """Mean and standard error over seeds, leaving out NaN.

      stderr² = Σ (x - x̄)² / (n (n - 1))

  Args:
    samples: One value a seed; a scalar is one sample.
    axis: The axis of seeds.

  Returns:
    An `Estimate`, without `axis`.

  >>> mean_stderr([1.0, 2.0, 3.0, np.nan])
  Estimate(mean=np.float64(2.0), stderr=np.float64(0.577...), n=np.int64(3))
  """
  x = np.moveaxis(np.atleast_1d(np.asarray(samples, np.float64)), axis, -1)
  keep = ~np.isnan(x)
  n = keep.sum(-1)
  with np.errstate(divide='ignore', invalid='ignore'):
    mean = np.where(keep, x, 0.0).sum(-1) / n
    # A second pass takes out the rounding of the first: the mean of equal
    # samples is that sample.
    rest = np.where(keep, x - mean[..., None], 0.0).sum(-1) / n
    mean = np.where(np.isfinite(rest), mean + rest, mean)
    squares = np.where(keep, (x - mean[..., None]) ** 2, 0.0).sum(-1)
    stderr = np.where(n > 1, np.sqrt(squares / (n - 1) / n), np.nan)
  return Estimate(mean[()], stderr[()], n[()])


def _points(
  x: _Series, y: _Series, where: _Mask | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Both series and which points of them are used, of one shape."""
  x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
  keep = np.asarray(True if where is None else where)
  if keep.dtype != bool:
    raise ValueError(f'where has dtype {keep.dtype}, expected bool')
  if not x.ndim or not y.ndim or x.shape[-1] != y.shape[-1]:
    raise ValueError(f'shapes {x.shape} and {y.shape}: the last axes differ')
  keep = keep & np.isfinite(x) & np.isfinite(y)
  return np.broadcast_to(x, keep.shape), np.broadcast_to(y, keep.shape), keep


def _in_window(
  t: _Series, window: tuple[float, float] | None, where: _Mask | None
) -> _Mask | None:
  """Which points lie in the window and are wanted; None is all of them."""
  if window is None:
    return where
  low, high = window
  if not low <= high:
    raise ValueError(f'window is {window}, expected (t_lo, t_hi), t_lo <= t_hi')
  t = np.asarray(t)
  inside = (t >= low) & (t <= high)
  return inside if where is None else inside & np.asarray(where)


def _increasing(t: _Series, y: _Series) -> tuple[np.ndarray, np.ndarray]:
  """Both as float64, with the times (n,) checked."""
  t, y = np.asarray(t, np.float64), np.asarray(y, np.float64)
  if t.ndim != 1 or not t.size or y.shape[-1:] != t.shape:
    raise ValueError(f't has shape {t.shape}, expected (n,) for y {y.shape}')
  if not np.all(np.diff(t) > 0):
    j = int(np.argmin(np.diff(t) > 0)) + 1
    raise ValueError(
      f't[{j}] is {t[j]}, expected above t[{j - 1}] = {t[j - 1]}'
    )
  return t, y


def _log(y: _Series) -> np.ndarray:
  """The logarithm, NaN where y <= 0."""
  y = np.asarray(y, np.float64)
  return np.log(np.where(y > 0, y, np.nan))
