"""Figures over settings: theorem, phases, lost clusters, controls."""

from typing import Any

import numpy as np

from experiments.xor_grokking.chance import fates
from experiments.xor_grokking.measure import lanes, only
from experiments.xor_grokking.regimes import cells
from framework.evidence import fits
from framework.systems.clusters.xor import theory as xor_theory

__all__ = ['controls', 'lost_cluster', 'phase', 'theory']


def theory(config: Any, ds: Any) -> dict[str, tuple]:
  """Test error over t for each n, and what is left at √n."""
  from framework.evidence import figures as plotting

  sizes = [int(n) for n in config.sweep.get('n', (config.n,))]
  t = ds['time'].values
  fig, (left, right) = plotting.figure('double', height=2.9, ncols=2)
  left.set(xscale='log', xlabel='gradient steps $t + 1$', ylim=(0.45, 1.03))
  left.set_ylabel('accuracy, mean over seeds')
  left.set_title('Under the theorem’s assumptions')
  for n, color in zip(sizes, plotting.palette(range(len(sizes))), strict=True):
    here = only(ds, n=n)
    mean = fits.mean_stderr(lanes(here, 'test_accuracy'), axis=0)
    left.plot(t + 1, mean.mean, color=color, label=f'test, $n={n}$')
    left.fill_between(
      t + 1,
      mean.mean - mean.stderr,
      mean.mean + mean.stderr,
      color=color,
      alpha=0.2,
      linewidth=0,
    )
    end = int(xor_theory.horizon(n))
    if end <= t[-1]:
      left.plot(end + 1, mean.mean[t == end], 'o', color=color, ms=5)
  worst = lanes(ds, 'train_accuracy').min(0)
  left.plot(t + 1, worst, color='black', lw=1, ls=':', label='train, worst')
  plotting.legend(left)
  inside = [n for n in sizes if xor_theory.horizon(n) <= t[-1]]
  right.set(xscale='log', yscale='log', xlabel='training points $n$')
  right.set_title(r'What is left at $t=\sqrt{n}$')
  for name, color, measure in (
    ('clean test error, mean', 'C1', lambda e: e),
    ('share of seeds above 0.05', 'C0', lambda e: e > 0.05),
  ):
    found = []
    for n in inside:
      here = only(ds, n=n).sel(time=int(xor_theory.horizon(n)))
      error = 1 - lanes(here, 'test_accuracy')
      found.append(fits.mean_stderr(measure(error).astype(float)))
    mean = np.array([x.mean for x in found])
    stderr = np.array([x.stderr for x in found])
    right.errorbar(
      inside, mean, stderr, fmt='o-', color=color, capsize=2, label=name, ms=4
    )
  right.set_xticks(inside, [str(n) for n in inside])
  right.minorticks_off()
  right.set(ylim=(0.02, 1), xlim=(inside[0] / 1.15, inside[-1] * 1.15))
  plotting.legend(right)
  return {
    'theory': (
      fig,
      'Where (A1) ... (A6) hold, p = 1.2 n^5.02. Left: mean over seeds, band '
      'one standard error; dots: t = √n, as far as the theorem speaks. Right: '
      'what is left there; the seeds that fail have lost a cluster.',
    )
  }


def phase(config: Any, ds: Any) -> dict[str, tuple]:
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


def lost_cluster(config: Any, ds: Any) -> dict[str, tuple]:
  """How accuracies pile up at 0.75, and what decides about a cluster."""
  from framework.evidence import figures as plotting

  widths = [int(m) for m in config.sweep.get('m', (config.m,))]
  colors = plotting.palette(range(len(widths)))
  dealt = [s for s in config.sweep.get('stratified', (0.0,)) if s > 0.5]
  fig, (left, right) = plotting.figure('double', height=2.9, ncols=2)
  edges = np.linspace(0.4, 1.0, 31)
  left.set(yscale='log', xlabel=f'clean test accuracy at $t={config.steps}$')
  left.set_ylabel('share of seeds')
  left.set_title('A plateau at ¾ where cluster sizes are left to chance')
  for stratified, color, label in (
    (0.0, 'C1', 'clusters drawn'),
    (1.0, 'C0', '$n/4$ points in each'),
  ):
    if stratified and not dealt:
      continue
    last = only(ds, m=widths[-1], stratified=stratified).isel(time=-1)
    values = lanes(last, 'test_accuracy')
    share = np.histogram(values, edges)[0] / len(values)
    left.stairs(share, edges, color=color, fill=True, alpha=0.25, linewidth=0)
    left.stairs(share, edges, color=color, label=f'{label}, $m={widths[-1]}$')
  left.set_ylim(1e-3, 2)
  plotting.legend(left)
  right.set(xlabel='neurons pulled to a cluster at $t=0$, share')
  right.set_ylabel('share of clusters lost')
  right.set_title('Without neurons of its own a cluster is lost')
  bins = np.array([0, 0.02, 0.05, 0.08, 0.11, 0.14, 0.18, 0.23, 0.3, 0.4, 0.5])
  for m, color in zip(widths, colors, strict=True):
    found = fates(only(ds, m=m, stratified=0.0))
    lost, support = found['lost'].ravel(), found['support'].ravel()
    place = np.digitize(support, bins) - 1
    some = [b for b in range(len(bins) - 1) if (place == b).sum() >= 3]
    inside = [fits.mean_stderr(lost[place == b].astype(float)) for b in some]
    right.errorbar(
      [support[place == b].mean() for b in some],
      [x.mean for x in inside],
      [x.stderr for x in inside],
      fmt='o-',
      color=color,
      ms=4,
      capsize=2,
      label=f'$m={m}$',
    )
  right.set(ylim=(-0.03, 1.05), xlim=(-0.02, 0.47))
  plotting.legend(right)
  return {
    'lost_cluster': (
      fig,
      'Left: final accuracies of all seeds. Right: chance that a cluster is '
      'lost against the share of neurons of its sign with D_ν(0) > 0, with '
      'standard errors; the same curve at every width.',
    )
  }


def controls(config: Any, ds: Any) -> dict[str, tuple]:
  """Test accuracy of the controls next to that of what they control."""
  from framework.evidence import figures as plotting

  t = ds['time'].values + 1
  random = max(config.sweep.get('eta', (config.eta,)))
  usual = min(config.sweep.get('eta', (config.eta,)))
  strong = max(config.sweep.get('signal', (config.signal,)))
  fig, ax = plotting.figure('single', height=2.9)
  ax.set(xscale='log', xlabel='gradient steps $t + 1$', ylim=(0.35, 1.05))
  ax.set_ylabel('clean test accuracy')
  ax.set_title('What must not generalise does not')
  for label, color, where in (
    ('signal, labels, ReLU', 'C1', dict(signal=strong, leak=0.0, eta=usual)),
    ('no signal', 'C0', dict(signal=0.0, leak=0.0, eta=usual)),
    (rf'$\eta={random:g}$', 'C2', dict(signal=strong, leak=0.0, eta=random)),
    ('linear network', 'C3', dict(signal=strong, leak=1.0, eta=usual)),
  ):
    rows = lanes(only(ds, **where), 'test_accuracy')
    plotting.lanes(ax, t, rows, label, color, band=(0.1, 0.9))
  plotting.legend(ax)
  return {
    'controls': (
      fig,
      'Median and the middle 80 % of seeds. Chance is ½.',
    )
  }
