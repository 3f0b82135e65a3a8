"""The same truth, measurements and start with XXᵀ and with FGᵀ."""

import numpy as np
from xarray import Dataset

from configs.matrix_sensing import Config
from experiments.matrix_sensing import drawing, expected, runs
from experiments.matrix_sensing.gates import gate, noiseless
from experiments.matrix_sensing.reading import PAPER, Lanes, settings
from experiments.matrix_sensing.symmetric import EXPONENT, over
from framework.evidence import fits
from framework.evidence.claims import Claim, at_most, untestable
from framework.launch import Figures, Variant


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on the same problem with XXᵀ and with FGᵀ."""
  made = []
  for setting, lanes in settings(config, ds):
    kinds = lanes.values('parametrisation')
    if 'asymmetric' in kinds:
      made.append(_asymmetric(setting, lanes.at(parametrisation='asymmetric')))
    if 'symmetric' in kinds:
      made += _symmetric(setting, lanes.at(parametrisation='symmetric'))
  return made


def _asymmetric(setting: str, lanes: Lanes) -> Claim:
  config, r = lanes.config, lanes.config.r
  rate = np.minimum(expected.signal_rate(lanes), expected.noise_rate(lanes))
  half = expected.folds(lanes, rate, config.steps / 2)
  reached = fits.first_passage(lanes.t, lanes.seen('squared_error'), 1e-20)
  return gate(
    *noiseless(lanes),
    (lanes.given('k') > r, f'k <= r = {r}: both are linear'),
    (
      half >= np.log(1e20),
      f'T = {config.steps} is too short: by T/2 the slowest lane may have '
      f'fallen by no more than e^{-np.max(half):.3g}',
    ),
    (config.precision == 'float64', 'float32 does not reach 1e-20'),
  ).claim(
    at_most,
    f'{setting}.asymmetric',
    'FGᵀ reaches 1e-20 by T/2',
    f'{PAPER}: exp(−Ω(α²T))',
    0.5 * config.steps,
    samples=reached,
    each=True,
    derivation='the rate of the least imbalanced of Gaussian starts',
    kind='paper',
    headline=True,
  )


def _symmetric(setting: str, lanes: Lanes) -> list[Claim]:
  r, made = lanes.config.r, []
  for k in lanes.values('k'):
    name = setting if len(lanes.values('k')) == 1 else f'{setting}.k={k}'
    if k <= r:
      made.append(
        untestable(
          f'{name}.exponent',
          'XXᵀ falls as T⁻²',
          f'{PAPER}: Ω(1/T²)',
          f'k = {k} <= r = {r}: both are linear',
          predicted=EXPONENT,
          headline=True,
        )
      )
    else:
      made += over(name, lanes.at(k=k))
  return made


def figures(config: Config, ds: Dataset) -> Figures:
  """Both trajectories on the same problem."""
  fig, panels = drawing.panels(
    config, ds, 'log', 'log', drawing.TAIL, height=3.0
  )
  names = {'symmetric': r'$XX^\top$', 'asymmetric': r'$FG^\top$'}
  for ax, every in panels:
    for i, kind in enumerate(every.values('parametrisation')):
      lanes = every.at(parametrisation=kind)
      error = lanes.seen('squared_error')
      drawing.lines(ax, lanes.t, error, names[kind], f'C{i}')
    drawing.sublinear(ax, every, config.k, r'$(k-r)/(4\eta^2t^2)$')
  drawing.named(panels, 'squared error', drawing.STEP)
  return {
    'sym_vs_asym': (
      fig,
      'The same truth, measurements and start with XXᵀ and with FGᵀ, '
      f'k = {config.k}: breaking the symmetry makes it linear.',
    )
  }


VARIANT = Variant(runs.arm, runs.times, claims, figures)
