"""Exact recovery under outliers, whatever the number of columns."""

import numpy as np
from xarray import Dataset

from configs.robust_recovery import Config
from experiments.robust_recovery.recovery import drawing, gates, runs
from experiments.robust_recovery.recovery.runs import PAPER, Lanes
from framework.evidence.claims import Claim, at_least, at_most, within
from framework.evidence.gates import Gate, gate
from framework.launch import Figures, Variant
from framework.systems.matrix_sensing import theory

_EXACT = 1e-12  # of the truth: nothing but rounding is below
_RECOVERED = 1e-3
_FROM, _TO = 1e-3, 1e-11  # where the rate is fitted


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on the sub-gradient method, and on least squares beside it."""
  losses = Lanes(config, ds).values('objective')
  made = []
  if 'absolute' in losses:
    made += _absolute(Lanes(config, ds, objective='absolute'))
  if 'least_squares' in losses:
    made.append(_squares(Lanes(config, ds, objective='least_squares')))
  return made


def _absolute(lanes: Lanes) -> list[Claim]:
  r, k = lanes.config.r, lanes.given('k')
  clean = gates.spoilt_by(lanes, 'outliers', 'none')
  deep = gate(clean, *gates.recovers(lanes, np.log(1 / _EXACT)))
  near = gate(clean, *gates.recovers(lanes, np.log(1 / _RECOVERED)))
  tiny = (
    lanes.given('alpha') <= 1e-5,
    'the floor of columns beyond r is set by alpha, here above 1e-5',
  )
  exact = gate(deep, (k == r, f'k > r = {r}: the floor is that of alpha'))
  over = gate(near, (k > r, f'k = r = {r}: no column is too many'), tiny)
  # Clean measurements have no floor to compare.
  spread = _spread(lanes, over)
  return [
    exact.claim(
      at_most,
      'exact',
      'k = r: the truth is recovered to rounding, whatever the outliers are',
      PAPER,
      _EXACT,
      samples=lanes.last,
      each=True,
      derivation='relative error at T, a thousand times above rounding',
      kind='paper',
      headline=True,
    ),
    over.claim(
      at_most,
      'over',
      'k > r: the truth is recovered, with no more measurements than at k = r',
      PAPER,
      _RECOVERED,
      samples=lanes.last,
      each=True,
      derivation='relative error at T; what counts as recovered',
      kind='paper',
      headline=True,
    ),
    *spread,
    _rate(lanes, exact),
  ]


def _spread(lanes: Lanes, over: Gate) -> list[Claim]:
  """Errors over k > r, all else equal: largest over smallest."""
  tested = lanes.over('k', np.broadcast_to(over.can, lanes.size))
  last = lanes.over('k', lanes.last)
  largest = np.where(tested, last, -np.inf).max(0)
  smallest = np.where(tested, last, np.inf).min(0)
  with np.errstate(divide='ignore', invalid='ignore'):
    ratio = largest / smallest
  why = 'fewer than two values of k > r that can show it'
  same = gate((tested.sum(0) >= 2, f'{over.why}; {why}' if over.why else why))
  config = lanes.config
  there = config.start == 'spectral' and config.schedule == 'quantile'
  ours = gate(
    same, (there, 'measured with the sorted quantile and the spectral start')
  )
  statement = 'k > r: the error at T does not depend on k: largest over least'
  return [
    same.claim(
      within,
      'agnostic',
      statement,
      PAPER,
      1.0,
      2.0,
      samples=ratio,
      each=True,
      derivation='an order of magnitude, which α moves by ten thousand',
      kind='paper',
      headline=True,
    ),
    ours.claim(
      within,
      'agnostic.measured',
      statement,
      'our own: 1.03 at m = 1500, p <= 0.6, five seeds',
      1.0,
      1.15,
      samples=ratio,
      each=True,
      derivation='five times the spread of that measurement',
      kind='regression',
    ),
  ]


def _rate(lanes: Lanes, exact: Gate) -> Claim:
  """The slope of ln(error) at k = r over that of infinitely many A_i."""
  law = np.log1p(-np.minimum(lanes.pace * lanes.sigma[:, -1], 0.99))
  with np.errstate(divide='ignore'):
    way = np.log(_FROM / _TO) / (1.1 * -law)  # steps that it takes at least
  seen = (way >= 4 * np.diff(lanes.t).max(), 'too few records on the way down')
  return gate(exact, seen).claim(
    within,
    'rate',
    'k = r: linear, at a rate that measurements only lower: over '
    'ln(1 − c(1 − p) z(τ/(1 − p)) σ_r/z(τ))',
    'derived: ηQ = c_eff Δ with φ = √(2/π)(1 − p) and the quantile of the '
    'clean residuals',
    0.3,
    1.1,
    samples=drawing.slope(lanes, _FROM, _TO) / law,
    derivation='what is left at m(1 − p)² six times the numbers to be found, '
    '(1 − 6^-½)²; a tenth for the quantile that lags',
    kind='theorem',
  )


def _squares(lanes: Lanes) -> Claim:
  p, size = lanes.spoilt, lanes.given('size')
  n, r, m = lanes.config.n, lanes.config.r, lanes.given('m')
  # Least squares has all of the outliers' energy in its fit of rank r.
  law = np.asarray(theory.oracle_error(size * np.sqrt(p), n, r, m))
  law = law / lanes.norm
  fitted = lanes.config.steps * lanes.given('eta') * lanes.sigma[:, -1]
  growth = np.log(1 / lanes.given('alpha'))
  return gate(
    gates.spoilt_by(lanes, 'outliers'),
    gates.fits_truth(lanes),
    (law > 0.2, 'the outliers are too few or too small to be seen'),
    (lanes.evidence >= gates.ENOUGH, 'nothing can recover it'),
    (fitted >= 2 * growth, 'T is too short for least squares'),
  ).claim(
    at_least,
    'least_squares',
    'control: least squares is spoilt: its error over the share of the noise '
    'that a fit of rank r takes up, size √(p r(2n − r + 1)/2m)',
    'derived: least squares over the numbers that determine the truth',
    0.5,
    samples=lanes.last / np.maximum(law, 1e-12),
    each=True,
    derivation='a fit takes its share of the noise or, beyond rank r, more; '
    'half for the scatter of one draw',
    kind='theorem',
    headline=True,
  )


def figures(config: Config, ds: Dataset) -> Figures:
  """Trajectories for each share of outliers, and errors over k."""
  from framework.evidence import figures as plotting

  every = Lanes(config, ds)
  shares = every.values('outliers')
  fig, axes = plotting.figure(
    'double', ncols=len(shares), sharey=True, height=2.8
  )
  axes = np.atleast_1d(axes)
  ks = every.values('k')
  colors = plotting.palette(range(len(ks)))
  for ax, share in zip(axes, shares, strict=True):
    for loss, style in (('absolute', '-'), ('least_squares', '--')):
      if loss not in every.values('objective'):
        continue
      for k, color in zip(ks, colors, strict=True):
        lanes = every.at(objective=loss, outliers=share, k=k)
        name = f'$k={k:g}$' if loss == 'absolute' else None
        line = plotting.lanes(ax, lanes.t, lanes.error, name or '', color)
        line.set_linestyle(style)
    ax.set(yscale='log', title=f'$p={share:g}$', xlabel='steps $t$')
  axes[0].set_ylabel(drawing.ERROR)
  if 'least_squares' in every.values('objective'):
    axes[-1].plot([], [], 'k--', lw=1, label='least squares')
  handles, names = axes[-1].get_legend_handles_labels()
  fig.legend(handles, names, loc='outside lower center', ncols=len(names))
  return {
    'robust': (
      fig,
      f'Recovery from m = {config.m} measurements of which a share p is spoilt '
      f'(n = {config.n}, r = {config.r}). Solid: the sub-gradient method on '
      'the mean absolute residual; dashed: least squares.',
    )
  }


VARIANT = Variant(runs.arm, runs.times, claims, figures)
