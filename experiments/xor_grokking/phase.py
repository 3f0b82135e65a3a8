"""Steps to fit and to generalise over α/ω, signal and η."""

import numpy as np
from xarray import Dataset

from configs.xor_grokking import Config
from experiments.xor_grokking.setting import PAPER, arm, first_time, times
from experiments.xor_grokking.slow import DERIVED_FIT
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  untestable,
  within,
)
from framework.launch import Variant
from framework.systems.clusters.xor import theory

__all__ = ['VARIANT', 'cells']


def cells(config: Config, ds: Dataset) -> dict[str, np.ndarray]:
  """First passages of a phase diagram, axes (eta, omega, signal, seed).

  Args:
    config: The config.
    ds: Its results.

  Returns:
    {fit: steps to training accuracy 1, generalise: steps to test accuracy 0.95,
    law: of the time to fit}; NaN where it was not reached.
  """
  for axis in ('eta', 'omega', 'signal'):
    if axis not in ds.dims:
      ds = ds.expand_dims({axis: [getattr(config, axis)]})
  ds = ds.transpose('eta', 'omega', 'signal', 'seed', ...)
  t = ds['time'].values

  def first(name, level):
    array = ds[name].transpose('eta', 'omega', 'signal', 'seed', 'time')
    return first_time(t, array.values, level)

  law = theory.time_to_fit(config.n, config.p, config.alpha, ds['omega'].values)
  fit = first('train_accuracy', 1.0)
  return {
    'fit': fit,
    'generalise': first('test_accuracy', 0.95),
    'law': np.broadcast_to(np.asarray(law)[None, :, None, None], fit.shape),
    'eta': ds['eta'].values,
    'omega': ds['omega'].values,
    'signal': ds['signal'].values,
  }


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """First passages over α/ω, signal and η."""
  found = cells(config, ds)
  fit, law, general = found['fit'], found['law'], found['generalise']
  made = []
  slow_fit = (law > 3) & (1.3 * law < config.steps)
  # The law takes points as orthogonal, which (A2) is about.
  narrow = (found['signal'] <= 2.5)[None, None, :, None]
  chosen = slow_fit & narrow
  statement = 'steps to fit all labels over the law, where it is 3 ... T/1.3'
  if chosen.any():
    made.append(
      within(
        'fit.law',
        statement,
        DERIVED_FIT,
        0.8,
        1.2,
        (fit / law)[chosen],
        derivation='as in the slow run; signal <= 2.5, for the law takes the '
        'points as orthogonal',
      )
    )
  else:
    reason = 'no cell has its law there'
    made.append(untestable('fit.law', statement, DERIVED_FIT, reason))
  at_once = np.isfinite(fit) & (law < 0.3) & narrow
  if at_once.any():
    made.append(
      at_most(
        'fit.once',
        'where the law is below 0.3 one step, now and then a few, fits all',
        DERIVED_FIT,
        1.5,
        fit[at_once],
        derivation='1, and the rare point that its neighbours hold back',
      )
    )
  late = law > 1.2 * config.steps
  if late.any():
    made.append(
      at_most(
        'fit.never',
        'control: where the law is beyond T no run fits all labels: share '
        'that does',
        DERIVED_FIT,
        0.0,
        np.isfinite(fit[late]),
        derivation='exact',
      )
    )
  both = np.isfinite(fit) & np.isfinite(general)
  if both.any():
    made.append(
      at_least(
        'order',
        'no run generalises before it has fitted: t_generalise − t_fit',
        f'{PAPER}: grokking',
        0.0,
        (general - fit)[both],
        each=True,
        derivation='exact',
      )
    )
  share = np.isfinite(general).mean(-1)
  if share.shape[2] > 2:
    strong, weak = share[..., -1], share[..., 0]
    made.append(
      at_least(
        'signal',
        'a stronger signal never hurts: share of runs that generalise by T, '
        'strongest less weakest signal, over (η, ω)',
        f'{PAPER}: (A1), exponent n‖μ‖⁴/p',
        0.0,
        (strong - weak).ravel(),
        each=True,
        derivation='exact up to seeds',
      )
    )
  if (found['eta'] == 0).any() and (found['eta'] >= 0.2).any():
    quick_row = found['omega'] <= config.alpha / 10
    strongest = share[:, quick_row][..., found['signal'] >= 2.5]
    made.append(
      at_least(
        'noise',
        'flipped labels cost clusters: share that generalises at α/ω >= 10, '
        'signal >= 2.5, least η less largest η',
        'measured: d_ν = c_ν − n_ν fluctuates more',
        0.05,
        (strongest[0] - strongest[-1]).ravel(),
        derivation='0.2 was measured',
      )
    )
  return made


def figures(config: Config, ds: Dataset) -> dict[str, tuple]:
  """Steps to fit and to generalise over α/ω and signal, a column an η."""
  from framework.evidence import figures as plotting

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
