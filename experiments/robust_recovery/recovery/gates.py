"""Gates: what the settings of this experiment can show.

Recovery needs measurements enough. Where the transition is, is a law of its own
(`phase_outliers`); a factor above it nothing is left to chance.
"""

from typing import Any

import numpy as np

from experiments.robust_recovery.recovery.runs import Lanes

__all__ = [
  'ENOUGH',
  'fits_truth',
  'follows',
  'of_light_tails',
  'recovers',
  'spoilt_by',
]

ENOUGH = 6.0  # of `Lanes.evidence`; the transition is near 3.5


def spoilt_by(lanes: Lanes, *noises: str) -> tuple[Any, str]:
  """Whether the noise is one of these."""
  return (
    np.isin(lanes.given('noise'), noises),
    f'the law is of the noise {" or ".join(noises)}',
  )


def fits_truth(lanes: Lanes) -> tuple[Any, str]:
  """Whether the factor has as many columns as the truth has directions."""
  r = lanes.config.r
  return lanes.given('k') >= r, f'k < r = {r}: the truth cannot be fitted'


def of_light_tails(lanes: Lanes) -> tuple[Any, str]:
  """Whether a measurement of a matrix is about as a Gaussian number is."""
  return (
    np.isin(lanes.given('ensemble'), ('gaussian', 'rademacher')),
    'Sign-RIP is of independent entries; products of vectors have heavy tails',
  )


def follows(lanes: Lanes) -> list[tuple[Any, str]]:
  """Needs of a step that a quantile of the residuals sets, below breakdown."""
  by_quantile = np.isin(
    lanes.given('schedule'), ('median', 'quantile', 'tracker')
  )
  median = lanes.given('schedule') == 'median'
  level = np.where(median, 0.5, lanes.given('level'))
  fast = lanes.pace * lanes.sigma[:, 0] < 1
  return [
    of_light_tails(lanes),
    (lanes.given('objective') == 'absolute', 'the law is of the absolute loss'),
    (by_quantile, 'the law is of steps set by a quantile of the residuals'),
    # A tenth to spare: shares are drawn, and the quantile runs away slowly.
    (
      level < 0.9 * (1 - lanes.spoilt),
      'the quantile is one of outliers: p is beyond 1 − level',
    ),
    (fast, 'the step is beyond the edge of stability'),
  ]


def recovers(lanes: Lanes, folds: float) -> list[tuple[Any, str]]:
  """Needs of arriving at e^-folds of the truth by T."""
  evidence = lanes.evidence
  # Of the rate without noise of sampling, what a matrix of this shape leaves.
  share = np.square(1 - 1 / np.sqrt(np.maximum(evidence, 1.01)))
  with np.errstate(invalid='ignore'):
    speed = share * lanes.pace * lanes.sigma[:, -1]
    needed = 1.5 * lanes.growth + folds / np.maximum(speed, 1e-12)
  steps = lanes.config.steps
  return [
    *follows(lanes),
    fits_truth(lanes),
    (
      evidence >= ENOUGH,
      'too few measurements: m(1 − p)² is below '
      f'{ENOUGH:g} times the numbers to be found',
    ),
    (needed <= steps, f'T = {steps} is too short'),
  ]
