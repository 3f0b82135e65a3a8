"""The curse of symmetry: XXᵀ is linear at k = r and T⁻² beyond."""

import numpy as np
from xarray import Dataset

from configs.matrix_sensing import Config
from experiments.matrix_sensing import drawing, expected, runs
from experiments.matrix_sensing.gates import Gate, gate, noiseless
from experiments.matrix_sensing.reading import (
  FLOOR,
  PAPER,
  Lanes,
  ratio,
  settings,
)
from framework.evidence import fits
from framework.evidence.claims import (
  Claim,
  at_most,
  equals,
  untestable,
  within,
)
from framework.launch import Figures, Variant
from framework.systems.matrix_sensing import theory

EXPONENT = -2.0  # of the squared error in T for k > r


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on XXᵀ: linear at k = r, 1/T² beyond."""
  made = []
  for setting, every in settings(config, ds):
    for k in every.values('k'):
      lanes, name = every.at(k=k), f'{setting}.k={k}'
      if k < config.r:
        why = f'k = {k} < r = {config.r}: the truth cannot be fitted'
        made.append(untestable(name, 'XXᵀ fits the truth', PAPER, why))
      elif k == config.r:
        made += _exact(name, lanes)
      else:
        made += over(name, lanes)
  return made


def _exact(name: str, lanes: Lanes) -> list[Claim]:
  """At k = r: the rate of the linearisation, down to rounding."""
  eta, sigma = lanes.given('eta'), lanes.sigma
  steps, precision = lanes.config.steps, lanes.config.precision
  depth = expected.folds(lanes, expected.signal_rate(lanes), steps)
  fastest = expected.signal_rate(lanes, fast=True)
  can = gate(
    *noiseless(lanes),
    (expected.resolved(lanes, fastest), 'too few records for a slope'),
    (
      depth >= 5 - np.log(FLOOR[precision]),
      'T is too short: the slowest mode falls by no more than '
      f'e^-{np.max(depth):.3g} by T, and the floor is {FLOOR[precision]:g}',
    ),
  )
  if lanes.sensing:
    made = [_of_linearisation(name, lanes, can, depth)]
  else:
    # What is left in the window of the mode next to the slowest.
    gap = sigma[:, :-1] / sigma[:, -1:] - 1
    next_to_it = gap * np.minimum(10 * np.exp(40 * -gap), 1)
    blur = 0.002 + next_to_it.max(1, initial=0)
    law = theory.linear_rate(eta, sigma[:, -1], 2 * sigma[:, 0])
    made = [
      gate(
        can,
        (blur < 0.1, 'the two smallest singular values are too near'),
      ).claim(
        equals,
        f'{name}.rate',
        'at k = r the rate is 2 ln max(1 − ησ_r, |1 − 2ησ_1|)',
        'derived: the cross block contracts by 1 − ησ_r a step, and the block '
        'of σ_1 by 1 − 2ησ_1',
        1.0,
        samples=ratio(lanes.rate, law),
        atol=float(blur[blur < 0.1].max(initial=0.002)),
        derivation='ratio to the law; ten times the next mode, 40 e-folds on',
        kind='theorem',
        headline=True,
      )
    ]
  floor = 5e-15 if precision == 'float64' else 2e-6
  energy = np.sum(sigma**2, axis=1)
  deep = depth >= 10 - 2 * np.log(floor)
  return [
    *made,
    gate(can, (deep, 'T is too short to reach it')).claim(
      at_most,
      f'{name}.floor',
      'the relative error ends at rounding',
      'derived: machine epsilon',
      floor,
      samples=np.sqrt(lanes.last / energy),
      each=True,
      derivation='about 20 machine epsilons (10 in float32)',
      kind='theorem',
    ),
  ]


def _of_linearisation(
  name: str, lanes: Lanes, can: Gate, depth: np.ndarray
) -> Claim:
  lowest, highest = lanes.seen('ntk_min'), lanes.seen('ntk_max')
  law = theory.linear_rate(lanes.given('eta'), lowest, highest)
  parameters = lanes.shape[0] * max(lanes.config.k, *lanes.config.axis('k'))
  here = gate(
    can,
    (
      parameters <= 600,
      'JᵀJ has too many parameters and was not diagonalised',
    ),
  )
  mixing = expected.mixing(lanes, depth)
  most = mixing[here.can].mean() if here.can.any() else 0
  return here.claim(
    within,
    f'{name}.rate',
    'at k = r the rate is 2 ln(1 − ηλ⁺_min(JᵀJ)) of the linearisation at the '
    'end',
    'derived: the step linearised at its limit',
    0.98,
    1 + float(most),
    samples=ratio(lanes.rate, law),
    derivation='ratio to the law; modes near the slowest are in the window '
    'still: (ln d + 1.3)/N, d dimensions, N e-folds',
    kind='theorem',
    headline=True,
  )


def over(name: str, lanes: Lanes) -> list[Claim]:
  """At k > r: the squared error of XXᵀ falls as 1/T², and no faster.

  Args:
    name: Prefix of the ids.
    lanes: Lanes of one k > r.

  Returns:
    Claims on the exponent, and on the constant or the loss.
  """
  config, source = lanes.config, f'{PAPER}: lower bound Ω(1/T²) for k > r'
  can = gate(
    *noiseless(lanes),
    (
      expected.crossovers(lanes) >= 50,
      'T/10 is below fifty times the step 1/(2ηx²) from which on noise falls '
      'as 1/t²: more steps or a larger alpha are needed',
    ),
    (
      expected.settled(lanes, config.steps / 10),
      'the signal is not fitted by T/10',
    ),
  )
  statement = 'the squared error falls as T⁻²'
  if not lanes.sensing:
    law = theory.sublinear(
      config.steps, lanes.given('k'), config.r, lanes.given('eta')
    )
    return [
      can.claim(
        equals,
        f'{name}.exponent',
        statement,
        source,
        EXPONENT,
        samples=lanes.exponent,
        atol=0.03,
        derivation='fifty crossovers on, the start bends the slope by 0.016, '
        'times 1.8 for the scatter of its spectrum',
        kind='paper',
        headline=True,
      ),
      can.claim(
        equals,
        f'{name}.constant',
        'at T it is (k − r)/(4η²T²)',
        'derived: x⁺ = x(1 − ηx²) in each noise direction',
        1.0,
        samples=ratio(lanes.last, law),
        atol=0.02,
        derivation='ratio to the law; 2/500 from the crossover, and its next '
        'term is (3/4) ln(T)/T',
        kind='theorem',
      ),
    ]
  made = [
    can.claim(
      within,
      f'{name}.bound',
      'the squared error falls, and no faster than T⁻²',
      source,
      -2.05,
      -1.0,
      samples=lanes.exponent,
      each=True,
      derivation='exponent on [T/10, T], −2 with 0.05 for the fit; the other '
      'end says that it falls at all',
      kind='paper',
    )
  ]
  near = gate(
    can,
    (lanes.given('k') <= config.r + 2, 'k > r + 2 creeps to −2 more slowly'),
    (
      config.m >= 4 * expected.dimension(lanes),
      'fewer than four measurements a dimension: noise hides where A is small',
    ),
  )
  creep = 1 / np.log(config.steps / 10**0.5)
  loss = fits.power_law(lanes.t, lanes.seen('loss'), fits.last_decade(lanes.t))
  for what, seen, slack in (
    ('exponent', lanes.exponent, 1.8),
    ('loss', loss.slope, 1.1),
  ):
    made.append(
      near.claim(
        within,
        f'{name}.{what}',
        statement if what == 'exponent' else 'the loss falls as T⁻²',
        source,
        -2.05,
        -2 + slack * float(creep),
        samples=seen,
        each=True,
        derivation='with measurements the exponent creeps to −2 from above, as '
        f'{slack}/ln t at most in runs to 1e5',
        kind='paper',
        headline=what == 'exponent',
      )
    )
  return made


def figures(config: Config, ds: Dataset) -> Figures:
  """The curse, and the local exponent of those that are cursed."""
  from framework.evidence import figures as plotting

  fig, panels = drawing.panels(
    config, ds, 'log', 'log', drawing.TAIL, height=3.0
  )
  ks = [int(k) for k in panels[0][1].values('k')]
  over = [k for k in ks if k > config.r]
  colors = dict(zip(ks, plotting.palette(range(len(ks))), strict=True))
  for ax, every in panels:
    for k in ks:
      lanes = every.at(k=k)
      label = f'$k={k}$' + ('$\\;=r$' if k == config.r else '')
      error = lanes.seen('squared_error')
      drawing.lines(ax, lanes.t, error, label, colors[k])
      first = over and k == over[0]
      name = r'$(k-r)/(4\eta^2t^2)$' if first else ''
      drawing.sublinear(ax, lanes, k, name)
    if config.r in ks and not every.sensing:
      _linear(ax, every.at(k=config.r))
  drawing.named(panels, drawing.SYMMETRIC_ERROR, drawing.STEP)
  made = {
    'curse': (
      fig,
      'Squared error of gradient descent on XXᵀ. At k = r it falls linearly to '
      'rounding; one column too many and it falls as 1/T², slope −2. Lines: '
      'median over lanes, bands: their range. Black: the laws.',
    )
  }
  fig, panels = drawing.panels(
    config, ds, 'log', 'linear', (-4, 0.5), height=2.6
  )
  for ax, every in panels:
    for k in over:
      lanes = every.at(k=k)
      middle, slope = fits.local_slope(
        lanes.t, lanes.seen('squared_error'), ratio=2.0
      )
      drawing.lines(ax, middle, slope, f'$k={k}$', colors[k])
    ends = np.array([1.0, float(config.steps)])
    drawing.law(ax, ends, np.full(2, EXPONENT), 'exponent $-2$')
  drawing.named(panels, 'local exponent over an octave', drawing.STEP)
  made['exponent'] = (
    fig,
    'Local exponent d ln‖XXᵀ − M‖² / d ln t over octaves, k > r: it settles '
    'at −2, with measurements slowly and from above.',
  )
  return made


def _linear(ax, lanes: Lanes) -> None:
  """The law of k = r through the median at 1e-8, if all lanes have one rate."""
  eta, kappa = lanes.only('eta'), lanes.only('kappa')
  error = np.median(lanes.seen('squared_error'), axis=0)
  anchor = int(np.argmax(error < 1e-8))
  if not anchor or not np.isfinite(eta + kappa):
    return
  sigma = lanes.sigma[0]
  rate = float(theory.linear_rate(eta, sigma[-1], 2 * sigma[0]))
  t = lanes.t
  span = (t > t[anchor] / 3) & (t <= t[anchor] + np.log(1e20) / abs(rate))
  line = error[anchor] * np.exp(rate * (t - t[anchor]))
  drawing.law(
    ax,
    t[span],
    np.where(line < 10, line, np.nan)[span],
    r'$(1-\eta\sigma_r)^{2t}$',
  )


VARIANT = Variant(runs.arm, runs.times, claims, figures)
