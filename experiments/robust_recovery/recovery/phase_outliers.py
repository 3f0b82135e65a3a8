"""Recovery over (m, p): what outliers cost, whatever the number of columns.

A theorem gives a number of measurements that is enough, of the order of
nr/(1 − p)²: no cell with fewer, recovered or not, is against it. How many are
needed is measured, between that and what the clean share 1 − p must have.

All m are lanes of one program: a lane uses the first m of the measurements of
its seed.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Float, Int
from xarray import Dataset

from configs.robust_recovery import Config
from experiments.robust_recovery.recovery import gates, runs
from experiments.robust_recovery.recovery.runs import PAPER, Lanes
from framework.evidence.claims import Claim, at_least, at_most, within
from framework.evidence.gates import Gate, gate
from framework.evidence.known import known
from framework.launch import Figures, Variant, hp_of
from framework.run.job import Arm

_RECOVERED = 1e-2  # relative error
_HOPELESS = 1.5  # of `Lanes.evidence`


class Hp(NamedTuple):
  """Those of the other variants, and the measurements that are used."""

  m: Int[ArrayLike, '']
  k: Int[ArrayLike, '']
  eta: Float[ArrayLike, '']
  decay: Float[ArrayLike, '']
  level: Float[ArrayLike, '']
  cap: Float[ArrayLike, '']
  alpha: Float[ArrayLike, '']
  kappa: Float[ArrayLike, '']
  outliers: Float[ArrayLike, '']
  size: Float[ArrayLike, '']


def arm(config: Config) -> Arm:
  """One program for all m."""
  return runs.arm(config, hp_of(Hp, config, k=np.int32, m=np.int32))


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on where the truth is recovered."""
  lanes = Lanes(config, ds)
  recovered, x, can = _recovered(lanes), lanes.evidence, _can(lanes)
  made = [
    gate(can, (x >= gates.ENOUGH, 'no cell with measurements enough')).claim(
      at_least,
      'above',
      'the truth is recovered where m(1 − p)² is six times the '
      'r(2n − r + 1)/2 numbers that determine it, or more',
      f'{PAPER}: m of the order of nr/(1 − p)²',
      0.97,
      samples=recovered,
      derivation='share of lanes; shares of outliers are drawn',
      kind='paper',
      headline=True,
    ),
    gate(can, (x <= _HOPELESS, 'no cell with so few measurements')).claim(
      at_most,
      'below',
      'and is not where it is 1.5 times or less',
      'our own: in numpy, n = 20, r = 2, in no cell of three seeds below 1.75',
      0.1,
      samples=recovered,
      derivation='share of lanes: 0 of 24 cells of three, and their scatter',
      kind='regression',
    ),
  ]
  return [*made, _price(lanes, can, recovered), _agnostic(lanes, can)]


def _recovered(lanes: Lanes) -> np.ndarray:
  """1 or 0 for each lane; one that is known to have diverged has not."""
  gone = np.isfinite(lanes.ds['diverged_at'].values).ravel()
  return np.where(gone, 0.0, known(np.less, lanes.last, _RECOVERED))


def _can(lanes: Lanes) -> Gate:
  return gate(
    gates.spoilt_by(lanes, 'outliers', 'none'),
    gates.fits_truth(lanes),
    *gates.follows(lanes),
    (lanes.given('alpha') <= 1e-4, 'alpha is above 1e-4'),
    (3 * lanes.growth <= lanes.config.steps, 'T is too short'),
  )


def transition(x: np.ndarray, recovered: np.ndarray) -> tuple[float, float]:
  """Where half of the lanes recover, and the width: a logistic fit in ln x.

  Args:
    x: Measurements per number, of each lane.
    recovered: 1 or 0.

  Returns:
    (x at ½, width of the rise in ln x); NaN where there is no transition.
  """
  z = np.log(x)
  if not np.isfinite(recovered).all() or len(set(recovered)) < 2:
    return np.nan, np.nan
  # Newton's method on the likelihood, with a prior that keeps it from running
  # away where the two sides do not overlap.
  design, w = np.stack([np.ones_like(z), z - z.mean()], 1), np.zeros(2)
  for _ in range(50):
    chance = 1 / (1 + np.exp(-np.clip(design @ w, -30, 30)))
    slope = design.T @ (recovered - chance) - 1e-2 * w
    curve = (design * (chance * (1 - chance))[:, None]).T @ design
    w = w + np.linalg.solve(curve + 1e-2 * np.eye(2), slope)
  if w[1] <= 0:
    return np.nan, np.nan
  return float(np.exp(z.mean() - w[0] / w[1])), float(1 / w[1])


def _both_sides(x: np.ndarray, lanes: Lanes) -> bool:
  """Whether a part of the lanes has cells above, below, and enough of them."""
  return bool(len(x) >= 20 and np.any(x >= gates.ENOUGH) and np.any(x <= 2.5))


