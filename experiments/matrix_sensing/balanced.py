"""The cure: one modified step makes the rate independent of α."""

import numpy as np
from xarray import Dataset

from configs.matrix_sensing import Config
from experiments.matrix_sensing import drawing, expected, runs
from experiments.matrix_sensing.gates import Gate, gate, noiseless
from experiments.matrix_sensing.reading import PAPER, Lanes, ratio, settings
from framework.evidence import fits
from framework.evidence.claims import Claim, at_least, at_most, equals, within
from framework.launch import Figures, Variant
from framework.systems.matrix_sensing import theory

_SOURCE = f'{PAPER}: the modified method'
_LEVEL = 1e-20


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on the one modified step."""
  made = []
  for setting, lanes in settings(config, ds):
    rules = lanes.values('optimizer')
    if 'balanced' in rules:
      made += _after_balancing(setting, lanes.at(optimizer='balanced'))
    if 'gd' in rules:
      made.append(_unmodified(setting, lanes.at(optimizer='gd')))
  return made


def _error(lanes: Lanes) -> np.ndarray:
  """‖FGᵀ − M‖_F when the relative loss is at the trigger."""
  return np.sqrt(lanes.given('trigger') * np.sum(lanes.sigma**2, axis=1))


def _slowest(lanes: Lanes, error: np.ndarray | float = 0.0) -> np.ndarray:
  """λ of the population after the modified step."""
  sigma_r = lanes.sigma[:, -1]
  beta2 = lanes.given('beta2') * sigma_r
  return np.asarray(theory.balanced_eigenvalue(beta2, sigma_r, error))


def _depth(lanes: Lanes) -> np.ndarray:
  """e-folds of the squared error between the modified step and T, at least."""
  alpha, rho, k = map(lanes.given, ('alpha', 'ratio', 'k'))
  trigger, sigma = lanes.given('trigger'), lanes.sigma
  # First the signal comes down to the trigger, and the noise if it is above.
  noise = rho**2 * alpha**4 * np.maximum(k - lanes.config.r, 0)
  noise = noise / np.sum(sigma**2, axis=1)
  with np.errstate(divide='ignore', invalid='ignore'):
    begun = -np.log(trigger) / expected.signal_rate(lanes)
    above = np.maximum(np.log(4 * noise / trigger), 0)
    begun += np.where(above > 0, above / expected.noise_rate(lanes), 0)
  beta2 = lanes.given('beta2') * sigma[:, -1]
  rate = expected.contraction(
    lanes,
    0.9 * _slowest(lanes, _error(lanes)) * _measured_share(lanes),
    beta2 + sigma[:, 0] ** 2 / beta2,
  )
  begun = np.where(begun > 0, begun, np.inf) + expected.growth(lanes)
  return rate * (lanes.config.steps - np.minimum(begun, 1e30))


def _measured_share(lanes: Lanes) -> np.ndarray:
  """Share of the rate that measurements leave: the slow modes among all.

  They are G's noise rows, at β², and F's for each σ_i, at σ_i²/β².
  """
  if not lanes.sensing:
    return np.ones(lanes.size)
  (n1, n2), r, k = lanes.shape, lanes.config.r, lanes.given('k')
  beta2 = (lanes.given('beta2') * lanes.sigma[:, -1])[:, None]
  near = 1.3 * _slowest(lanes)[:, None]
  slow = (n2 - r) * k * (beta2 <= near)[:, 0]
  slow = slow + (n1 - r) * np.sum(lanes.sigma**2 / beta2 <= near, axis=1)
  rest = expected.dimension(lanes) - slow
  return np.asarray(theory.measured_share(lanes.config.m, slow, rest))


def _after_balancing(setting: str, lanes: Lanes) -> list[Claim]:
  """Independent of α, at the rate that β² sets."""
  config, r = lanes.config, lanes.config.r
  eta, depth = lanes.given('eta'), _depth(lanes)
  best = -np.asarray(theory.linear_rate(eta, _slowest(lanes)))
  untied = (lanes.given('tied') == 0) & (lanes.given('ratio') < 1)
  deep = gate(
    *noiseless(lanes, 'balanced'),
    (lanes.given('k') > r, f'k <= r = {r}: there is no noise to re-gauge'),
    (untied, 'G_0 is not smaller than F_0'),
    (
      depth >= expected.FOLDS,
      f'T = {config.steps} is too short: after the modified step the error '
      f'may fall by no more than e^{-np.max(depth):.3g}',
    ),
  )
  can = gate(
    deep, (expected.resolved(lanes, best), 'too few records for a slope')
  )
  far = np.log(1 / _LEVEL)
  made = [
    gate(
      deep,
      (depth >= far, 'T is too short to reach 1e-20'),
      (config.precision == 'float64', 'float32 does not reach 1e-20'),
    ).claim(
      at_most,
      f'{setting}.arrives',
      'with one modified step every start reaches 1e-20 by T',
      _SOURCE,
      _LEVEL,
      samples=lanes.last,
      each=True,
      derivation='the level; lanes that the law says to reach it',
      kind='paper',
      headline=True,
    ),
    _spread(setting, lanes, can),
  ]
  ntk = theory.linear_rate(eta, lanes.seen('ntk_min'), lanes.seen('ntk_max'))
  parameters = sum(lanes.shape) * max(config.k, *config.axis('k'))
  here = gate(
    can,
    (
      parameters <= 600,
      'JᵀJ has too many parameters and was not diagonalised',
    ),
  )
  made.append(
    here.claim(
      at_least,
      f'{setting}.ntk',
      'never slower than the linearisation at the end',
      'derived: the step linearised at its limit',
      0.97,
      samples=ratio(lanes.rate, ntk),
      each=True,
      derivation='ratio to the law; the window holds faster modes',
      kind='theorem',
    )
  )
  if lanes.sensing:
    law = theory.linear_rate(eta, _slowest(lanes) * _measured_share(lanes))
    made.append(
      can.claim(
        equals,
        f'{setting}.share',
        'measurements leave the share (√(m − d_rest) − √d_slow)²/m of λ, the '
        'edge of a Wishart matrix',
        'derived: A is Gaussian on the tangent space',
        1.0,
        samples=ratio(lanes.rate, law),
        rtol=0.15,
        derivation='ratio of rates; modes near the slowest, the scatter of the '
        'edge, and the error at the modified step, each a few per cent',
        kind='theorem',
      )
    )
    return made
  least = np.asarray(theory.linear_rate(eta, _slowest(lanes, _error(lanes))))
  made.append(
    can.claim(
      within,
      f'{setting}.rate',
      'the rate is 2 ln(1 − η min(β², b²)), b² = σ_r²/β² or less by what FGᵀ '
      'is short of σ_r at the modified step',
      'derived: noise block ηβ², cross block ηb²',
      0.98,
      1.02 + 1 / float(np.min(depth[can.can], initial=np.inf)),
      samples=ratio(lanes.rate, np.clip(lanes.rate, -best, least)),
      each=True,
      derivation='ratio to the nearest rate that the law allows; the fit, and '
      'what is left of faster modes',
      kind='theorem',
      headline=True,
    )
  )
  return made


def _spread(setting: str, lanes: Lanes, can: Gate) -> Claim:
  """Rates over α, all else equal: largest over smallest."""
  tested = lanes.over('alpha', np.broadcast_to(can.can, lanes.size))
  speed = -lanes.over('alpha', lanes.rate)
  # A lane that does not converge has no rate, and the spread is not known.
  speed = np.where(speed > 0, speed, np.nan)
  largest = np.where(tested, speed, -np.inf).max(0)
  smallest = np.where(tested, speed, np.inf).min(0)
  allowed = _slowest(lanes) / _slowest(lanes, _error(lanes))
  allowed = float(allowed[can.can].max(initial=1.0))
  blur = 0.1 if lanes.sensing else 0.02
  why = 'fewer than two values of alpha that can show it'
  return gate(
    (tested.sum(0) >= 2, f'{can.why}; {why}' if can.why else why)
  ).claim(
    within,
    f'{setting}.spread',
    'after one modified step the rate does not depend on α: largest over '
    'smallest',
    _SOURCE,
    1.0,
    allowed * (1 + blur),
    samples=ratio(largest, smallest),
    each=True,
    derivation='the law without and with an error at the modified step, and '
    'the fit',
    kind='paper',
    headline=True,
  )


def _unmodified(setting: str, lanes: Lanes) -> Claim:
  """The control: small starts are slow."""
  alpha, rho, k = map(lanes.given, ('alpha', 'ratio', 'k'))
  fastest = np.array([lowest[-1] for lowest, _ in expected.starts(lanes)])
  with np.errstate(invalid='ignore', divide='ignore'):
    eigenvalue = np.maximum(fastest, 0) * alpha**2
    rate = expected.contraction(lanes, eigenvalue, 0.0)
    left = np.log(rho**2 * alpha**4 / 2) - rate * lanes.config.steps
  bound = 1e-10
  return gate(
    *noiseless(lanes),
    (k > lanes.config.r, 'k <= r: there is no noise that could be slow'),
    (
      left >= np.log(2 * bound),
      'every start is large enough to be converged by T',
    ),
  ).claim(
    at_least,
    f'{setting}.gd',
    'control: unmodified, small α must be far from converged at T',
    f'{PAPER}: rate α²',
    bound,
    samples=lanes.last,
    each=True,
    derivation='the slowest noise starts at ρ²α⁴ and decays by '
    'exp(−2ηλα²T) at most, λ the largest of Gaussian starts',
    kind='paper',
  )


def figures(config: Config, ds: Dataset) -> Figures:
  """Trajectories with and without the modified step."""
  from framework.evidence import figures as plotting

  fig, panels = drawing.panels(
    config, ds, 'linear', 'log', drawing.TAIL, height=3.2
  )
  alphas = [float(a) for a in panels[0][1].values('alpha')]
  colors = plotting.palette(alphas, 'log')
  for ax, every in panels:
    rules = every.values('optimizer')
    for rule in rules:
      for alpha, color in zip(alphas, colors, strict=True):
        lanes, modified = every.at(optimizer=rule, alpha=alpha), rule != 'gd'
        name = rf'$\alpha={alpha:g}$' if modified else None
        style, error = '-' if modified else ':', lanes.seen('squared_error')
        drawing.lines(ax, lanes.t, error, name, color, style, band=False)
    if 'gd' in rules:
      ax.plot([], [], 'k:', label='plain GD')
    if not every.sensing and 'balanced' in rules:
      _law(ax, every.at(optimizer='balanced', alpha=alphas[0]))
    ax.set_xlim(0, config.steps)
  drawing.named(panels, drawing.ERROR, drawing.STEP)
  return {
    'balanced': (
      fig,
      'FGᵀ with one modified step (solid) and without (dotted): after the step '
      'the rate does not depend on α. Medians over seeds.',
    )
  }


def _law(ax, lanes: Lanes) -> None:
  """The rate after the modified step, if the lanes have one."""
  eta, slowest = lanes.only('eta'), np.unique(_slowest(lanes))
  begun = np.nanmedian(
    fits.first_passage(lanes.t, lanes.seen('squared_error'), 1e-5)
  )
  if len(slowest) == 1 and np.isfinite(eta + begun):
    rate = float(theory.linear_rate(eta, slowest[0]))
    t = lanes.t[
      (lanes.t > begun) & (lanes.t < begun + np.log(1e23) / abs(rate))
    ]
    name = r'$2\ln(1-\eta\min(\beta^2,\sigma_r^2/\beta^2))$'
    drawing.law(ax, t, 1e-5 * np.exp(rate * (t - begun)), name)


VARIANT = Variant(runs.arm, runs.times, claims, figures)
