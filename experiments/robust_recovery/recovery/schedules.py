"""Step sizes compared: which arrive, and what stops the others."""

import numpy as np
from xarray import Dataset

from configs.robust_recovery import Config
from experiments.robust_recovery.recovery import drawing, gates, runs
from experiments.robust_recovery.recovery.runs import PAPER, Lanes
from framework.evidence.claims import Claim, at_least, at_most, within
from framework.evidence.gates import gate
from framework.launch import Figures, Variant
from framework.systems.matrix_sensing import theory

_ARRIVED = 1e-2  # relative error
_QUANTILES = ('median', 'quantile', 'tracker')


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on each schedule."""
  every = Lanes(config, ds)
  made = []
  for name in every.values('schedule'):
    lanes = every.at(schedule=name)
    if name in _QUANTILES:
      made.append(_arrives(name, lanes))
    elif name == 'loss':
      made.append(_loss(lanes))
    elif name == 'polyak':
      made.append(_polyak(lanes))
    else:
      made += _clock(name, lanes)
  if {'quantile', 'tracker'} <= set(every.values('schedule')):
    made.append(_tracker(every))
  return made


def _arrives(name: str, lanes: Lanes) -> Claim:
  return gate(
    gates.spoilt_by(lanes, 'outliers', 'none'),
    *gates.recovers(lanes, np.log(1 / _ARRIVED)),
    (lanes.given('alpha') <= 1e-3, 'alpha is above 1e-3'),
  ).claim(
    at_most,
    f'{name}.arrives',
    'steps by a quantile of the residuals arrive, whatever the outliers',
    PAPER,
    _ARRIVED,
    samples=lanes.last,
    each=True,
    derivation='relative error at T',
    kind='paper',
    headline=name == 'tracker',
  )


def _travelled(name: str, lanes: Lanes) -> np.ndarray:
  """Steps that the clock will have made by T, over those that are needed."""
  eta, decay = lanes.given('eta'), lanes.given('decay')
  made = eta * lanes.config.steps * np.ones(lanes.size)
  falls = decay < 1
  made[falls] = (eta * (1 - decay**lanes.config.steps))[falls] / (
    1 - decay[falls]
  )
  phi = np.asarray(
    theory.sign_rip_phi(lanes.norm, lanes.spoilt, lanes.given('size'))
  )
  # A normalised step is η/‖Q‖, and ‖Q‖ is φ with the noise of sampling added.
  if name == 'normalised':
    n, m = lanes.config.n, lanes.given('m')
    made = made / np.sqrt(phi**2 + n * (n + 1) / (2 * m))
  needed = theory.travel(
    lanes.norm, phi, lanes.sigma[:, -1], lanes.given('alpha')
  )
  return made / np.asarray(needed)


def _clock(name: str, lanes: Lanes) -> list[Claim]:
  """A clock arrives if it travels far enough, and does not if not."""
  way = _travelled(name, lanes)
  evidence = (
    lanes.evidence >= gates.ENOUGH,
    'too few measurements for any schedule',
  )
  basis = gate(
    gates.spoilt_by(lanes, 'outliers', 'none'),
    (lanes.given('objective') == 'absolute', 'the law is of the absolute loss'),
    (lanes.given('start') == 'spectral', 'the start is not spectral'),
    gates.fits_truth(lanes),
    evidence,
  )
  # Off the error the sub-gradient has a spectral norm of √(2n/m), which adds to
  # what the weakest direction sees of it, or is taken away.
  phi = np.asarray(
    theory.sign_rip_phi(lanes.norm, lanes.spoilt, lanes.given('size'))
  )
  noise = np.sqrt(2 * lanes.config.n / lanes.given('m'))
  noise = noise * lanes.norm / (phi * lanes.sigma[:, -1])
  end = lanes.given('eta') * lanes.given('decay') ** lanes.config.steps
  derived = 'derived: Σ η_t against (‖M‖/φσ_r) ln(√σ_r/α)'
  return [
    gate(
      basis,
      (way >= 2, 'the clock travels less than twice the way'),
      (way * (1 - noise) >= 1, 'less than the way without the noise of Q'),
      (end <= _ARRIVED / 4, 'the last steps are too long'),
      (lanes.given('alpha') <= 1e-3, 'alpha is above 1e-3'),
    ).claim(
      at_most,
      f'{name}.arrives',
      'a clock that travels twice the way or more arrives',
      derived,
      _ARRIVED,
      samples=lanes.last,
      each=True,
      derivation='relative error at T; the steps left are a quarter of it',
      kind='theorem',
    ),
    gate(basis, (way * (1 + noise) <= 1, 'the clock may travel the way')).claim(
      at_least,
      f'{name}.stops',
      'a clock that travels less than the way does not arrive',
      derived,
      0.1,
      samples=lanes.last,
      each=True,
      derivation='the weakest direction is missing: σ_r of ‖M‖',
      kind='theorem',
    ),
  ]


def _loss(lanes: Lanes) -> Claim:
  """Outliers keep the loss, and so the step, from falling."""
  p, size = lanes.spoilt, lanes.given('size')
  # It cannot be nearer than one step: η(π/2) E|s| φ σ_r, of the order of which
  # the error goes round in.
  step = lanes.given('eta') * np.pi / 2 * p * size * np.sqrt(2 / np.pi)
  return gate(
    gates.spoilt_by(lanes, 'outliers'),
    (lanes.given('objective') == 'absolute', 'the law is of the absolute loss'),
    gates.fits_truth(lanes),
    (step * np.sqrt(2 / np.pi) * (1 - p) >= 0.1, 'the outliers are too small'),
    (lanes.config.steps >= 100, 'T is too short'),
  ).claim(
    at_least,
    'loss.stops',
    'control: the step of the loss does not fall under outliers, and the '
    'error does not either',
    'derived: f → p E|s|, and the step with it',
    _ARRIVED,
    samples=lanes.last,
    each=True,
    derivation='relative error at T; the last step moves by ten times as much',
    kind='theorem',
  )


def _polyak(lanes: Lanes) -> Claim:
  """Polyak with a cap arrives: it knows the minimum."""
  c = lanes.given('cap')
  growth = np.log(1 / lanes.given('alpha')) / np.log1p(
    c
    * np.sqrt(2 / np.pi)
    * (1 - lanes.spoilt)
    * lanes.sigma[:, -1]
    / lanes.norm
  )
  return gate(
    gates.spoilt_by(lanes, 'outliers', 'none'),
    (lanes.given('objective') == 'absolute', 'the law is of the absolute loss'),
    (lanes.given('k') == lanes.config.r, 'k > r: the loss is not sharp'),
    (c <= 1, 'the cap is above 1'),
    (lanes.evidence >= gates.ENOUGH, 'too few measurements'),
    (4 * growth <= lanes.config.steps, 'T is too short'),
  ).claim(
    at_most,
    'polyak.arrives',
    'k = r: Polyak steps with a cap arrive',
    'Polyak 1969: sharp functions',
    _ARRIVED,
    samples=lanes.last,
    each=True,
    derivation='relative error at T',
    kind='paper',
  )


def _tracker(every: Lanes) -> Claim:
  """The tracked quantile against the sorted one, lane by lane."""
  one, other = (every.at(schedule=name) for name in ('tracker', 'quantile'))
  level = 1e-2
  arrives = gate(
    gates.spoilt_by(one, 'outliers', 'none'),
    *gates.recovers(one, np.log(1 / level)),
  )
  with np.errstate(divide='ignore', invalid='ignore'):
    ratio = one.reached(level) / other.reached(level)
  return arrives.claim(
    within,
    'tracker.as_sorted',
    'the tracked quantile needs as many steps to 1e-2 as the sorted one',
    'derived: q follows with a lag of 1/gain of the change of its logarithm',
    0.8,
    1.25,
    samples=ratio,
    each=True,
    derivation='a lag of c_eff σ_r/2 in the logarithm, in each of which the '
    'step is longer by that',
    kind='theorem',
    headline=True,
  )


def figures(config: Config, ds: Dataset) -> Figures:
  """Trajectories of all schedules."""
  from framework.evidence import figures as plotting

  every = Lanes(config, ds)
  shares, names = every.values('outliers'), every.values('schedule')
  fig, axes = plotting.figure(
    'double', ncols=len(shares), sharey=True, height=3.0
  )
  axes = np.atleast_1d(axes)
  colors = [f'C{i}' for i in range(6)] + ['k']  # the cycle ends after six
  for ax, share in zip(axes, shares, strict=True):
    for name, color in zip(names, colors, strict=False):
      for decay, style in drawing.styled(every.values('decay')):
        clock = name in ('geometric', 'normalised')
        if not clock and style != '-':
          continue
        lanes = every.at(schedule=name, outliers=share, decay=decay)
        text = rf'{name}, $\rho={decay:g}$' if clock else name
        line = plotting.lanes(
          ax, lanes.t, lanes.error, text, color, band=(0.5, 0.5)
        )
        line.set_linestyle(style)
    ax.set(yscale='log', title=f'$p={share:g}$', xlabel='steps $t$')
  axes[0].set_ylabel(drawing.ERROR)
  plotting.legend(axes[-1], fontsize=6)
  return {
    'schedules': (
      fig,
      f'Step sizes of the sub-gradient method, k = {config.k}, r = '
      f'{config.r}, m = {config.m}: clocks, quantiles of the residuals, the '
      'loss, and Polyak.',
    )
  }


VARIANT = Variant(runs.arm, runs.times, claims, figures)
