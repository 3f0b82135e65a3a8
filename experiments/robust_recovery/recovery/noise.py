"""Dense Gaussian noise: the early-stopped error does not depend on k."""

import numpy as np
from xarray import Dataset

from configs.robust_recovery import Config
from experiments.robust_recovery.recovery import drawing, gates, runs
from experiments.robust_recovery.recovery.runs import PAPER, Lanes
from framework.evidence.claims import Claim, at_least, within
from framework.evidence.gates import Gate, gate
from framework.launch import Figures, Variant
from framework.systems.matrix_sensing import theory


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on the least error over time, and on what comes after it."""
  lanes = Lanes(config, ds)
  with np.errstate(invalid='ignore'):
    least = np.where(np.isnan(lanes.error).any(1), np.nan, lanes.error.min(1))
  return [_law(lanes, least), _agnostic(lanes, least), _later(lanes, least)]


def _oracle(lanes: Lanes) -> np.ndarray:
  """Error of an oracle's fit of rank r, relative."""
  n, r = lanes.config.n, lanes.config.r
  # The median, or the sign, of Gaussian residuals costs π/2 in variance.
  loss = np.where(lanes.given('objective') == 'absolute', np.sqrt(np.pi / 2), 1)
  found = theory.oracle_error(lanes.given('size'), n, r, lanes.given('m'))
  return loss * np.asarray(found) / lanes.norm


def _noisy(lanes: Lanes) -> Gate:
  steps, c = lanes.config.steps, lanes.given('eta')
  # Far from the truth and near it, residuals are Gaussian: c is the step.
  growth = np.log(1 / lanes.given('alpha')) / (c * lanes.sigma[:, -1])
  growth = growth * np.sqrt(1 + (lanes.given('size') / lanes.norm) ** 2)
  quantile = np.isin(lanes.given('schedule'), ('median', 'quantile', 'tracker'))
  oracle = _oracle(lanes)
  return gate(
    gates.spoilt_by(lanes, 'dense'),
    (
      np.isin(lanes.given('objective'), ('absolute', 'huber')) & quantile,
      'the law is of the sub-gradient method with steps by a quantile',
    ),
    gates.fits_truth(lanes),
    (lanes.given('start') == 'spectral', 'the start is not spectral'),
    (c * lanes.sigma[:, 0] < 1, 'the step is beyond the edge of stability'),
    (lanes.given('alpha') <= 1e-3, 'alpha is above 1e-3: it is no small start'),
    (oracle >= 1e-3, 'the noise is too small to stop at'),
    (oracle <= 0.3, 'the noise hides the weakest direction of the truth'),
    (2 * growth <= steps, f'T = {steps} is too short'),
    (
      np.diff(lanes.t).max() * c * lanes.sigma[:, -1] <= 1,
      'too few records for a minimum over time',
    ),
  )


def _law(lanes: Lanes, least: np.ndarray) -> Claim:
  return _noisy(lanes).claim(
    within,
    'oracle',
    'stopped early, the error is that of an oracle that knows r: over '
    'size √(π r(2n − r + 1)/4m)',
    f'{PAPER}: of the order of size √(nr/m)',
    0.4,
    1.6,
    samples=least / _oracle(lanes),
    each=True,
    derivation='√(π/2) at most between the mean and the median of noise; a '
    'quarter for the scatter of one draw',
    kind='paper',
    headline=True,
  )


def _agnostic(lanes: Lanes, least: np.ndarray) -> Claim:
  can = _noisy(lanes)
  tested = lanes.over('k', np.broadcast_to(can.can, lanes.size))
  values = lanes.over('k', least)
  largest = np.where(tested, values, -np.inf).max(0)
  smallest = np.where(tested, values, np.inf).min(0)
  with np.errstate(divide='ignore', invalid='ignore'):
    ratio = largest / smallest
  why = 'fewer than two values of k that can show it'
  return gate(
    (tested.sum(0) >= 2, f'{can.why}; {why}' if can.why else why)
  ).claim(
    within,
    'agnostic',
    'stopped early, the error does not depend on k: largest over least',
    PAPER,
    1.0,
    1.1,
    samples=ratio,
    each=True,
    derivation='columns beyond r are still small when the truth is fitted; a '
    'tenth for those of noise that is large',
    kind='paper',
    headline=True,
  )


def _later(lanes: Lanes, least: np.ndarray) -> Claim:
  steps, c = lanes.config.steps, lanes.given('eta')
  n, r, k = lanes.config.n, lanes.config.r, lanes.given('k')
  # A direction of noise, of size 2 size/√m · √n/√2, grows from α to its square
  # root; it has to be there.
  edge = lanes.given('size') * np.sqrt(2 * n / lanes.given('m'))
  grown = np.log(np.sqrt(edge) / lanes.given('alpha')) / (c * edge)
  alone = theory.oracle_error(1.0, n, r, lanes.given('m'))
  more = np.asarray(theory.oracle_error(1.0, n, k, lanes.given('m'))) / alone
  with np.errstate(divide='ignore', invalid='ignore'):
    ratio = lanes.last / least
  return gate(
    _noisy(lanes),
    (more >= 1.3, 'k is too near r for its noise to be seen'),
    (2 * grown <= steps, f'T = {steps} is too short for noise to grow'),
  ).claim(
    at_least,
    'later',
    'control: run on, columns beyond r fit noise: the error at T over the '
    'least',
    'derived: a fit of rank k takes up more of the noise, √(k(2n − k + 1))',
    1.1,
    samples=ratio,
    each=True,
    derivation='a third of the excess of a whole fit, which noise is on its '
    'way to',
    kind='theorem',
  )


def figures(config: Config, ds: Dataset) -> Figures:
  """Trajectories for each size of the noise."""
  from framework.evidence import figures as plotting

  every = Lanes(config, ds)
  sizes, ks = every.values('size'), every.values('k')
  fig, axes = plotting.figure(
    'double', ncols=len(sizes), sharey=True, height=2.6
  )
  axes = np.atleast_1d(axes)
  colors = plotting.palette(range(len(ks)))
  for ax, size in zip(axes, sizes, strict=True):
    for k, color in zip(ks, colors, strict=True):
      lanes = every.at(size=size, k=k)
      plotting.lanes(ax, lanes.t, lanes.error, f'$k={k:g}$', color)
    level = float(_oracle(every.at(size=size))[0])
    ends = np.array([0.0, float(config.steps)])
    plotting.law(ax, ends, np.full(2, level), 'oracle')
    ax.set(yscale='log', title=rf'noise $\nu={size:g}$', xlabel='steps $t$')
  axes[0].set_ylabel(drawing.ERROR)
  plotting.legend(axes[0])
  return {
    'noise': (
      fig,
      f'Gaussian noise in all of m = {config.m} measurements. The least error '
      'over time does not depend on the number k of columns; run on, columns '
      'beyond r fit the noise.',
    )
  }


VARIANT = Variant(runs.arm, runs.times, claims, figures)
