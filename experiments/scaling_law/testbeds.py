"""Exact losses over N and D: which form of a law extrapolates.

Nobody planted a law here. The loss of one-pass SGD on N modes after D steps,
and that of N random features on D samples at the best ridge, are exact, and the
exponents are known: β − 1 in N, and (β − 1)/α or β − 1 in D.
"""

from typing import Any

import numpy as np
from xarray import Dataset

from configs.scaling_law import Fit
from experiments.scaling_law import data, fits
from framework.evidence import fits as fits_lib
from framework.evidence import lanes
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  equals,
  untestable,
  within,
)
from framework.launch import Figures, Variant

_SOURCE = 'derived: exact risks, no law planted'
_FACTOR = 'what an independent search found, to a factor of two'
_MEASURED = 'measured here and by an independent search at α = 1.5'
_DEFAULT = {
  'sgd': {'alpha': 1.5, 'beta': 1.8, 'noise': 0.0},
  'random_features': {'alpha': 1.5, 'beta': 1.5, 'noise': 0.0},
}
_SPLIT = {'sgd': 3e5, 'random_features': 4096.0}
_WIDE = {'sgd': 512, 'random_features': 512}


def _gate(config: Fit) -> str:
  """Why the measured errors say nothing here; '' where they do."""
  for name, value in _DEFAULT[config.testbed].items():
    if getattr(config, name) != value:
      return f'{name} = {getattr(config, name)}: measured at {value}'
  if config.split != _SPLIT[config.testbed]:
    return f'split = {config.split:g}: measured at {_SPLIT[config.testbed]:g}'
  if config.widest < _WIDE[config.testbed]:
    return f'N <= {config.widest}: the largest widths are missing'
  if config.steps < 80 or config.starts < 24:
    return 'needs 24 searches of 80 steps each'
  return ''


def claims(config: Fit, ds: Dataset) -> list[Claim]:
  """Claims on what each form extrapolates to."""
  made = []
  for text, own, part in lanes.apart(config, ds, ()):
    one = _one_pass if own.testbed == 'sgd' else _random_features
    made += one(text, own, part)
  return made


def _table(
  config: Fit, ds: Dataset, rows: list[tuple[Any, ...]], text: str, why: str
) -> list[Claim]:
  """A claim for each row (make, id, statement, numbers, form, what)."""
  made = []
  for make, id, statement, numbers, name, what in rows:
    texts = (f'{id}{text}', statement, _MEASURED)
    if why:
      made.append(untestable(*texts, why, kind='regression'))
      continue
    made.append(
      make(
        *texts,
        *numbers,
        fits.found(ds, name, what),
        each=True,
        derivation=_FACTOR,
        kind='regression',
      )
    )
  return made


def _choice(
  text: str, ds: Dataset, statement: str, limits: list[tuple], why: str
) -> Claim:
  """The headline: what extrapolates does, what does not does not."""
  texts = (f'choice{text}', statement, _MEASURED)
  words = {'kind': 'regression', 'headline': True}
  if why:
    return untestable(*texts, why, **words)
  ratios = []
  for name, what, limit, sign in limits:
    with np.errstate(divide='ignore', invalid='ignore'):
      ratios.append((fits.found(ds, name, what) / limit) ** sign)
  return at_least(
    *texts,
    1.0,
    np.concatenate(ratios),
    each=True,
    derivation=_FACTOR
    + '; '
    + ', '.join(
      f'{name} {what} {"<=" if sign < 0 else ">="} {limit}'
      for name, what, limit, sign in limits
    ),
    **words,
  )


def _one_pass(text: str, config: Fit, ds: Dataset) -> list[Claim]:
  why = _gate(config)
  made = [
    _choice(
      text,
      ds,
      'additive laws fit and are off by half at 10 to 500 times the compute; '
      'the power mean without floor is off by a few per cent (medians)',
      [
        ('power_mean0', 'median', 0.06, -1),
        ('power_mean0', 'rms', 0.012, -1),
        ('equal', 'median', 0.5, 1),
        ('unequal', 'median', 0.5, 1),
      ],
      why,
    )
  ]
  rows = [
    (
      at_most,
      'power_mean0.worst',
      'the power mean is nowhere off by a sixth',
      (0.17,),
      'power_mean0',
      'worst',
    ),
    (
      within,
      'unequal0.between',
      'without the floor that it invents the additive law is off by a tenth',
      (0.05, 0.2),
      'unequal0',
      'median',
    ),
    (
      within,
      'unequal.invents',
      'the additive law invents an irreducible loss where there is none',
      (0.01, 0.08),
      'unequal',
      'E',
    ),
  ]
  made += _table(config, ds, rows, text, why)
  return made + _exponents(text, config, ds, why)


def _exponents(text: str, config: Fit, ds: Dataset, why: str) -> list[Claim]:
  laws = {'x': config.beta - 1, 'y': (config.beta - 1) / config.alpha}
  made = []
  for parameter, axis in (('x', 'N'), ('y', 'D')):
    texts = (
      f'exponent.{axis}{text}',
      f'the power mean finds the exponent of {axis}',
      _SOURCE,
    )
    if why:
      made.append(untestable(*texts, why, kind='theorem'))
      continue
    made.append(
      equals(
        *texts,
        laws[parameter],
        fits.found(ds, 'power_mean0', parameter),
        rtol=0.08,
        derivation='sums for integrals: 1/(2N) = 1/16 at the smallest N',
        kind='theorem',
      )
    )
  return made


