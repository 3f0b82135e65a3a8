"""The figures: accuracy, collapse, alignment and survival over steps."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from experiments.modular_grokking.measure import (
  LABELS,
  groups,
  lanes,
  prepared,
  reached,
  survived,
)

__all__ = ['figures']

STEP = 'steps of full-batch descent'
_BITS = {'float16': 11, 'float32': 24, 'float64': 53}


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
  ds = prepared(config, dataset)
  made = _FIGURES.get(config.variant, _plain)(config, ds)
  return {f'modular_{name}': value for name, value in made.items()}


def _colors(ds: Any) -> list[str]:
  """One colour a group; ordered where the groups are."""
  from framework.evidence import figures as plotting

  if ds.sizes['method'] == 1 and ds.sizes['weight_decay'] > 1:
    return plotting.palette(range(ds.sizes['weight_decay']))
  return [f'C{i}' for i in range(len(groups(ds)))]


def _draw(
  ax: Any,
  ds: Any,
  name: str,
  *,
  index: Any = None,
  style: Any = '-',
  label: bool = True,
  only: Callable[[str], bool] = lambda method: True,
) -> None:
  """Median over seeds and their range, of every group."""
  from framework.evidence import figures as plotting

  t = ds['time'].values
  for (text, where), color in zip(groups(ds), _colors(ds), strict=True):
    if not only(where['method']):
      continue
    y = lanes(ds, name, **where)
    y = y if index is None else y[..., index]
    line = plotting.lanes(ax, t, y, text if label else '', color)
    line.set_linestyle(style)


def _accuracy(ax: Any, ds: Any, title: str, train: bool = True) -> None:
  """Test accuracy, with training accuracy dashed and chance as the law."""
  ax.set(title=title, xlabel=STEP, ylabel='accuracy', ylim=(-0.03, 1.05))
  _draw(ax, ds, 'test_accuracy')
  if train:
    _draw(ax, ds, 'train_accuracy', style=(0, (1, 1)), label=False)
    ax.plot([], [], color='grey', ls=(0, (1, 1)), label='training rows')


def _legend(ax: Any, **options: Any) -> None:
  from framework.evidence import figures as plotting

  if ax.get_legend_handles_labels()[0]:
    plotting.legend(ax, **options)


def _pair(height: float = 2.7, ncols: int = 2):
  from framework.evidence import figures as plotting

  return plotting.figure('double', height, ncols=ncols)


def _grok(config: Any, ds: Any) -> dict[str, tuple]:
  """Accuracy, and how far the last layer follows its own weights."""
  fig, (left, right) = _pair()
  _accuracy(left, ds, '⊥Grad generalises at once, AdamW never')
  right.set(
    title='AdamW steps along its own weights',
    xlabel=STEP,
    ylabel='cos(update, w), last layer',
    ylim=(-0.25, 1.0),
  )
  _draw(right, ds, 'nlm_update_tensor', index=-1)
  right.axhline(0, color='grey', lw=0.6)
  _legend(left)
  made = {
    'quick' if config.variant == 'quick' else config.variant: (
      fig,
      'Left: accuracy on the training rows (dotted) and on all others (solid). '
      'Right: cosine of the update of the last layer with its weights; a step '
      'along them scales the logits and predicts nothing new. Lines: median '
      'over seeds, bands: their range.',
    )
  }
  return made


def _collapse(config: Any, ds: Any) -> dict[str, tuple]:
  from framework.evidence import figures as plotting

  fig, axes = plotting.figure('double', 4.6, nrows=2, ncols=2, sharex=True)
  (test, sc), (gap, nlm) = axes
  title = 'off the training rows'
  if config.variant == 'collapse':
    title = 'finer softmax, more generalisation'
  _accuracy(test, ds, title, train=False)
  top = float(lanes(ds, 'test_accuracy').max())
  test.set(ylabel='test accuracy', ylim=(0, 1.12 * top), xlabel='')
  sc.set(
    title='softmax collapse stops it',
    ylabel='collapsed training rows',
    ylim=(-0.03, 1.05),
  )
  _draw(sc, ds, 'collapse', label=False)
  sc.axhline(0.3, color='grey', lw=0.6, ls=':')
  gap.set(
    title='rows collapse where the gap says so',
    xlabel=STEP,
    ylabel='median logit gap',
    ylim=(0, 48),
  )
  _draw(gap, ds, 'gaps', index=1, label=False)
  t = ds['time'].values
  classes = config.modulus
  for dtype, bits in _BITS.items():
    level = np.log(2.0) * bits + np.log(classes - 1.0)
    plotting.law(gap, t, np.full(len(t), level))
    beside = gap.get_yaxis_transform()
    gap.text(1.01, level, dtype, transform=beside, va='center')
  nlm.set(
    title='the naive direction fades with collapse',
    xlabel=STEP,
    ylabel='cos(−∇L, w), last layer',
    ylim=(-0.45, 1.0),
  )
  _draw(nlm, ds, 'nlm_tensor', index=-1, label=False)
  _legend(test)
  return {
    'collapse': (
      fig,
      'The same seeds with a softmax of three precisions, nothing else '
      'different. Top: test accuracy, and the fraction of training rows whose '
      'sum of exponentials is its largest term (dotted: 30 %). Bottom left: '
      'median logit gap; black: t ln 2 + ln(C − 1), at which a row must have '
      'collapsed. Bottom right: alignment of the gradient with the weights. '
      'Lines: median over seeds, bands: their range.',
    )
  }


def _stablemax(config: Any, ds: Any) -> dict[str, tuple]:
  fig, (left, middle, right) = _pair(2.5, 3)
  _accuracy(left, ds, 'StableMax groks, CE does not')
  middle.set(
    title='the weights grow',
    xlabel=STEP,
    ylabel='‖w‖',
  )
  _draw(middle, ds, 'norm', label=False)
  right.set(
    title='exponentials would collapse',
    xlabel=STEP,
    ylabel='collapsed training rows',
    ylim=(-0.03, 1.05),
  )
  _draw(right, ds, 'collapse', label=False)
  _draw(right, ds, 'exp_collapse', style=(0, (1, 1)), label=False)
  end = int(ds['time'].values[-1])
  for ax in (left, middle, right):
    ax.set_xlim(0, end)
    ax.set_xticks([0, end // 2, end], ['0', f'{end // 2:,}', f'{end:,}'])
  _legend(left)
  return {
    config.variant: (
      fig,
      'Left: accuracy on the training rows (dotted) and on all others (solid). '
      'Middle: norm of all weights. Right: share of training rows whose sum '
      'absorbs all but its largest term, with the transform of the loss '
      '(solid) and with float32 exponentials whatever the loss (dotted): for '
      'StableMax the second says nothing. Lines: median over seeds, bands: '
      'their range.',
    )
  }


def _decay(config: Any, ds: Any) -> dict[str, tuple]:
  from framework.evidence import figures as plotting

  fig, (left, right) = _pair()
  _accuracy(left, ds, 'weight decay groks, the more the sooner', train=False)
  left.set_ylabel('test accuracy')
  decays = np.array([d for d in ds['weight_decay'].values if d > 0])
  right.set(
    title='its time over the decay',
    xlabel='weight decay λ',
    ylabel='steps to 50 % test accuracy',
    xscale='log',
    yscale='log',
  )
  shown = []
  for decay in decays:
    times = reached(ds, 'test_accuracy', 0.5, weight_decay=decay)
    shown.append(np.median(times))
    right.plot(np.full(len(times), decay), times, 'o', color='C0', ms=3.5)
  shown = np.array(shown)
  there = np.isfinite(shown)
  if there.any():
    anchor = np.flatnonzero(there)[0]
    law = shown[anchor] * decays[anchor] / decays
    plotting.law(right, decays[anchor:], law[anchor:], r'$\propto 1/\lambda$')
  if len(decays):
    right.set_xlim(decays.min() / 1.5, decays.max() * 1.5)
    right.set_xticks(decays, [f'{d:g}' for d in decays])
    right.minorticks_off()
    low, high = right.get_ylim()
    steps = [x for x in (100, 200, 500, 1000, 2000, 5000) if low < x < high]
    right.set_yticks(steps, [f'{x:,}' for x in steps])
  _legend(left, title='decay')
  return {
    'weight_decay': (
      fig,
      'Left: test accuracy under AdamW with decoupled weight decay λ; lines: '
      'median over seeds, bands: their range. Right: steps to 50 %, a dot a '
      'seed; black: ∝ 1/λ, through the smallest λ that groks.',
    )
  }


def _interventions(config: Any, ds: Any) -> dict[str, tuple]:
  fig, (left, right) = _pair(2.9)
  test = lanes(ds, 'test_accuracy')
  by_hand = ('ce32', 'ce64', 'stopped', 'zeroed')
  left.set(
    title='collapse by hand stops generalisation',
    xlabel=STEP,
    ylabel='test accuracy',
    ylim=(0, 1.15 * float(test.max())),
  )
  _draw(left, ds, 'test_accuracy')
  left.axvline(config.intervene_at, color='grey', lw=0.8, ls=':')
  right.set(
    title='temperature postpones, smoothing prevents',
    xlabel=STEP,
    ylabel='collapsed training rows',
    ylim=(-0.03, 1.05),
  )
  _draw(right, ds, 'collapse', label=False, only=lambda m: m not in by_hand[2:])
  _legend(left)
  return {
    'interventions': (
      fig,
      f'Left: test accuracy; at step {config.intervene_at} (dotted) the '
      'gradient of the correct class is stopped, or its logit multiplied by 0, '
      'in runs that are otherwise those of CE in float64. Right: collapsed '
      'training rows with temperature 10 and with label smoothing 0.1. Lines: '
      'median over seeds, bands: their range.',
    )
  }


def _survival(config: Any, ds: Any) -> dict[str, tuple]:
  from framework.evidence import figures as plotting

  fig, ax = plotting.figure('single', 2.9)
  end = float(ds['time'].values[-1])
  many = ds.sizes['seed']
  title = (
    'Direction counts, not the length of a step'
    if config.variant == 'matched'
    else f'When {many} seeds generalise'
  )
  ax.set(
    title=title,
    xlabel=STEP,
    ylabel='share not yet at 95 % test accuracy',
    ylim=(-0.03, 1.05),
    xlim=(0, end),
  )
  drawn = 0
  for text, where in groups(ds):
    method, decay = where['method'], where['weight_decay']
    if config.variant == 'matched':
      # ⊥Grad without decay; the others with it, and one control without.
      if method.startswith('perp') == (decay > 0) and method != 'ce32':
        continue
      text = text.replace('CE, float32', 'AdamW')
    color, drawn = f'C{drawn}', drawn + 1
    curve = survived(ds, **where)
    t = np.append(curve.time, end)
    s = np.append(curve.survival, curve.survival[-1])
    e = np.append(curve.stderr, curve.stderr[-1])
    dashed = '--' if method.endswith('_matched') else '-'
    ax.step(t, s, where='post', color=color, label=text, ls=dashed)
    low, high = np.clip(s - 1.96 * e, 0, 1), np.clip(s + 1.96 * e, 0, 1)
    ax.fill_between(
      t, low, high, step='post', color=color, alpha=0.2, linewidth=0
    )
  _legend(ax)
  return {
    config.variant: (
      fig,
      f'Kaplan–Meier estimate over {many} seeds of the probability that a run '
      'is not yet right on 95 % of the test rows, with 95 % intervals '
      '(Greenwood). Runs that never are, are censored at the last step.',
    )
  }


def _plain(config: Any, ds: Any) -> dict[str, tuple]:
  """Accuracy of whatever was run, and the gap between logits."""
  fig, (left, right) = _pair()
  _accuracy(left, ds, _TITLES.get(config.variant, config.variant))
  right.set(
    title='how far the right answer is ahead',
    xlabel=STEP,
    ylabel='median logit gap',
  )
  _draw(right, ds, 'gaps', index=1, label=False)
  if np.nanmax(lanes(ds, 'gaps')[..., 1]) > 50:
    right.set_yscale('symlog')
  _legend(left)
  names = ', '.join(LABELS[str(m)] for m in ds['method'].values)
  return {
    config.variant: (
      fig,
      f'{names}. Left: accuracy on the training rows (dotted) and on all '
      'others (solid). Right: median gap between the correct logit and the '
      'best other one. Lines: median over seeds, bands: their range.',
    )
  }


_TITLES = {
  'sparse_parity': 'parity of 3 bits among 43',
  'mnist': 'MNIST, 200 images, large start',
  'transformer': 'one-layer transformer',
  'paper': 'mod 113, 40 %',
  'paper_perp': 'mod 113, 40 %',
  'paper_stablemax': 'mod 113, 40 %',
}

_FIGURES = {
  'quick': _grok,
  'perp_grad': _grok,
  'collapse': _collapse,
  'paper': _collapse,
  'stablemax': _stablemax,
  'sparse_parity': _stablemax,
  'paper_stablemax': _stablemax,
  'weight_decay': _decay,
  'interventions': _interventions,
  'time_to_grok': _survival,
  'matched': _survival,
}