def _price(lanes: Lanes, can: Gate, recovered: np.ndarray) -> Claim:
  """The exponent e of the measurements that are needed, m ∝ (1 − p)^-e."""
  p, x, k = lanes.spoilt, lanes.evidence, lanes.given('k')
  least = k == k.min()
  few, many = (can.can & least & side for side in (p <= 0.2, p >= 0.4))
  wide = _both_sides(x[few], lanes) and _both_sides(x[many], lanes)
  exponent = np.nan
  if wide:
    (one, _), (other, _) = (
      transition(x[part], recovered[part]) for part in (few, many)
    )
    # x is m(1 − p)²: if that decided alone, the two would be equal and e = 2.
    clean = [np.log(1 - p[part]).mean() for part in (few, many)]
    exponent = 2 - np.log(other / one) / (clean[1] - clean[0])
  return gate(
    can,
    (
      wide,
      'too few cells on both sides of the transition, at p <= 0.2 or at '
      'p >= 0.4',
    ),
  ).claim(
    within,
    'price',
    'outliers cost measurements: as many as (1 − p)^-e are needed, e between '
    '1 and 2, from p <= 0.2 to p >= 0.4',
    f'{PAPER}: (1 − p)^-2 is enough; derived: only 1 − p of them tell anything',
    0.75,
    2.25,
    samples=np.full(lanes.size, exponent),
    derivation='half of the spacing of the grid in m, √1.4, over a fall of '
    '1 − p by about two',
    kind='paper',
    headline=True,
  )


def _agnostic(lanes: Lanes, can: Gate) -> Claim:
  r, n = lanes.config.r, lanes.config.n
  x, k = lanes.evidence, lanes.given('k')
  recovered = _recovered(lanes)
  parts = [can.can & (k == value) for value in (r, n)]
  there = all(_both_sides(x[part], lanes) for part in parts)
  ratio = np.nan
  if there:
    (one, _), (other, _) = (
      transition(x[part], recovered[part]) for part in parts
    )
    ratio = other / one
  return gate(
    can, (there, 'k = r and k = n were not both run on both sides')
  ).claim(
    within,
    'agnostic',
    'k = n needs no more measurements than k = r: m(1 − p)² at the transition '
    'over that at k = r',
    f'{PAPER}: the number of measurements does not depend on k',
    0.6,
    1.6,
    samples=np.full(lanes.size, ratio),
    derivation='a step of the grid in m; a fit of n(n + 1)/2 numbers would '
    'need n/2r times as many',
    kind='paper',
    headline=True,
  )


def figures(config: Config, ds: Dataset) -> Figures:
  """The map for each k, and all cells on one curve."""
  from framework.evidence import figures as plotting

  every = Lanes(config, ds)
  ks = [int(k) for k in every.values('k')]
  ms, shares = (np.array(every.values(a)) for a in ('m', 'outliers'))
  numbers = config.r * (2 * config.n - config.r + 1) / 2
  fig, axes = plotting.figure('double', ncols=len(ks), sharey=True, height=2.8)
  axes = np.atleast_1d(axes)
  p = np.linspace(shares.min(), min(shares.max(), 0.95), 60)
  for ax, k in zip(axes, ks, strict=True):
    Z = [
      [
        np.mean(every.at(k=k, m=m, outliers=s).last < _RECOVERED)
        for s in shares
      ]
      for m in ms
    ]
    plotting.heatmap(
      ax,
      shares.tolist(),
      ms.tolist(),
      np.array(Z),
      'share recovered',
      norm='linear',
    )
    line = 3.5 * numbers / (1 - p) ** 2
    inside = line <= ms.max()
    plotting.law(ax, p[inside], line[inside])
    ax.set(title=f'$k={k}$', xlabel='share of outliers $p$')
  axes[-1].lines[-1].set_label(r'$m(1-p)^2=3.5\,r(2n-r+1)/2$')
  fig.legend(handles=axes[-1].lines[-1:], loc='outside lower center')
  axes[0].set_ylabel('measurements $m$')
  made = {
    'phase_outliers': (
      fig,
      f'Share of {config.seeds} seeds that recover the truth (n = {config.n}, '
      f'r = {config.r}). Dashed: m(1 − p)² is 3.5 times the {numbers:g} '
      'numbers that determine it.',
    )
  }
  fig, ax = plotting.figure(height=2.8)
  for i, k in enumerate(ks):
    lanes = every.at(k=k)
    x, done = lanes.evidence, (lanes.last < _RECOVERED).astype(float)
    cells = np.round(np.log(x), 6)
    for value in np.unique(cells):
      here = cells == value
      ax.plot(np.exp(value), done[here].mean(), 'o', ms=3, color=f'C{i}')
    middle, width = transition(x, done)
    if np.isfinite(middle):
      grid = np.geomspace(x.min(), x.max(), 100)
      rise = 1 / (1 + np.exp(-np.log(grid / middle) / width))
      name = rf'$k={k}$: ½ at {middle:.2f}, width {width:.2f}'
      ax.plot(grid, rise, color=f'C{i}', label=name)
  ax.set(xscale='log', ylabel='share recovered')
  ax.set_xlabel(r'$m(1-p)^2$ over $r(2n-r+1)/2$')
  plotting.legend(ax)
  made['collapse'] = (
    fig,
    'All cells of the maps, on the axis of the theorem. Cells of many outliers '
    'recover further to the left: they cost less than it allows for.',
  )
  return made


VARIANT = Variant(arm, runs.times, claims, figures)
