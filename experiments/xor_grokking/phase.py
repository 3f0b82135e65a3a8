"""Steps to fit and to generalise over α/ω, signal and η."""

import dataclasses
import functools

import numpy as np
from xarray import Dataset

from configs.xor_grokking import Config
from experiments.xor_grokking.setting import (
  PAPER,
  Setting,
  arm,
  asked,
  first_time,
  settings,
  times,
)
from experiments.xor_grokking.slow import (
  DERIVED_FIT,
  FIT_WINDOW,
  fit_unseen,
  fit_window,
)
from framework.evidence.claims import Claim, at_least, at_most, within
from framework.evidence.known import known
from framework.evidence.lanes import over
from framework.launch import Figures, Variant
from framework.systems.clusters.xor import laws

__all__ = ['VARIANT', 'cells']

AXES = ('eta', 'omega', 'signal')


def cells(config: Config, ds: Dataset) -> dict[str, np.ndarray]:
  """First passages of a phase diagram, axes (eta, omega, signal, seed).

  Args:
    config: The config.
    ds: Its results.

  Returns:
    {fit: steps to training accuracy 1, generalise: steps to test accuracy 0.95,
    law: of the time to fit (eta, omega, signal, 1), and the values of the
    axes}; infinite where it was not reached, NaN where that is not known.
  """
  t = ds['time'].values
  etas, omegas, signals = (np.array(config.axis(axis)) for axis in AXES)

  def first(name, level):
    return first_time(t, over(ds, name, AXES), level)

  c = config
  law = np.array([laws.time_to_fit(c.n, c.p, c.alpha, x) for x in omegas])
  shape = len(etas), len(omegas), len(signals), 1
  return {
    'fit': first('train_accuracy', 1.0),
    'generalise': first('test_accuracy', 0.95),
    'law': np.broadcast_to(law[None, :, None, None], shape),
    'eta': etas,
    'omega': omegas,
    'signal': signals,
  }


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """First passages over α/ω, signal and η."""
  made = []
  for here in _diagrams(config, ds):
    found = cells(here.config, here.ds)
    near = _where(found, functools.partial(_not_orthogonal, here.config))
    made += [*_fitting(here, found, near), *_generalising(here, found, near)]
  return made


def _diagrams(config: Config, ds: Dataset) -> list[Setting]:
  """A setting for each point of further axes, these three still swept."""
  found = []
  for here in settings(config, ds, but=AXES):
    axes = {
      axis: config.sweep.get(axis, (getattr(here.config, axis),))
      for axis in AXES
    }
    swept = dataclasses.replace(here.config, sweep=axes)
    found.append(here._replace(config=swept))
  return found


def _where(found: dict[str, np.ndarray], rule) -> np.ndarray:
  """The cells of which a rule of (config values) says '' (no objection)."""
  shape = found['law'].shape[:3]
  chosen = np.zeros(shape, bool)
  for i in np.ndindex(*shape):
    eta, omega, signal = (
      float(found[axis][j]) for axis, j in zip(AXES, i, strict=True)
    )
    chosen[i] = not rule(eta, omega, signal, float(found['law'][*i, 0]))
  return chosen


def _not_orthogonal(c, eta, omega, signal, law) -> str:
  """Why the points of a cell cannot be taken as orthogonal."""
  return laws.fit_out_of_reach(c.n, c.p, signal, c.alpha, omega, c.leak)


def _fitting(
  here: Setting, found: dict[str, np.ndarray], near: np.ndarray
) -> list[Claim]:
  own, c, _ = here
  fit, law = found['fit'], found['law']

  def law_reaches(eta, omega, signal, law):
    at = dataclasses.replace(c, eta=eta, omega=omega, signal=signal)
    return fit_unseen(at, signal, law)

  counted = _where(found, law_reaches)
  once = near & (law[..., 0] < 0.3)
  lanes = fit.size
  chance = np.vectorize(lambda x: laws.fit_chance(c.steps, c.n, x))(law[..., 0])
  never = near & (chance * lanes < 0.01)
  none = '{} no cell of the sweep'.format
  return [
    asked(
      '' if counted.any() else none('the law can be seen in'),
      within,
      f'{own}fit.law',
      'steps to fit all labels over the law, where it is above 3 and all fit',
      DERIVED_FIT,
      *fit_window(c.m),
      lambda: (fit / law)[counted],
      derivation=FIT_WINDOW,
      kind='theorem',
      headline=True,
    ),
    asked(
      '' if once.any() else none('the law is below 0.3 in'),
      at_most,
      f'{own}fit.once',
      'where the law is below 0.3 one step, now and then a few, fits all',
      DERIVED_FIT,
      1.5,
      lambda: fit[once],
      derivation='1, and the rare point that its neighbours hold back: every '
      'other run by a step',
      kind='theorem',
    ),
    asked(
      '' if never.any() else none('the law is so far beyond T in'),
      at_most,
      f'{own}fit.never',
      'control: where all n labels are fitted by T with a chance of less than '
      'a hundredth in all lanes, no run does: share that does',
      f'{DERIVED_FIT}: chance Φ(z_n T/law)^n',
      0.0,
      lambda: known(np.isfinite, fit[never]),
      derivation='exact',
      kind='theorem',
    ),
  ]


