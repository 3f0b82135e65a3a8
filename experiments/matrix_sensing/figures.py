"""The figures of matrix sensing: trajectories with their laws laid over."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.matrix_sensing.measure import (
  lanes,
  linear_rates,
  phase_times,
  prepared,
)
from framework.evidence import fits
from framework.systems.matrix_sensing import theory

__all__ = ['figures']

ERROR = r'squared error  $\|FG^\top - M\|_F^2$'
SYMMETRIC_ERROR = r'squared error  $\|XX^\top - M\|_F^2$'
STEP = 'gradient steps $t$'
TAIL = (1e-31, 1e2)  # down to the square of float64 rounding


def figures(config: Any, dataset: Any, claims: list) -> Mapping[str, tuple]:
  """The figures of a config's variant.

  Args:
    config: The config.
    dataset: Its results.
    claims: Its claims (figures show the data, not the verdicts).

  Returns:
    {name: (figure, caption)}.
  """
  del claims
  return _FIGURES[config.variant](config, prepared(config, dataset))


def _panels(ds: Any, x: str, y: str, ylim: Any = None, **options: Any):
  """One panel a setting, with its scales set before anything is drawn."""
  from framework.evidence import figures as plotting

  settings = list(ds['setting'].values)
  wide = 'double' if len(settings) > 1 else 'single'
  fig, axes = plotting.figure(wide, ncols=len(settings), **options)
  axes = np.atleast_1d(axes)
  for ax, setting in zip(axes, settings, strict=True):
    ax.set_title(_SETTING[setting])
    ax.set_xscale(x)
    ax.set_yscale(y)
    if ylim:
      ax.set_ylim(*ylim)
  return fig, dict(zip(settings, axes, strict=True))


def _sigma_r(ds: Any) -> float:
  """σ_r of the truth (of the median lane, where κ is swept)."""
  return float(np.nanmedian(ds['sigma_r'].values))


def _lines(ax, t, Y, label, color, style: Any = '-', band=True) -> None:
  """Median over seeds and their range."""
  from framework.evidence import figures as plotting

  span = (0.0, 1.0) if band else (0.5, 0.5)
  line = plotting.lanes(ax, t, Y, label or '', color, band=span)
  line.set_linestyle(style)


def _law(panels: dict, ax, t, y, label: str) -> None:
  """The law, where there is any of it to show; named in the first panel."""
  from framework.evidence import figures as plotting

  if np.isfinite(y).any():
    first = next(iter(panels.values()))
    plotting.law(ax, np.asarray(t), np.asarray(y), label if ax is first else '')


def _legend(ax) -> None:
  """A legend, if anything has a name."""
  from framework.evidence import figures as plotting

  if ax.get_legend_handles_labels()[0]:
    plotting.legend(ax)


_SETTING = {
  'population': r'population ($\mathcal{A}^*\mathcal{A} = I$)',
  'sensing': 'Gaussian measurements',
}


def _symmetric(config: Any, ds: Any) -> dict[str, tuple]:
  from framework.evidence import figures as plotting

  t = ds['time'].values
  shown = t > 0
  fig, panels = _panels(ds, 'log', 'log', TAIL, sharey=True, height=3.0)
  ks = [int(k) for k in ds['k'].values]
  colors = plotting.palette(range(len(ks)))
  for setting, ax in panels.items():
    for k, color in zip(ks, colors, strict=True):
      error = lanes(ds, 'squared_error', setting=setting, k=k)
      label = f'$k={k}$' + ('$\\;=r$' if k == config.r else '')
      _lines(ax, t[shown], error[:, shown], label, color)
    over = [k for k in ks if k > config.r]
    late = t > 3 * float(theory.crossover(config.eta, config.alpha))
    for i, k in enumerate(over):
      law = np.asarray(
        theory.sublinear(t[late].astype(float), k, config.r, config.eta)
      )
      _law(
        panels,
        ax,
        t[late],
        law,
        r'$(k-r)/(4\eta^2t^2)$' if i == 0 else '',
      )
    if config.r in ks:
      rate = float(theory.linear_rate(config.eta, _sigma_r(ds)))
      if setting == 'population':
        error = np.median(
          lanes(ds, 'squared_error', setting=setting, k=config.r), axis=0
        )
        anchor = np.argmax(error < 1e-8)
        if not anchor:
          continue
        span = shown & (t <= t[anchor] + np.log(1e20) / abs(rate))
        span &= t > t[anchor] / 3
        line = error[anchor] * np.exp(rate * (t - t[anchor]))
        _law(
          panels,
          ax,
          t[span],
          np.where(line < 10, line, np.nan)[span],
          r'$(1-\eta\sigma_r)^{2t}$',
        )
    ax.set_xlabel(STEP)
  next(iter(panels.values())).set_ylabel(SYMMETRIC_ERROR)
  _legend(next(iter(panels.values())))
  made = {
    'curse': (
      fig,
      'Squared error of gradient descent on XXᵀ. At k = r it falls linearly to '
      'rounding; one column too many and it falls as 1/T², slope −2. Lines: '
      'median over seeds, bands: their range. Black: the laws.',
    )
  }
  fig, panels = _panels(ds, 'log', 'linear', (-4, 0.5), sharey=True, height=2.6)
  for setting, ax in panels.items():
    for k, color in zip(ks, colors, strict=True):
      if k <= config.r:
        continue
      error = lanes(ds, 'squared_error', setting=setting, k=k)
      middle, slope = fits.local_slope(t, error, ratio=2.0)
      _lines(ax, middle, slope, f'$k={k}$', color)
    _law(
      panels,
      ax,
      np.array([1.0, float(config.steps)]),
      np.array([-2.0, -2.0]),
      'exponent $-2$',
    )
    ax.set_xlabel(STEP)
  next(iter(panels.values())).set_ylabel('local exponent over an octave')
  _legend(next(iter(panels.values())))
  made['exponent'] = (
    fig,
    'Local exponent d ln‖XXᵀ − M‖² / d ln t over octaves, k > r: it settles '
    'at −2, with measurements slowly and from above.',
  )
  return made


def _asymmetric(config: Any, ds: Any) -> dict[str, tuple]:
  from framework.evidence import figures as plotting

  t = ds['time'].values
  alphas = [float(a) for a in ds['alpha'].values]
  colors = plotting.palette(alphas, 'log')
  fig, panels = _panels(ds, 'linear', 'log', TAIL, sharey=True, height=3.0)
  for setting, ax in panels.items():
    for tied in ds['tied'].values:
      for alpha, color in zip(alphas, colors, strict=True):
        if tied and alpha != max(alphas):
          continue
        here = {'setting': setting, 'tied': tied, 'alpha': alpha}
        error = lanes(ds, 'squared_error', **here)
        name = rf'$\alpha={alpha:g}$' if not tied else r'$G_0=F_0$ (control)'
        _lines(ax, t, error, name, 'grey' if tied else color)
    ax.set_xlabel(STEP)
    ax.set_xlim(0, config.steps)
  next(iter(panels.values())).set_ylabel(ERROR)
  _legend(list(panels.values())[-1])
  made = {
    'linear': (
      fig,
      'FGᵀ with k > r from starts of different scale α: linear at every α, '
      'faster for larger α. Grey: F_0 = G_0, which has no imbalance and falls '
      'as 1/T².',
    )
  }
  fig, panels = _panels(ds, 'log', 'log', None, sharey=True, height=2.8)
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
    _law(panels, ax, grid, middle * grid**2, r'slope 2: $\propto\alpha^2$')
    ax.set_xlabel(r'scale of the start $\alpha$')
    ax.set_xticks(alphas, [f'{a:g}' for a in alphas])
    ax.minorticks_off()
    ax.set_xlim(0.9 * min(alphas), 1.1 * max(alphas))
  next(iter(panels.values())).set_ylabel('rate per step')
  _legend(next(iter(panels.values())))
  made['rate'] = (
    fig,
    'Rate of convergence against α: measured, predicted by linearising at the '
    'limit, and the power law with exponent 2.',
  )
  return made


def _balanced(config: Any, ds: Any) -> dict[str, tuple]:
  from framework.evidence import figures as plotting

  t = ds['time'].values
  alphas = [float(a) for a in ds['alpha'].values]
  colors = plotting.palette(alphas, 'log')
  fig, panels = _panels(ds, 'linear', 'log', TAIL, sharey=True, height=3.2)
  for setting, ax in panels.items():
    for optimizer in ds['optimizer'].values:
      for alpha, color in zip(alphas, colors, strict=True):
        error = lanes(
          ds, 'squared_error', setting=setting, optimizer=optimizer, alpha=alpha
        )
        modified = optimizer == 'balanced'
        _lines(
          ax,
          t,
          error,
          rf'$\alpha={alpha:g}$' if modified else None,
          color,
          style='-' if modified else ':',
          band=False,
        )
    ax.plot([], [], 'k:', label='plain GD')
    if setting == 'population' and 'balanced' in ds['optimizer'].values:
      rate = float(
        theory.balanced_rate(
          config.eta, config.beta2 * _sigma_r(ds), _sigma_r(ds)
        )
      )
      error = lanes(
        ds,
        'squared_error',
        setting=setting,
        optimizer='balanced',
        alpha=alphas[0],
      )
      begun = np.median(fits.first_passage(t, error, 1e-5))
      span = (t > begun) & (t < begun + np.log(1e23) / abs(rate))
      _law(
        panels,
        ax,
        t[span],
        1e-5 * np.exp(rate * (t[span] - begun)),
        r'$2\ln(1-\eta\min(\beta^2,\sigma_r^2/\beta^2))$',
      )
    ax.set_xlabel(STEP)
    ax.set_xlim(0, config.steps)
  next(iter(panels.values())).set_ylabel(ERROR)
  _legend(next(iter(panels.values())))
  return {
    'balanced': (
      fig,
      'FGᵀ with one modified step (solid) and without (dotted): after the step '
      'the rate does not depend on α. Medians over seeds.',
    )
  }


def _sym_vs_asym(config: Any, ds: Any) -> dict[str, tuple]:

  t = ds['time'].values
  shown = t > 0
  fig, panels = _panels(ds, 'log', 'log', TAIL, sharey=True, height=3.0)
  names = {'symmetric': r'$XX^\top$', 'asymmetric': r'$FG^\top$'}
  for setting, ax in panels.items():
    for i, kind in enumerate(ds['parametrisation'].values):
      error = lanes(ds, 'squared_error', setting=setting, parametrisation=kind)
      _lines(ax, t[shown], error[:, shown], names[kind], f'C{i}')
    late = t > 3 * float(theory.crossover(config.eta, config.alpha))
    law = theory.sublinear(
      t[late].astype(float), config.k, config.r, config.eta
    )
    _law(panels, ax, t[late], np.asarray(law), r'$(k-r)/(4\eta^2t^2)$')
    ax.set_xlabel(STEP)
  next(iter(panels.values())).set_ylabel('squared error')
  _legend(next(iter(panels.values())))
  return {
    'sym_vs_asym': (
      fig,
      f'The same truth, measurements and start with XXᵀ and with FGᵀ, '
      f'k = {config.k}: breaking the symmetry makes it linear.',
    )
  }


def _phase(config: Any, ds: Any) -> dict[str, tuple]:
  from framework.evidence import figures as plotting

  fig, panels = _panels(ds, 'linear', 'linear', None, sharey=True, height=3.0)
  alphas, ks = ds['alpha'].values, ds['k'].values
  for setting, ax in panels.items():
    measured, _, _ = phase_times(config, ds, setting)
    never = np.isnan(measured).mean(-1) > 0.5
    with np.errstate(all='ignore'):
      middle = np.where(never, np.nan, _nanmedian(measured))
    order = np.argsort(alphas)
    plotting.heatmap(
      ax, alphas[order], ks, middle[:, order], 'steps to error $10^{-6}$'
    )
    ax.set_xlabel(r'scale of the start $\alpha$')
  next(iter(panels.values())).set_ylabel('columns $k$')
  made = {
    'phase': (
      fig,
      f'Median steps until the error ‖FGᵀ − M‖_F is 1e-6, FGᵀ, n = {config.n}, '
      f'r = {config.r}. Hatched: not within {config.steps} steps.',
    )
  }
  fig, panels = _panels(ds, 'log', 'log', None, sharey=True, height=3.0)
  colors = plotting.palette(range(len(ks)))
  for setting, ax in panels.items():
    measured, law, limited = phase_times(config, ds, setting)
    for i, k in enumerate(ks):
      if k <= config.r:
        continue
      here = limited[i] & np.isfinite(measured[i])
      ax.plot(
        law[i][here],
        measured[i][here],
        'o',
        ms=3.5,
        color=colors[i],
        label=f'$k={k}$' if here.any() else None,
      )
      rest = ~limited[i] & np.isfinite(measured[i])
      ax.plot(
        law[i][rest],
        measured[i][rest],
        'o',
        ms=3.5,
        mfc='none',
        color=colors[i],
      )
    ax.plot(
      [], [], 'o', ms=3.5, mfc='none', color='grey', label='signal slowest'
    )
    ends = np.array([100.0, float(config.steps)])
    _law(panels, ax, ends, ends, 'measured = law')
    ax.set_xlim(30, 3 * config.steps)
    ax.set_xlabel(r'law: $\ln(e_0/10^{-12})\,/\,|2\ln(1-\eta\lambda)|$')
  next(iter(panels.values())).set_ylabel('measured steps to $10^{-6}$')
  _legend(next(iter(panels.values())))
  made['law'] = (
    fig,
    'Every lane of the phase diagram against the law. Filled: the noise block '
    'is slowest, where the law is meant to hold.',
  )
  return made


def _preconditioned(config: Any, ds: Any) -> dict[str, tuple]:

  t = ds['time'].values
  shown = t > 0
  fig, panels = _panels(ds, 'log', 'log', TAIL, sharey=True, height=3.0)
  kappas = [float(c) for c in ds['kappa'].values]
  styles: list[Any] = ['-', '--', ':', '-.'] * len(kappas)
  names = {
    'gd': 'GD',
    'scaled_gd': rf'ScaledGD($\lambda={config.damping:g}$)',
    'precgd': 'PrecGD',
  }
  for setting, ax in panels.items():
    for i, optimizer in enumerate(ds['optimizer'].values):
      for kappa, style in zip(kappas, styles, strict=False):
        error = lanes(
          ds, 'squared_error', setting=setting, optimizer=optimizer, kappa=kappa
        )
        _lines(
          ax,
          t[shown],
          error[:, shown],
          names[optimizer] if kappa == kappas[0] else None,
          f'C{i}',
          style=style,
          band=False,
        )
    for kappa, style in zip(kappas, styles, strict=False):
      ax.plot([], [], color='grey', ls=style, label=rf'$\kappa={kappa:g}$')
    late = t > 3 * float(theory.crossover(config.eta, config.alpha))
    law = theory.sublinear(
      t[late].astype(float), config.k, config.r, config.eta
    )
    _law(panels, ax, t[late], np.asarray(law), r'$(k-r)/(4\eta^2t^2)$')
    ax.set_xlabel(STEP)
  next(iter(panels.values())).set_ylabel(SYMMETRIC_ERROR)
  _legend(list(panels.values())[-1])
  return {
    'preconditioned': (
      fig,
      f'XXᵀ with k = {config.k}, r = {config.r}: preconditioning with a '
      'damping that follows the loss undoes the curse at every κ.',
    )
  }


def _nanmedian(values: np.ndarray) -> np.ndarray:
  """Median over the last axis; NaN counts as later than any number."""
  ordered = np.sort(np.where(np.isnan(values), np.inf, values), axis=-1)
  return ordered[..., values.shape[-1] // 2]


_FIGURES = {
  'symmetric': _symmetric,
  'asymmetric': _asymmetric,
  'balanced': _balanced,
  'sym_vs_asym': _sym_vs_asym,
  'phase': _phase,
  'preconditioned': _preconditioned,
}