def _random_features(text: str, config: Fit, ds: Dataset) -> list[Claim]:
  why = _gate(config)
  made = [
    _choice(
      text,
      ds,
      'the additive law invents a floor and is off by a third at 8 to 64 times '
      'the compute; the power mean without floor by a tenth (medians)',
      [
        ('power_mean0', 'median', 0.14, -1),
        ('power_mean0', 'rms', 0.013, -1),
        ('equal', 'median', 0.3, 1),
      ],
      why,
    )
  ]
  texts = (
    f'power_mean0.exponents{text}',
    'N and D have the same exponent',
    'derived: at the best ridge the risk is symmetric where v² ∝ λ',
  )
  if why or config.alpha != config.beta:
    reason = why or 'α and β differ'
    made.append(untestable(*texts, reason, kind='theorem'))
  else:
    x, y = (fits.found(ds, 'power_mean0', p) for p in 'xy')
    with np.errstate(divide='ignore', invalid='ignore'):
      made.append(
        equals(
          *texts,
          1.0,
          x / y,
          rtol=1e-3,
          derivation='ratio; the search ends there to a thousandth',
          kind='theorem',
        )
      )
  return [*made, _parallel(text, config, ds)]


def lines(config: Fit, ds: Dataset) -> dict[float, tuple]:
  """{M: (C, loss)} of what is fitted, where M = D/N has four points.

  Sizes are rounded steps of one ratio: so many steps apart, M is the same to
  that rounding.
  """
  points = data.grid_of(config)
  n, d = points.n[points.near], points.d[points.near]
  sizes = np.unique(np.append(points.n, points.d))
  apart = np.searchsorted(sizes, d) - np.searchsorted(sizes, n)
  loss = lanes.lanes(ds.isel(time=-1), 'loss').mean(0)
  found = {}
  for steps in np.unique(apart):
    own = apart == steps
    if own.sum() >= 4:
      m = np.exp(np.mean(np.log(d[own] / n[own])))
      found[float(m)] = ((n * d)[own], loss[own])
  return found


def _parallel(text: str, config: Fit, ds: Dataset) -> Claim:
  law = -(config.beta - 1) / 2
  texts = (
    f'parallel{text}',
    'over compute, at each M = D/N, the loss falls with one slope: lines are '
    'parallel',
    'Gadre et al. 2024: reliable scaling with over-training',
  )
  ratios = {m: x for m, x in lines(config, ds).items() if 1 / 16 <= m <= 16}
  if len(ratios) < 3 or config.noise > 0:
    return untestable(*texts, 'needs three ratios M, and no noise')
  with np.errstate(divide='ignore', invalid='ignore'):
    slopes = [
      fits_lib.power_law(c, y).slope if np.isfinite(y).all() else np.nan
      for c, y in ratios.values()
    ]
  return within(
    *texts,
    1.15 * law,
    0.8 * law,
    np.array(slopes),
    each=True,
    derivation='slope −(β−1)/2; from above, sums for integrals at the smallest '
    'N = 8: 1/(2N), and at M = 16 the other side counts as much; M is rounded '
    'by up to 1/(2N)',
  )


def figures(config: Fit, ds: Dataset) -> Figures:
  """Residuals of the searches, and how each form extrapolates."""
  from framework.evidence import figures as plotting

  _, own, part = next(lanes.apart(config, ds, ()))
  names = [*fits.forms_of(own)]
  with plotting.style():
    fig, (left, right) = plotting.figure('double', ncols=2)
    left.set(xscale='log', yscale='log', xlabel='steps of the searches')
    left.set_ylabel('relative residual, best of all')
    t = part['time'].values
    colors = plotting.palette(range(len(names)))
    for name, color in zip(names, colors, strict=True):
      rms = lanes.lanes(part, f'{name}_rms')
      left.plot(t[1:], rms[0, 1:], color=color, label=fits.FORMS[name].name)
    plotting.legend(left)
    place = np.arange(len(names))
    for what, mark in (('median', 'o'), ('worst', 'x')):
      heights = [np.median(fits.found(part, name, what)) for name in names]
      right.plot(place, heights, mark, color='black', label=what)
    right.set(yscale='log', ylabel='relative error beyond')
    right.set_xlim(-0.5, len(names) - 0.5)
    shown = [fits.FORMS[n].name.replace(', ', ',\n') for n in names]
    right.set_xticks(place, [n.replace(' ', '\n', 1) for n in shown])
    plotting.legend(right)
  made = {}
  if own.testbed == 'random_features':
    made['parallel'] = _lines_figure(own, part)
  return {
    **made,
    own.variant: (
      fig,
      'Left: residual of each form as its searches go on. Right: error of the '
      'fits on points of far more compute. A form that fits well may '
      'extrapolate badly: it invents a floor.',
    ),
  }


def _lines_figure(config: Fit, ds: Dataset) -> tuple[Any, str]:
  from framework.evidence import figures as plotting

  with plotting.style():
    fig, ax = plotting.figure('single')
    ax.set(xscale='log', yscale='log', xlabel='compute $N D$')
    ax.set_ylabel('test risk at the best ridge')
    found = lines(config, ds)
    if config.alpha == config.beta:  # there M and 1/M are one line
      found = {m: x for m, x in found.items() if m > 0.99}
    for (m, (c, y)), color in zip(
      found.items(), plotting.palette([*found]), strict=True
    ):
      ax.plot(c, y, 'o-', ms=3, color=color, label=f'M = {m:.2g}')
    c = np.array([200.0, 4000.0])
    y = 0.7 * max(y[0] for _, y in found.values())
    plotting.law(
      ax, c, y * (c / c[0]) ** (-(config.beta - 1) / 2), 'slope −(β−1)/2'
    )
    plotting.legend(ax)
  return (
    fig,
    'Loss over compute at fixed ratios M = D/N: the lines are parallel. Where '
    'α = β, M and 1/M give the same line.',
  )


VARIANT = Variant(fits.arm, fits.times, claims, figures)
