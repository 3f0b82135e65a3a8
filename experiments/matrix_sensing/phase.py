"""Steps to error 1e-6 over (k, α), with the law laid over."""

import numpy as np
from xarray import Dataset

from configs.matrix_sensing import Config
from experiments.matrix_sensing import drawing, expected, runs
from experiments.matrix_sensing.gates import Gate, gate, noiseless
from experiments.matrix_sensing.reading import LEVEL, Lanes, ratio, settings
from framework.evidence import fits
from framework.evidence.claims import Claim, at_least, equals, within
from framework.evidence.known import known, negated
from framework.launch import Figures, Variant
from framework.systems.matrix_sensing import theory

_SOURCE = (
  'derived: ln(e_0/1e-12)/|2 ln(1 − ηλ_min(FᵀF))|, e_0 the squared noise block '
  'at the start times (k − r)/k'
)


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on the steps to ‖E‖_F = 1e-6 over (k, α)."""
  made = []
  for setting, lanes in settings(config, ds):
    made += [_times(setting, lanes), _arrivals(setting, lanes)]
    if max(lanes.values('k')) >= min(lanes.shape):
      made.append(_full(setting, lanes))
  return made


def _steps(lanes: Lanes) -> np.ndarray:
  """Measured steps to the level; NaN where it is not reached by T."""
  return fits.first_passage(lanes.t, lanes.seen('squared_error'), LEVEL)


def _law(lanes: Lanes) -> np.ndarray:
  """The law for them, from where each lane began and ended."""
  k, r = lanes.given('k'), lanes.config.r
  # Of the k columns of the start only k − r directions are noise in the end.
  start = lanes.seen('residual')[:, 0] ** 2 * np.maximum(k - r, 1) / k
  rate = theory.linear_rate(lanes.given('eta'), lanes.seen('noise_eigenvalue'))
  with np.errstate(divide='ignore', invalid='ignore'):
    return np.asarray(theory.time_to_error(LEVEL, start, rate))


def _typical(lanes: Lanes) -> np.ndarray:
  """The same for the median of Gaussian starts."""
  alpha, rho, k = map(lanes.given, ('alpha', 'ratio', 'k'))
  median = np.array([np.median(lowest) for lowest, _ in expected.starts(lanes)])
  start = rho**2 * alpha**4 * np.maximum(k - lanes.config.r, 1)
  eigenvalue = np.maximum(median, 1e-30) * alpha**2
  rate = expected.contraction(
    lanes, eigenvalue * expected.noise_share(lanes), 0.0
  )
  return np.asarray(theory.time_to_error(LEVEL, start, rate))


def _noisy(lanes: Lanes) -> Gate:
  """Lanes with noise that an imbalance may kill."""
  r = lanes.config.r
  return gate(
    *noiseless(lanes),
    (lanes.config.precision == 'float64', 'float32 does not reach 1e-12'),
    (lanes.given('k') > r, f'k <= r = {r}: there is no noise'),
    (
      (lanes.given('tied') == 0) & (lanes.given('ratio') < 1),
      'G_0 is not smaller than F_0',
    ),
  )


def _fitted(lanes: Lanes) -> Gate:
  """Those of them that have fitted the signal by T."""
  rate, steps = expected.signal_rate(lanes), lanes.config.steps
  return gate(
    _noisy(lanes),
    (
      expected.folds(lanes, rate, steps) >= -np.log(LEVEL / 10),
      'T is too short for the signal, or eta is beyond stability',
    ),
  )


def _times(setting: str, lanes: Lanes) -> Claim:
  typical, steps = _typical(lanes), lanes.config.steps
  signal = -np.log(LEVEL) / np.maximum(expected.signal_rate(lanes), 1e-30)
  can = gate(
    _fitted(lanes),
    (
      lanes.given('k') <= lanes.config.r + 2,
      'k > r + 2: the slowest of many directions comes late',
    ),
    (typical > 2 * signal, 'the noise is not much slower than the signal'),
    (typical < 0.5 * steps, 'T is less than twice the typical time'),
  )
  measured, law = _steps(lanes), _law(lanes)
  statement = (
    'k <= r + 2, where the noise block is slowest: steps to ‖E‖ = 1e-6 over '
    'the law'
  )
  # Not there by T: not known if it should be, else no sooner than T.
  late = np.where(law < 0.5 * steps, np.nan, np.maximum(ratio(steps, law), 1))
  relative = np.where(np.isnan(measured), late, ratio(measured, law))
  words = dict(samples=relative, kind='theorem', headline=True)
  if lanes.sensing:
    return can.claim(
      at_least,
      f'{setting}.time',
      f'{statement}, which measurements can only slow down',
      _SOURCE,
      0.9,
      derivation='mean over lanes; the law is that of the population',
      **words,
    )
  return can.claim(
    within,
    f'{setting}.time',
    statement,
    _SOURCE,
    0.8,
    1.25,
    derivation='mean over lanes; the first decay is faster, λ drifts by up to '
    '9 %, and with more columns the slowest mode comes last',
    **words,
  )


def _arrivals(setting: str, lanes: Lanes) -> Claim:
  """As many lanes arrive as are imbalanced enough at the start."""
  can = _fitted(lanes)
  chance = expected.chance(lanes, LEVEL)[can.can]
  share = float(chance.mean()) if chance.size else 0.0
  scatter = np.sqrt(np.sum(chance * (1 - chance))) / max(chance.size, 1)
  return gate(
    can, (share > 0.1, 'by T fewer than a tenth of the lanes should arrive')
  ).claim(
    equals,
    f'{setting}.arrives',
    'k > r: the share of lanes at ‖E‖ = 1e-6 by T is that of starts that are '
    'imbalanced enough',
    'derived: λ_min(FᵀF − GᵀG) of Gaussian starts, conserved',
    share,
    samples=known(np.less_equal, lanes.seen('squared_error')[:, -1], LEVEL),
    atol=(0.2 if lanes.sensing else 0.1) + 3 * float(scatter),
    derivation='three standard errors, and a tenth for the drift of λ',
    kind='theorem',
    headline=True,
  )


def _full(setting: str, lanes: Lanes) -> Claim:
  """The control at k = n, where the smallest imbalance vanishes."""
  alpha, rho, k, eta = map(lanes.given, ('alpha', 'ratio', 'k', 'eta'))
  begin = rho**2 * alpha**4 * np.maximum(k - lanes.config.r, 1)
  needed = np.maximum(np.log(begin / LEVEL), 0) / (2 * lanes.config.steps)
  imbalance = -np.expm1(-needed) / (eta * alpha**2)
  late = [
    np.mean(least < wanted)
    for (_, least), wanted in zip(
      expected.starts(lanes), imbalance, strict=True
    )
  ]
  return gate(
    _noisy(lanes),
    (k >= min(lanes.shape), 'k < n'),
    (
      np.array(late) >= 0.95,
      'at k = n some starts of this alpha are imbalanced enough to arrive by T',
    ),
  ).claim(
    at_least,
    f'{setting}.full',
    'control: at k = n the smallest imbalance vanishes and small α must not '
    'arrive',
    'derived: the least eigenvalue of FᵀF − GᵀG of Gaussian starts',
    0.9,
    samples=negated(
      known(np.less_equal, lanes.seen('squared_error')[:, -1], LEVEL)
    ),
    derivation='share of lanes that do not arrive by T, of those of which '
    '95 in 100 should not',
    kind='theorem',
  )


def figures(config: Config, ds: Dataset) -> Figures:
  """The phase diagram, and each of its lanes against the law."""
  from framework.evidence import figures as plotting

  fig, panels = drawing.panels(config, ds, 'linear', 'linear', height=3.0)
  alphas = np.array(panels[0][1].values('alpha'))
  ks = [int(k) for k in panels[0][1].values('k')]
  order = np.argsort(alphas)
  for ax, lanes in panels:
    middle = [
      [_median(_steps(lanes.at(k=k, alpha=a))) for a in alphas[order]]
      for k in ks
    ]
    plotting.heatmap(
      ax,
      alphas[order].tolist(),
      ks,
      np.array(middle),
      'steps to error $10^{-6}$',
    )
  x = r'scale of the start $\alpha$'
  drawing.named(panels, 'columns $k$', x)
  made = {
    'phase': (
      fig,
      f'Median steps until the error ‖FGᵀ − M‖_F is 1e-6, FGᵀ, n = {config.n}, '
      f'r = {config.r}. Hatched: not within {config.steps} steps.',
    )
  }
  fig, panels = drawing.panels(config, ds, 'log', 'log', height=3.0)
  colors = plotting.palette(range(len(ks)))
  for ax, every in panels:
    for k, color in zip(ks, colors, strict=True):
      if k <= config.r:
        continue
      lanes = every.at(k=k)
      measured, law = _steps(lanes), _law(lanes)
      signal = -np.log(LEVEL) / np.maximum(expected.signal_rate(lanes), 1e-30)
      noisy, there = law > 2 * signal, np.isfinite(measured)
      name = f'$k={k}$' if np.any(noisy & there) else None
      for here, style in ((noisy, {'label': name}), (~noisy, {'mfc': 'none'})):
        x, y = law[here & there], measured[here & there]
        ax.plot(x, y, 'o', ms=3.5, color=color, **style)
    hollow = dict(ms=3.5, mfc='none', color='grey', label='signal slowest')
    ax.plot([], [], 'o', **hollow)
    ends = np.array([100.0, float(config.steps)])
    drawing.law(ax, ends, ends, 'measured = law')
    ax.set_xlim(30, 3 * config.steps)
  x = r'law: $\ln(e_0/10^{-12})\,/\,|2\ln(1-\eta\lambda)|$'
  drawing.named(panels, 'measured steps to $10^{-6}$', x)
  made['law'] = (
    fig,
    'Every lane of the phase diagram against the law. Filled: the noise block '
    'is slowest, where the law is meant to hold.',
  )
  return made


def _median(values: np.ndarray) -> float:
  """The median; NaN, never, counts as later than any number."""
  middle = np.sort(np.where(np.isnan(values), np.inf, values))
  found = middle[len(values) // 2]
  return float(found) if np.isfinite(found) else np.nan


VARIANT = Variant(runs.arm, runs.times, claims, figures)
