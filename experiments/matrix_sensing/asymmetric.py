"""The curse of initialisation: FGᵀ is linear, at a rate that grows as α²."""

from typing import Any

import numpy as np
from xarray import Dataset

from configs.matrix_sensing import Config
from experiments.matrix_sensing import drawing, runs
from experiments.matrix_sensing.measure import (
  PAPER,
  axis,
  beyond_crossover,
  lanes,
  linear_rates,
  prepared,
)
from framework.evidence import fits
from framework.evidence.claims import Claim, equals, untestable, within
from framework.launch import Figures, Variant
from framework.systems.matrix_sensing import theory


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on FGᵀ at k > r: linear, at a rate that grows as α²."""
  ds = prepared(config, ds)
  made = []
  for setting in ds['setting'].values:
    if 0.0 in ds['tied'].values:
      made += _untied(config, ds, {'setting': setting, 'tied': 0.0})
    if 1.0 in ds['tied'].values and setting == 'population':
      made.append(_tied(config, ds, {'setting': setting, 'tied': 1.0}))
  return made


def _untied(config: Any, ds: Any, here: dict) -> list[Claim]:
  """F_0 and G_0 independent: linear, at a rate that grows as α²."""
  setting = here['setting']
  error = lanes(ds, 'squared_error', **here)
  alpha, eta = axis(ds, 'alpha', here), axis(ds, 'eta', here)
  slope = linear_rates(ds['time'].values, error).slope
  arrived = error[:, -1] < 1e-8
  statement = 'linear at the rate 2 ln(1 − ηλ⁺_min(JᵀJ))'
  if not arrived.any():
    reason = f'no lane is below 1e-8 at T = {config.steps}'
    return [untestable(f'{setting}.ntk', statement, PAPER, reason)]
  ntk = np.asarray(theory.linear_rate(eta, lanes(ds, 'ntk_min', **here)))
  deep = error[:, -1] < 1e-18
  made = [
    within(
      f'{setting}.ntk',
      f'{statement} ({deep.sum()} of {len(deep)} lanes are below 1e-18 at T)',
      'derived: the step linearised at its limit',
      0.98,
      1.12,
      (slope / ntk)[deep],
      each=True,
      derivation='ratio to the law: + ln(c)/60 where a faster mode starts with '
      'c times the energy of the slowest and 1e-26 = exp(−60) comes first; '
      'c = 1000',
    )
    if deep.any()
    else untestable(
      f'{setting}.ntk', statement, PAPER, 'no lane is below 1e-18 at T'
    )
  ]
  if setting == 'population':
    eigenvalue = lanes(ds, 'noise_eigenvalue', **here)
    noise = np.asarray(theory.linear_rate(eta, eigenvalue))
    sigma_r = lanes(ds, 'sigma_r', **here)
    # Above, the cross block of the signal may be slower than the noise block.
    slowest = deep & (2 * alpha**2 <= 1.001 * sigma_r)
    if slowest.any():
      made.append(
        within(
          f'{setting}.noise',
          'for 2α² <= σ_r it is 2 ln(1 − ηλ_min(F_∞ᵀF_∞))',
          'derived: G⁺ = G(I − ηFᵀF) on the noise rows of G',
          0.98,
          1.02,
          (slope / noise)[slowest],
          each=True,
          derivation='ratio to the law, which is exact at the limit; the fit',
        )
      )
  return made + _alpha_exponent(setting, alpha, slope, arrived, ds)


def _alpha_exponent(setting, alpha, slope, arrived, ds) -> list[Claim]:
  """The rate grows as α² while the noise block is the slowest."""
  statement = 'the rate grows as α² for α in [0.18, 0.5]'
  source = f'{PAPER}: exp(−Ω(α²T)) for k > r'
  small = arrived & (alpha > 0.17) & (alpha < 0.51)
  if len(np.unique(alpha[small])) < 3:
    return [
      untestable(
        f'{setting}.exponent',
        statement,
        source,
        'fewer than three values of α there have arrived below 1e-8 by T',
        predicted=2.0,
      )
    ]
  seeds = np.tile(np.arange(ds.sizes['seed']), len(alpha) // ds.sizes['seed'])
  exponents = np.array(
    [
      fits.line(np.log(alpha), np.log(-slope), where=small & (seeds == i)).slope
      for i in range(ds.sizes['seed'])
    ]
  )
  if setting == 'population':
    return [
      equals(
        f'{setting}.exponent',
        statement,
        source,
        2.0,
        exponents,
        atol=0.08,
        derivation='the drift of Δ at finite η adds 0.04',
      )
    ]
  return [
    equals(
      f'{setting}.exponent',
      statement,
      source,
      2.0,
      exponents,
      atol=0.2,
      derivation='mean over seeds; their spread is 0.13',
    ),
    within(
      f'{setting}.exponents',
      statement + ', in every seed',
      source,
      1.65,
      2.35,
      exponents,
      each=True,
      derivation='2.7 times the spread over seeds',
    ),
  ]


def _tied(config: Any, ds: Any, here: dict) -> Claim:
  """The control: no imbalance, no linear convergence."""
  name = f'{here["setting"]}.tied'
  statement = (
    'control: with G_0 = F_0 there is no imbalance and it must not be linear '
    'but T⁻² as for XXᵀ'
  )
  late = beyond_crossover(config, ds, here) >= 10
  if config.truth != 'symmetric' and config.parametrisation == 'asymmetric':
    source = 'derived: Δ = 0 is conserved by gradient flow'
  else:
    source = 'derived: F = G for ever'
  if not late.any():
    return untestable(
      name, statement, source, 'T/10 < 10/(2ηα²) in every lane', predicted=-2.0
    )
  t, error = ds['time'].values, lanes(ds, 'squared_error', **here)
  return within(
    name,
    statement,
    source,
    -2.2,
    -1.8,
    fits.power_law(t, error, fits.last_decade(t)).slope[late],
    each=True,
    derivation='exponent on [T/10, T], ten crossovers on: the start bends it '
    'by up to 0.08 and by as much again at the edge of its spectrum',
  )


def figures(config: Config, ds: Dataset) -> Figures:
  """Trajectories of the lanes, with the laws laid over."""
  ds = prepared(config, ds)
  from framework.evidence import figures as plotting

  t = ds['time'].values
  alphas = [float(a) for a in ds['alpha'].values]
  colors = plotting.palette(alphas, 'log')
  fig, panels = drawing.panels(
    ds, 'linear', 'log', drawing.TAIL, sharey=True, height=3.0
  )
  for setting, ax in panels.items():
    for tied in ds['tied'].values:
      for alpha, color in zip(alphas, colors, strict=True):
        if tied and alpha != max(alphas):
          continue
        here = {'setting': setting, 'tied': tied, 'alpha': alpha}
        error = lanes(ds, 'squared_error', **here)
        name = rf'$\alpha={alpha:g}$' if not tied else r'$G_0=F_0$ (control)'
        drawing.lines(ax, t, error, name, 'grey' if tied else color)
    ax.set_xlabel(drawing.STEP)
    ax.set_xlim(0, config.steps)
  next(iter(panels.values())).set_ylabel(drawing.ERROR)
  drawing.legend(list(panels.values())[-1])
  made = {
    'linear': (
      fig,
      'FGᵀ with k > r from starts of different scale α: linear at every α, '
      'faster for larger α. Grey: F_0 = G_0, which has no imbalance and falls '
      'as 1/T².',
    )
  }
  fig, panels = drawing.panels(ds, 'log', 'log', None, sharey=True, height=2.8)
  for setting, ax in panels.items():
    here = {'setting': setting, 'tied': 0.0}
    rates, laws = [], []
    for alpha in alphas:
      at = {**here, 'alpha': alpha}
      rates.append(-linear_rates(t, lanes(ds, 'squared_error', **at)).slope)
      eigenvalue = lanes(ds, 'ntk_min', **at)
      laws.append(-np.asarray(theory.linear_rate(config.eta, eigenvalue)))
    rates, laws = np.array(rates), np.array(laws)
    x = np.repeat(np.array(alphas)[:, None], rates.shape[1], axis=1)
    ax.plot(x, rates, 'o', color='C0', ms=3.5)
    ax.plot([], [], 'o', color='C0', ms=3.5, label='measured, a dot a seed')
    ax.plot(x, laws, '_', color='C1', ms=11, mew=1.2)
    ax.plot(
      [],
      [],
      '_',
      color='C1',
      ms=11,
      label=r'$-2\ln(1-\eta\lambda^+_{\min}(J^\top J))$',
    )
    middle = np.exp(np.mean(np.log(rates / x**2)))
    grid = np.geomspace(min(alphas), max(alphas), 50)
    drawing.law(
      panels, ax, grid, middle * grid**2, r'slope 2: $\propto\alpha^2$'
    )
    ax.set_xlabel(r'scale of the start $\alpha$')
    ax.set_xticks(alphas, [f'{a:g}' for a in alphas])
    ax.minorticks_off()
    ax.set_xlim(0.9 * min(alphas), 1.1 * max(alphas))
  next(iter(panels.values())).set_ylabel('rate per step')
  drawing.legend(next(iter(panels.values())))
  made['rate'] = (
    fig,
    'Rate of convergence against α: measured, predicted by linearising at the '
    'limit, and the power law with exponent 2.',
  )
  return made


VARIANT = Variant(runs.arm, runs.times, claims, figures)
