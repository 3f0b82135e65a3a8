"""The same truth, measurements and start with XXᵀ and with FGᵀ."""

import numpy as np
from xarray import Dataset

from configs.matrix_sensing import Config
from experiments.matrix_sensing import drawing, runs
from experiments.matrix_sensing.measure import PAPER, lanes, prepared
from framework.evidence import fits
from framework.evidence.claims import Claim, at_least, at_most, within
from framework.launch import Figures, Variant
from framework.systems.matrix_sensing import theory


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on the same problem with XXᵀ and with FGᵀ."""
  ds = prepared(config, ds)
  t = ds['time'].values
  made = []
  for setting in ds['setting'].values:
    if 'asymmetric' in ds['parametrisation'].values:
      error = lanes(
        ds, 'squared_error', setting=setting, parametrisation='asymmetric'
      )
      made.append(
        at_most(
          f'{setting}.asymmetric',
          'FGᵀ reaches 1e-20',
          f'{PAPER}: exp(−Ω(α²T))',
          0.5 * config.steps,
          fits.first_passage(t, error, 1e-20),
          each=True,
          derivation='2000 steps were measured at α = 0.5, a tenth of T',
        )
      )
    if 'symmetric' in ds['parametrisation'].values:
      error = lanes(
        ds, 'squared_error', setting=setting, parametrisation='symmetric'
      )
      made += [
        at_least(
          f'{setting}.symmetric',
          'XXᵀ from the same start, with the same '
          'measurements, is still above its lower bound',
          f'{PAPER}: Ω(1/T²)',
          0.9,
          error[:, -1]
          / np.asarray(
            theory.sublinear(config.steps, config.k, config.r, config.eta)
          ),
          each=True,
          derivation='ratio to (k − r)/(4η²T²), the population law; '
          'measurements only make it slower',
        ),
        within(
          f'{setting}.exponent',
          'XXᵀ falls as T⁻²',
          f'{PAPER}: Ω(1/T²)',
          -2.05,
          -1.80,
          fits.power_law(t, error, fits.last_decade(t)).slope,
          each=True,
          derivation='creeps to −2 from above with measurements',
        ),
      ]
  return made


def figures(config: Config, ds: Dataset) -> Figures:
  """Trajectories of the lanes, with the laws laid over."""
  ds = prepared(config, ds)
  t = ds['time'].values
  shown = t > 0
  fig, panels = drawing.panels(
    ds, 'log', 'log', drawing.TAIL, sharey=True, height=3.0
  )
  names = {'symmetric': r'$XX^\top$', 'asymmetric': r'$FG^\top$'}
  for setting, ax in panels.items():
    for i, kind in enumerate(ds['parametrisation'].values):
      error = lanes(ds, 'squared_error', setting=setting, parametrisation=kind)
      drawing.lines(ax, t[shown], error[:, shown], names[kind], f'C{i}')
    late = t > 3 * float(theory.crossover(config.eta, config.alpha))
    law = theory.sublinear(
      t[late].astype(float), config.k, config.r, config.eta
    )
    drawing.law(panels, ax, t[late], np.asarray(law), r'$(k-r)/(4\eta^2t^2)$')
    ax.set_xlabel(drawing.STEP)
  next(iter(panels.values())).set_ylabel('squared error')
  drawing.legend(next(iter(panels.values())))
  return {
    'sym_vs_asym': (
      fig,
      f'The same truth, measurements and start with XXᵀ and with FGᵀ, '
      f'k = {config.k}: breaking the symmetry makes it linear.',
    )
  }


VARIANT = Variant(runs.arm, runs.times, claims, figures)
