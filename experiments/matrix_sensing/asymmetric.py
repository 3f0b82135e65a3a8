"""The curse of initialisation: FGᵀ is linear, at a rate that grows as α²."""

import numpy as np
from xarray import Dataset

from configs.matrix_sensing import Config
from experiments.matrix_sensing import drawing, expected, runs
from experiments.matrix_sensing.gates import Gate, gate, noiseless
from experiments.matrix_sensing.reading import PAPER, Lanes, ratio, settings
from framework.evidence import fits
from framework.evidence.claims import Claim, at_least, equals, within
from framework.evidence.known import known
from framework.launch import Figures, Variant
from framework.systems.matrix_sensing import theory

ARRIVED = 1e-8  # squared error of a lane that has arrived


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on FGᵀ at k > r: linear, at a rate that grows as α²."""
  made = []
  for setting, lanes in settings(config, ds):
    tied = lanes.values('tied')
    if 0.0 in tied:
      made += _untied(setting, lanes.at(tied=0.0))
    if 1.0 in tied and not lanes.sensing:
      made.append(_tied(setting, lanes.at(tied=1.0)))
  return made


def _untied(setting: str, lanes: Lanes) -> list[Claim]:
  """F_0 and G_0 independent: linear, at a rate that grows as α²."""
  config, r = lanes.config, lanes.config.r
  k, alpha, eta = map(lanes.given, ('k', 'alpha', 'eta'))
  signal = expected.signal_rate(lanes)
  noise = expected.noise_rate(lanes)
  depth = expected.folds(lanes, np.minimum(signal, noise), config.steps)
  fits_truth = (k >= r, f'k < r = {r}: the truth cannot be fitted')
  over = (k > r, f'k = r = {r}: there is no noise whose rate could depend on α')
  deep = (
    depth >= expected.FOLDS,
    f'T = {config.steps} is too short: the error of the slowest lane may fall '
    f'by no more than e^{-np.max(depth):.3g}',
  )
  parameters = sum(lanes.shape) * max(config.k, *config.axis('k'))
  linearised = (
    parameters <= 600,
    'JᵀJ has too many parameters and was not diagonalised',
  )
  # Above, the cross block of the signal may be slower than the noise block.
  slowest = (
    2 * alpha**2 <= 1.001 * lanes.sigma[:, -1],
    '2α² > σ_r: the signal may be slower than the noise',
  )
  fastest = np.minimum(
    expected.signal_rate(lanes, fast=True),
    expected.noise_rate(lanes, fast=True),
  )
  rho = lanes.given('ratio')
  can = gate(
    *noiseless(lanes),
    fits_truth,
    (expected.resolved(lanes, fastest), 'too few records for a slope'),
    (rho**2 * alpha**4 > 1e-12, 'G_0 is too small for its noise to be seen'),
    deep,
  )
  ntk = theory.linear_rate(eta, lanes.seen('ntk_min'), lanes.seen('ntk_max'))
  relative = ratio(lanes.rate, ntk)
  source = 'derived: the step linearised at its limit'
  here = gate(can, linearised)
  made = [
    _arrivals(setting, lanes, gate(*noiseless(lanes), fits_truth, over)),
    here.claim(
      within,
      f'{setting}.ntk',
      'linear at the rate 2 ln(1 − ηλ⁺_min(JᵀJ))',
      source,
      0.98,
      1 + _mean(expected.mixing(lanes, depth), here),
      samples=relative,
      derivation='mean ratio to the law; modes near the slowest are in the '
      'window still: (ln d + 1.3)/N, d modes, N e-folds',
      kind='theorem',
      headline=True,
    ),
    here.claim(
      at_least,
      f'{setting}.slowest',
      'and in no lane slower',
      source,
      0.97,
      samples=relative,
      each=True,
      derivation='ratio to the law, which is the slowest mode; the fit',
      kind='theorem',
    ),
  ]
  alone = gate(can, over, slowest)
  if not lanes.sensing:
    eigenvalue = lanes.seen('noise_eigenvalue')
    law = theory.linear_rate(eta, eigenvalue)
    made.append(
      alone.claim(
        within,
        f'{setting}.noise',
        'for 2α² <= σ_r it is 2 ln(1 − ηλ_min(F_∞ᵀF_∞))',
        'derived: G⁺ = G(I − ηFᵀF) on the noise rows of G',
        0.98,
        1 + _mean(expected.mixing(lanes, depth), alone),
        samples=ratio(lanes.rate, law),
        derivation='mean ratio to the law, which is exact at the limit; as for '
        'the linearisation',
        kind='theorem',
      )
    )
  return [*made, _alpha_exponent(setting, lanes, alone)]


def _mean(values: np.ndarray, where: Gate) -> float:
  return float(values[where.can].mean()) if where.can.any() else 0.0


def _arrivals(setting: str, lanes: Lanes, can: Gate) -> Claim:
  """As many lanes converge by T as are imbalanced enough at the start."""
  signal = expected.folds(
    lanes, expected.signal_rate(lanes), lanes.config.steps
  )
  soon = gate(
    can,
    (
      signal >= np.log(10 / ARRIVED),
      'T is too short for the signal, or eta is beyond stability',
    ),
  )
  chance = expected.chance(lanes, ARRIVED)[soon.can]
  share = float(chance.mean()) if chance.size else 0.0
  there = known(np.less, lanes.last, ARRIVED)
  slack = 3 * np.sqrt(share * (1 - share) / lanes.ds.sizes['seed'])
  return gate(
    soon,
    (share >= 0.5, 'by T fewer than half of the lanes should arrive'),
  ).claim(
    equals,
    f'{setting}.arrives',
    'linear at every α: the share of lanes below 1e-8 at T is that of starts '
    'that are imbalanced enough',
    f'{PAPER}: exp(−Ω(α²T)) for k > r; the share is derived',
    share,
    samples=there,
    atol=(0.2 if lanes.sensing else 0.1) + float(slack),
    derivation='λ_min(FᵀF − GᵀG) of Gaussian starts is kept to a tenth; three '
    'standard errors over seeds, which share their starts between α',
    kind='paper',
    headline=True,
  )


def _alpha_exponent(setting: str, lanes: Lanes, can: Gate) -> Claim:
  """The rate grows as α² while the noise block is the slowest."""
  tested = lanes.over('alpha', np.broadcast_to(can.can, lanes.size))
  alpha = lanes.over('alpha', lanes.given('alpha'))
  slope = lanes.over('alpha', lanes.rate)
  largest = np.where(tested, alpha, 0).max(0)
  smallest = np.where(tested, alpha, np.inf).min(0)
  enough = (tested.sum(0) >= 3) & (largest >= 1.9 * smallest)
  n = min(lanes.shape)
  scatter = 4 if lanes.sensing else 2
  slack = lanes.config.r / n * (1 + scatter / max(enough.sum(), 1) ** 0.5)
  with np.errstate(invalid='ignore', divide='ignore'):
    # NaN where one of them does not converge.
    line = fits.line(np.log(alpha.T), np.log(-slope).T, where=tested.T)
    converges = np.all(~tested | (slope < 0), axis=0)
  exponent = np.where(converges, line.slope, np.nan)
  why = 'fewer than three α that can show it, a factor of 1.9 apart'
  return gate(
    (enough, f'{can.why}; {why}' if can.why else why),
    (slack <= 0.7, f'r/n = {lanes.config.r}/{n}: too few rows for an exponent'),
  ).claim(
    equals,
    f'{setting}.exponent',
    'the rate grows as α² while the noise is the slowest',
    f'{PAPER}: exp(−Ω(α²T)) for k > r',
    2.0,
    samples=exponent,
    atol=float(slack),
    derivation='the rows of F in the signal space take a share O(r/n) of the '
    f'noise, which grows with α; the mean scatters by {scatter}/√lanes of that',
    kind='paper',
    headline=True,
  )


def _tied(setting: str, lanes: Lanes) -> Claim:
  """The control: no imbalance, no linear convergence."""
  steps, r = lanes.config.steps, lanes.config.r
  eta, alpha = lanes.given('eta'), lanes.given('alpha')
  # Descent conserves Δ up to O(η²) a step, unless F = G for ever.
  drift = 0.3 * eta * alpha**2 / min(lanes.shape)
  if lanes.config.axis('truth') == ('symmetric',):
    drift = 0 * drift
  return gate(
    *noiseless(lanes),
    (lanes.given('k') > r, f'k <= r = {r}: there is no noise'),
    (
      expected.crossovers(lanes) >= 10,
      'T/10 is below ten times the step 1/(2ηx²) from which on noise falls '
      'as 1/t²: more steps or a larger alpha are needed',
    ),
    (
      2 * eta * drift * steps <= 1,
      'so many steps of this η and α that the imbalance which descent makes '
      'itself, 0.3ηα²/n, shows',
    ),
    (expected.settled(lanes, steps / 10), 'the signal is not fitted by T/10'),
  ).claim(
    within,
    f'{setting}.tied',
    'control: with G_0 = F_0 there is no imbalance and it must not be linear '
    'but T⁻² as for XXᵀ',
    'derived: Δ = 0 is conserved by gradient flow',
    -2.2,
    -1.8,
    samples=lanes.exponent,
    each=True,
    derivation='exponent on [T/10, T], ten crossovers on: the start bends it '
    'by up to 0.08, and an imbalance of 1/(2ηT) by 0.1',
    kind='theorem',
  )


def figures(config: Config, ds: Dataset) -> Figures:
  """Trajectories at each α, and the rates against α."""
  from framework.evidence import figures as plotting

  fig, panels = drawing.panels(
    config, ds, 'linear', 'log', drawing.TAIL, height=3.0
  )
  alphas = [float(a) for a in panels[0][1].values('alpha')]
  colors = dict(zip(alphas, plotting.palette(alphas, 'log'), strict=True))
  for ax, every in panels:
    for tied in every.values('tied'):
      for alpha in [max(alphas)] if tied else alphas:
        lanes = every.at(tied=tied, alpha=alpha)
        name = rf'$\alpha={alpha:g}$' if not tied else r'$G_0=F_0$ (control)'
        color = 'grey' if tied else colors[alpha]
        drawing.lines(ax, lanes.t, lanes.seen('squared_error'), name, color)
    ax.set_xlim(0, config.steps)
  drawing.named(panels, drawing.ERROR, drawing.STEP, legend=-1)
  made = {
    'linear': (
      fig,
      'FGᵀ with k > r from starts of different scale α: linear at every α, '
      'faster for larger α. Grey: F_0 = G_0, which has no imbalance and falls '
      'as 1/T².',
    )
  }
  if 0.0 in panels[0][1].values('tied'):
    made['rate'] = (
      _rates(config, ds, alphas),
      'Rate of convergence against α: measured, predicted by linearising at '
      'the limit, and the power law with exponent 2.',
    )
  return made


def _rates(config: Config, ds: Dataset, alphas: list[float]):
  fig, panels = drawing.panels(config, ds, 'log', 'log', height=2.8)
  measured, law = dict(color='C0', ms=3.5), dict(color='C1', ms=11, mew=1.2)
  for ax, every in panels:
    lanes = every.at(tied=0.0)
    ntk = theory.linear_rate(lanes.given('eta'), lanes.seen('ntk_min'))
    x, rates = lanes.given('alpha'), -lanes.rate
    ax.plot(x, np.where(rates > 0, rates, np.nan), 'o', **measured)
    ax.plot(x, -np.asarray(ntk), '_', **law)
    ax.plot([], [], 'o', label='measured, a dot a lane', **measured)
    name = r'$-2\ln(1-\eta\lambda^+_{\min}(J^\top J))$'
    ax.plot([], [], '_', label=name, **law)
    middle = np.exp(
      np.nanmean(np.log(np.where(rates > 0, rates, np.nan) / x**2))
    )
    grid = np.geomspace(min(alphas), max(alphas), 50)
    drawing.law(ax, grid, middle * grid**2, r'slope 2: $\propto\alpha^2$')
    if len(alphas) <= 8:
      ax.set_xticks(alphas, [f'{a:g}' for a in alphas])
      ax.minorticks_off()
    ax.set_xlim(0.9 * min(alphas), 1.1 * max(alphas))
  x = r'scale of the start $\alpha$'
  drawing.named(panels, 'rate per step', x)
  return fig


VARIANT = Variant(runs.arm, runs.times, claims, figures)
