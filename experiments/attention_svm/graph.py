"""Next-token prediction: the SVM of a graph, and what stays finite."""

import numpy as np
from xarray import Dataset

from configs.attention_svm import Graph
from experiments.attention_svm import gates
from experiments.attention_svm.gates import gated
from framework.evidence import fits
from framework.evidence.claims import Claim, at_least, at_most, within
from framework.evidence.lanes import lanes
from framework.launch import Arm, Figures, Variant, hp_of, structure_of
from framework.system import logspaced
from framework.systems.attention_svm import next_token

__all__ = ['VARIANT']

SOURCE = 'Li et al. 2024, Mechanics of Next Token Prediction'
_SMALL = 1e-3  # of ‖W_fin‖: symmetric sequences have W_fin = 0


def arm(config: Graph) -> Arm:
  """Gradient descent on random corpora."""
  structure = structure_of(
    next_token.Structure, config, dtype=np.dtype(config.precision)
  )
  return Arm(
    next_token.system(structure),
    hp_of(next_token.Hp, config),
    attributes=next_token.ATTRIBUTES,
  )


def times(config: Graph) -> np.ndarray:
  """Evenly in ln t."""
  return logspaced(config.steps, config.records)


def _cyclic(ds: Dataset) -> np.ndarray:
  """Corpora with W_fin ≠ 0; those of which that is not known among them."""
  return ~(lanes(ds.isel(time=-1), 'finite_norm') <= _SMALL)


def _ordered(ds: Dataset) -> np.ndarray:
  """Corpora in which a token has priority over another."""
  return lanes(ds.isel(time=-1), 'ordered') != 0


def _few(config: Graph) -> str:
  """Stable steps, enough of them, and corpora enough to have cycles."""
  eta = config.axis('eta')
  if max(eta) > 2:
    return f'needs η ≤ 2, where descent is stable, this is {max(eta):g}'
  if min(eta) * config.steps < 10_000:
    return f'needs η t = 10000, this is {min(eta) * config.steps:g}'
  if max(config.axis('init_scale')) > 1:
    return 'needs a start of length 1 at most'
  if config.seeds < 10:
    return f'needs 10 corpora, there are {config.seeds}'
  if min(config.axis('n')) < 3 * max(config.axis('queries')):
    return 'needs three sequences for each last token, for cycles'
  return ''


