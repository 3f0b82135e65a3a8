"""GD, ScaledGD(λ) and PrecGD over the condition number."""

import numpy as np
from xarray import Dataset

from configs.matrix_sensing import Config
from experiments.matrix_sensing import drawing, expected, runs
from experiments.matrix_sensing.gates import Gate, gate, noiseless
from experiments.matrix_sensing.reading import PAPER, Lanes, ratio, settings
from framework.evidence.claims import Claim, at_least, at_most, equals, within
from framework.launch import Figures, Variant
from framework.systems.matrix_sensing import theory

_LEVEL = 1e-18  # rounding, over a damping that vanishes, leaves 1e-21
_ZHANG = 'Zhang, Fattahi, Zhang 2021'
_SUBLINEAR = {'gd': f'{PAPER}: Ω(1/T²)', 'scaled_gd': 'derived: GD of step η/λ'}


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on the three rules at k > r."""
  made = []
  for setting, lanes in settings(config, ds):
    rules = lanes.values('optimizer')
    if 'precgd' in rules:
      made += _precgd(setting, lanes.at(optimizer='precgd'))
    for rule in ('scaled_gd', 'gd'):
      if rule in rules:
        made.append(_sublinear(setting, lanes.at(optimizer=rule), rule))
    for ahead, behind in (('precgd', 'scaled_gd'), ('scaled_gd', 'gd')):
      if {ahead, behind} <= set(rules):
        made.append(_ahead(setting, lanes, ahead, behind))
  return made


def _damping(lanes: Lanes, rule: str) -> np.ndarray:
  """λ of the rule, of PrecGD the largest: that of the zero matrix."""
  if rule == 'precgd':
    energy = np.sum(lanes.sigma**2, axis=1)
    return lanes.given('loss_damping') * np.sqrt(energy) / 2
  return lanes.given('damping')


def _signal(lanes: Lanes, rule: str, steps: float) -> np.ndarray:
  """e-folds of the squared error of the signal, at least."""
  if rule == 'gd':
    return expected.folds(lanes, expected.signal_rate(lanes), steps)
  eta, sigma_r = lanes.given('eta'), lanes.sigma[:, -1]
  part = sigma_r / (sigma_r + _damping(lanes, rule)) * expected.share(lanes)
  # Growth as if at the rate of ησ_r/(σ_r + λ), not that of ησ_r.
  slower = np.log1p(eta * sigma_r * expected.share(lanes)) / np.log1p(
    eta * part
  )
  begun = np.minimum(expected.growth(lanes), 1e30) * slower
  if rule == 'precgd':  # its damping vanishes with the error
    part = expected.share(lanes)
  return expected.contraction(lanes, part, 1.0) * (steps - begun)


def _arrives(lanes: Lanes) -> Gate:
  """Lanes of PrecGD with time enough to reach the level."""
  config, r = lanes.config, lanes.config.r
  eta, c, k = map(lanes.given, ('eta', 'loss_damping', 'k'))
  # Noise alone: x⁺ = x(1 − η/(1 + c√(k − r)/2)) once it is all that is left.
  excess = np.sqrt(np.maximum(k - r, 0))
  noise = -4 * np.log1p(-np.minimum(eta, 0.999) / (1 + c * excess / 2))
  signal = expected.contraction(lanes, expected.share(lanes), 1.0)
  depth = _signal(lanes, 'precgd', config.steps)
  depth = depth * np.minimum(1, noise * expected.share(lanes) / signal)
  return gate(
    *noiseless(lanes, 'precgd'),
    (k >= r, f'k < r = {r}: the truth cannot be fitted'),
    (
      depth >= np.log(100 / _LEVEL),
      f'T = {config.steps} is too short: the error may fall by no more than '
      f'e^-{np.max(depth):.3g}',
    ),
    (config.precision == 'float64', 'float32 does not reach 1e-18'),
  )


def _precgd(setting: str, lanes: Lanes) -> list[Claim]:
  can = _arrives(lanes)
  return [
    can.claim(
      at_most,
      f'{setting}.precgd',
      'PrecGD reaches 1e-18 by T at every κ',
      _ZHANG,
      _LEVEL,
      samples=lanes.last,
      each=True,
      derivation='the level; lanes with time enough for it',
      kind='paper',
      headline=True,
    ),
    _over_kappa(setting, lanes, can),
  ]


def _over_kappa(setting: str, lanes: Lanes, can: Gate) -> Claim:
  """Rates over κ, all else equal: largest over smallest."""
  tested = lanes.over('kappa', np.broadcast_to(can.can, lanes.size))
  speed = -lanes.over('kappa', lanes.slope(100 * _LEVEL))
  # A lane that does not converge has no rate, and the spread is not known.
  speed = np.where(speed > 0, speed, np.nan)
  largest = np.where(tested, speed, -np.inf).max(0)
  smallest = np.where(tested, speed, np.inf).min(0)
  why = 'fewer than two values of kappa that can show it'
  return gate(
    (tested.sum(0) >= 2, f'{can.why}; {why}' if can.why else why)
  ).claim(
    within,
    f'{setting}.kappa',
    'the rate of PrecGD does not depend on κ: largest over smallest',
    _ZHANG,
    1.0,
    1.25,
    samples=ratio(largest, smallest),
    each=True,
    derivation='modes near the slowest that are in the window still',
    kind='paper',
    headline=True,
  )


def _noise(lanes: Lanes, rule: str) -> np.ndarray:
  """Squared error of the population at T, of k − r equal directions."""
  n, k, r = min(lanes.shape), lanes.given('k'), lanes.config.r
  x0 = lanes.given('alpha') * np.sqrt(np.maximum(1 - (k + 1) / n, 1e-6))
  t, eta = float(lanes.config.steps), lanes.given('eta')
  if rule == 'gd':
    x = theory.scalar_noise(t, x0, eta)
  else:
    damping = np.maximum(lanes.given('damping'), 1e-30)
    x = theory.damped_noise(t, x0, eta, damping)
  return np.maximum(k - r, 1) * np.asarray(x) ** 4


def _stalls(lanes: Lanes, rule: str) -> Gate:
  """Where a rule without a vanishing damping falls as 1/T² by T."""
  r, law = lanes.config.r, _noise(lanes, rule)
  crossed = expected.crossovers(lanes)
  if rule == 'scaled_gd':
    # From x² = λ on; ten times the step by which the damped noise is there.
    eta, damping = lanes.given('eta'), np.maximum(lanes.given('damping'), 1e-30)
    start = np.log1p(lanes.given('alpha') ** 2 / damping) + 1
    late = lanes.config.steps * eta / start / 10
    crossed = np.where(crossed > 0, np.minimum(late, crossed / damping), 0)
  return gate(
    *noiseless(lanes, rule),
    (lanes.given('k') > r, f'k <= r = {r}: all three are linear'),
    (
      (rule == 'gd') | (lanes.given('damping') > 0),
      'without damping ScaledGD does not stall',
    ),
    (crossed >= 10, 'T is too short for the law of the noise'),
    (
      _signal(lanes, rule, lanes.config.steps) >= np.log(100 / law),
      'the signal is not fitted by T',
    ),
  )


def _sublinear(setting: str, lanes: Lanes, rule: str) -> Claim:
  relative = ratio(lanes.last, _noise(lanes, rule))
  what = {
    'gd': 'gradient descent is at (k − r)/(4η²T²)',
    'scaled_gd': 'ScaledGD(λ) stalls: below x² = λ it is gradient descent with '
    'the step η/λ, (k − r)λ²/(4η²T²)',
  }[rule]
  words = dict(samples=relative, kind='theorem')
  can, id = _stalls(lanes, rule), f'{setting}.{rule}'
  if lanes.sensing:
    return can.claim(
      at_least,
      id,
      f'{what} or slower, for measurements slow it down',
      _SUBLINEAR[rule],
      0.9,
      each=True,
      derivation='ratio to the law of the population',
      **words,
    )
  return can.claim(
    equals,
    id,
    what,
    _SUBLINEAR[rule],
    1.0,
    atol=0.05,
    derivation='ratio to the law with its logarithm; the scatter of the start, '
    'a tenth of T at most, squared',
    **words,
  )


def _ahead(setting: str, every: Lanes, ahead: str, behind: str) -> Claim:
  """One rule is ahead of another at T, on the same problem."""
  first, second = (every.at(optimizer=rule) for rule in (ahead, behind))
  names = {'gd': 'gradient descent', 'scaled_gd': 'ScaledGD(λ)'}
  law = _noise(second, behind)
  if ahead == 'precgd':
    other, source = np.full(law.shape, _LEVEL), _ZHANG
    able = _arrives(first).can
  else:
    other, source = _noise(first, ahead), 'Xu, Shen, Chi, Ma 2023'
    able = _stalls(first, ahead).can
  return gate(
    _stalls(second, behind),
    (able, f'{ahead} has not enough steps'),
    (law >= 100 * other, 'the two laws are within a factor of 100 at T'),
  ).claim(
    at_least,
    f'{setting}.{ahead}_ahead',
    f'{names[behind]} is behind {names.get(ahead, "PrecGD")} at T: ratio of '
    'squared errors',
    source,
    1.0,
    samples=ratio(second.last, first.last),
    each=True,
    strict=True,
    derivation='a direction; the laws are a hundred apart',
    kind='paper',
  )


def figures(config: Config, ds: Dataset) -> Figures:
  """The three rules at each condition number."""
  fig, panels = drawing.panels(
    config, ds, 'log', 'log', drawing.TAIL, height=3.0
  )
  kappas = panels[0][1].values('kappa')
  styles = (['-', '--', ':', '-.'] * len(kappas))[: len(kappas)]
  names = {
    'gd': 'GD',
    'scaled_gd': rf'ScaledGD($\lambda={config.damping:g}$)',
    'precgd': 'PrecGD',
  }
  for ax, every in panels:
    for i, rule in enumerate(every.values('optimizer')):
      for kappa, style in zip(kappas, styles, strict=True):
        lanes = every.at(optimizer=rule, kappa=kappa)
        name = names[rule] if kappa == kappas[0] else None
        error = lanes.seen('squared_error')
        drawing.lines(ax, lanes.t, error, name, f'C{i}', style, band=False)
    for kappa, style in zip(kappas, styles, strict=True):
      ax.plot([], [], color='grey', ls=style, label=rf'$\kappa={kappa:g}$')
    drawing.sublinear(ax, every, config.k, r'$(k-r)/(4\eta^2t^2)$')
  drawing.named(panels, drawing.SYMMETRIC_ERROR, drawing.STEP, legend=-1)
  return {
    'preconditioned': (
      fig,
      f'XXᵀ with k = {config.k}, r = {config.r}: preconditioning with a '
      'damping that follows the loss undoes the curse at every κ.',
    )
  }


VARIANT = Variant(runs.arm, runs.times, claims, figures)