def _generalising(
  here: Setting, found: dict[str, np.ndarray], near: np.ndarray
) -> list[Claim]:
  own, c, _ = here
  fit, general = found['fit'], found['generalise']
  etas, omegas, signals = (found[axis] for axis in AXES)
  share = known(np.isfinite, general).mean(-1)  # (eta, omega, signal)
  soon = omegas <= c.alpha / 10
  # Large steps, labels that are mostly right: runs generalise at the strongest.
  clear = (etas <= 0.1)[:, None] & soon[None, :]
  enough = c.seeds >= 10 and c.steps >= 30 and c.n >= 100 and not c.leak
  short = '' if enough else 'needs n >= 100, 30 steps, 10 seeds, ReLU'
  strong = (signals >= 2) & (signals <= 3.5)
  wide = len(signals) > 1 and max(signals) >= 2 and min(signals) <= 1.5
  noisy = min(etas) <= 0.05 and max(etas) >= 0.2

  ordered = near & clear[:, :, None] & strong[None, None, :]

  def after():
    ahead = (general - fit)[ordered]
    return np.where(np.isposinf(general[ordered]), 0.0, ahead)

  def lost_to_noise():
    rows = share[:, soon][..., strong]
    return (rows[np.argmin(etas)] - rows[np.argmax(etas)]).ravel()

  return [
    asked(
      short or ('' if ordered.any() else 'no such cell'),
      at_least,
      f'{own}order',
      'no run generalises before it has fitted: t_generalise − t_fit, where '
      'α/ω >= 10, η <= 0.1, signal >= 2 and ‖μ‖²√(n/2)/p <= 0.35',
      f'{PAPER}: grokking',
      0.0,
      after,
      each=True,
      derivation='exact; 0 for runs that do not generalise by T',
      kind='paper',
    ),
    asked(
      short
      or ('' if wide and clear.any() else 'needs signals <= 1.5 and >= 2'),
      at_least,
      f'{own}signal',
      'a stronger signal helps: share of runs that generalise by T, strongest '
      'less weakest signal, mean over η <= 0.1 and α/ω >= 10',
      f'{PAPER}: (A1), exponent n‖μ‖⁴/p',
      0.0,
      lambda: (share[..., np.argmax(signals)] - share[..., np.argmin(signals)])[
        clear
      ],
      strict=True,
      derivation='the sign',
      kind='paper',
    ),
    asked(
      short or ('' if noisy and soon.any() else 'needs η <= 0.05 and >= 0.2'),
      at_least,
      f'{own}noise',
      'flipped labels cost clusters: share that generalises at α/ω >= 10, '
      'signal 2 ... 3.5, least η less largest η',
      f'{PAPER}: (A3); derived: d_ν = c_ν − n_ν fluctuates more',
      0.0,
      lost_to_noise,
      strict=True,
      derivation='the sign',
      kind='paper',
    ),
    asked(
      short or ('' if noisy and soon.any() else 'needs η <= 0.05 and >= 0.2'),
      at_least,
      f'{own}noise.size',
      'likewise',
      'our earlier runs: 12 seeds a cell, η = 0 against 0.2',
      0.05,
      lost_to_noise,
      derivation='0.2 was measured',
      kind='regression',
    ),
  ]


def figures(config: Config, ds: Dataset) -> Figures:
  """Steps to fit and to generalise over α/ω and signal, a column an η."""
  from framework.evidence import figures as plotting

  _, config, ds = _diagrams(config, ds)[0]
  found = cells(config, ds)
  order = np.argsort(config.alpha / found['omega'])
  ratio = (config.alpha / found['omega'])[order]
  etas = found['eta']
  fig, axes = plotting.figure(
    'double',
    height=4.2,
    nrows=2,
    ncols=len(etas),
    sharex=True,
    sharey=True,
    squeeze=False,
  )
  for row, (name, text) in enumerate(
    (('fit', 'steps to fit'), ('generalise', 'steps to generalise'))
  ):
    for column, eta in enumerate(etas):
      ax = axes[row, column]
      values = _median(found[name][column][order])  # (ratio, signal)
      mesh = plotting.heatmap(
        ax, list(ratio), list(found['signal']), values.T, text
      )
      mesh.set_clim(1, config.steps)
      if row == 0:
        ax.set_title(rf'$\eta = {eta:g}$')
      else:
        ax.set_xlabel(r'$\alpha/\omega$')
      if column == 0:
        ax.set_ylabel(r'$\|\mu\|\,/\sqrt{p/n}$')
  made = {
    'phase': (
      fig,
      'Median over seeds of the steps to training accuracy 1 (above) and to '
      'clean test accuracy 0.95 (below). Fitting depends on α/ω alone, '
      'generalising on the signal as well.',
    )
  }
  fig, ax = plotting.figure('single', height=2.9)
  ax.set(xscale='log', yscale='log', ylabel='measured steps')
  ax.set_xlabel(r'law  $4n(\omega/\alpha)\,z_n/\sqrt{2p}$')
  ax.set_title('Fitting is drift against initial noise')
  law = found['law'][..., 0].ravel()
  for name, color, mark, label in (
    ('fit', 'C0', 'o', 'to fit'),
    ('generalise', 'C1', '^', 'to generalise'),
  ):
    middle = _median(found[name]).ravel()
    ax.plot(law, middle, mark, color=color, ms=4, mfc='none', label=label)
  ends = np.array([1.0, config.steps])
  plotting.law(ax, ends, ends).set_label('measured = law')
  ax.set_xlim(law.min() / 1.6, 2 * config.steps)
  plotting.legend(ax)
  made['law'] = (
    fig,
    'Every cell of the phase diagram: median steps to fit follow the law down '
    'to the one step that is the least; generalising comes later.',
  )
  return made


def _median(values: np.ndarray) -> np.ndarray:
  """Median over the last axis; what was not reached is later than any."""
  middle = np.median(np.where(np.isnan(values), np.inf, values), axis=-1)
  return np.where(np.isfinite(middle), middle, np.nan)


VARIANT = Variant(arm, times, claims, figures)