def claims(config: Graph, ds: Dataset) -> list[Claim]:
  """Feasible; W_fin as 1/t; the loss as 1/t; the direction as (ln t)^-2."""
  t, T, reason = ds['time'].values.astype(float), config.steps, _few(config)
  window = (T / 100, T)

  def slope(name, some):
    return fits.power_law(t, lanes(ds, name)[some], window).slope

  def turning():
    late = t >= 100
    found = np.log(lanes(ds, 'direction_error')[_ordered(ds)][:, late])
    return fits.line(np.log(np.log(t[late])), found).slope

  def missing():
    both = _cyclic(ds)
    error, size = (
      lanes(ds, f'finite_{x}')[both, -1] for x in ('error', 'norm')
    )
    return error / size

  def median():
    off = lanes(ds, 'direction_error')[_ordered(ds), -1]
    return float(np.median(off)) if len(off) else np.nan

  last = f'at t = {T}'
  return [
    gated(
      '',
      at_least,
      'feasible',
      "the graph's SVM has a solution, since priorities are acyclic and "
      'embeddings independent: share of corpora',
      SOURCE,
      1.0,
      lambda: lanes(ds.isel(time=-1), 'feasible')[_ordered(ds)],
      each=True,
      derivation='exact',
      kind='theorem',
    ),
    gated(
      reason,
      within,
      'finite.rate',
      'W in the cyclic subspace tends to W_fin as 1/t: exponent of '
      f'‖Π_fin W − W_fin‖ over {window[0]:g} ≤ t ≤ {T}',
      'derived: the pull of attention on other tokens falls as 1/t',
      (-1.2, -0.8),
      lambda: slope('finite_error', _cyclic(ds)),
      derivation='−1; corpora whose cyclic loss is flat are slower',
      kind='theorem',
      headline=True,
    ),
    gated(
      reason,
      within,
      'loss.rate',
      'the loss falls to that of the cyclic subproblem as 1/t: exponent over '
      f'{window[0]:g} ≤ t ≤ {T}',
      'derived: attention on the losing tokens a(t) has ȧ ∝ −a²',
      (-1.1, -0.9),
      lambda: slope('excess', _ordered(ds)),
      derivation='−1',
      kind='theorem',
      headline=True,
    ),
    gated(
      reason,
      at_most,
      'direction',
      f'{last} the rest of W has turned to W_svm: 1 − cos, median',
      f'{SOURCE}: W(t)/‖W(t)‖ tends to W_svm/‖W_svm‖ off that subspace',
      float((1.6 / np.log(min(config.axis('eta')) * T)) ** 2),
      median,
      derivation='(c/ln η t)² with c of order one: 0.008 at 10⁵ for c = 1, '
      'here c = 1.6',
      headline=True,
    ),
    gated(
      reason,
      within,
      'direction.rate',
      '1 − cos falls as a power of ln t, not of t: exponent over t ≥ 100',
      'derived: W = W_svm ln t + O(1), so the angle is O(1/ln t)',
      (-3.5, -1.5),
      turning,
      derivation='−2; O(1/ln t) corrections are large at all t that can be run',
      kind='theorem',
    ),
    gated(
      gates.as_measured(config),
      at_most,
      'finite',
      f'{last} ‖Π_fin W − W_fin‖/‖W_fin‖, every corpus with cycles',
      'our 40 other corpora',
      1e-2,
      missing,
      each=True,
      derivation='below 1000/t there',
      kind='regression',
    ),
  ]


def figures(config: Graph, ds: Dataset) -> Figures:
  """Three panels: finite part, direction, loss."""
  from framework.evidence import figures as plotting

  t = ds['time'].values.astype(float)
  shown = t > 0
  both, order = _cyclic(ds), _ordered(ds)
  fig, axes = plotting.figure('double', height=2.6, ncols=3)
  panels = (
    (
      lanes(ds, 'finite_error')[both] / lanes(ds, 'finite_norm')[both],
      r'$\|\Pi_{fin}W - W_{fin}\|/\|W_{fin}\|$',
      lambda t: t**-1.0,
      r'$\propto 1/t$',
    ),
    (
      lanes(ds, 'direction_error')[order],
      r'$1-\cos(\Pi_\perp W,\, W_{svm})$',
      lambda t: np.log(t) ** -2.0,
      r'$\propto (\ln t)^{-2}$',
    ),
    (
      lanes(ds, 'excess')[order],
      r'$L - \inf L$',
      lambda t: t**-1.0,
      r'$\propto 1/t$',
    ),
  )
  for i, (ax, (found, name, law, label)) in enumerate(
    zip(axes, panels, strict=True)
  ):
    ax.set(xscale='log', yscale='log', xlabel='gradient steps $t$')
    ax.set_title(name)
    if not len(found):
      continue
    plotting.lanes(ax, t[shown], found[:, shown], '', f'C{i}', band=(0.1, 0.9))
    late = t >= min(100, config.steps)
    end = np.nanmedian(found[:, -1])
    line = law(np.maximum(t[late], 2)) / law(t[-1]) * end
    plotting.law(ax, t[late], line).set_label(label)
    plotting.legend(ax)
  return {
    'next_token': (
      fig,
      f'{both.sum()} of {len(both)} random corpora have W_fin ≠ 0 (left), '
      f'{order.sum()} a token with priority (middle, right); median and the '
      'middle 80 %. What tokens share converges fast, the direction as slowly '
      'as ln t grows.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
