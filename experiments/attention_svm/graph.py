"""Next-token prediction: the SVM of a graph, and what stays finite."""

import numpy as np
from xarray import Dataset

from configs.attention_svm import Graph
from framework.evidence import fits
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  untestable,
  within,
)
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
  return lanes(ds.isel(time=-1), 'finite_norm') > _SMALL


def _ordered(ds: Dataset) -> np.ndarray:
  return lanes(ds.isel(time=-1), 'ordered') > 0


def claims(config: Graph, ds: Dataset) -> list[Claim]:
  """Feasible; W_fin as 1/t; the loss as 1/t; the direction as (ln t)^-2."""
  made = [
    at_least(
      'feasible',
      "the graph's SVM has a solution, since priorities are acyclic and "
      'embeddings independent: share of corpora',
      SOURCE,
      1.0,
      lanes(ds.isel(time=-1), 'feasible')[_ordered(ds)],
      each=True,
      derivation='exact',
    )
  ]
  t, T = ds['time'].values.astype(float), config.steps
  if T < 10_000:
    reason = f'needs 10000 steps, there are {T}'
    return [*made, untestable('limits', 'W_fin and W_svm', SOURCE, reason)]
  both, order = _cyclic(ds), _ordered(ds)
  window = (T / 100, T)
  error, size = lanes(ds, 'finite_error'), lanes(ds, 'finite_norm')
  direction = lanes(ds, 'direction_error')
  late = t >= 100
  loglog = fits.line(np.log(np.log(t[late])), np.log(direction[order][:, late]))
  return [
    *made,
    at_most(
      'finite',
      f'at t = {T} the part of W in the cyclic subspace is W_fin: '
      '‖Π_fin W − W_fin‖/‖W_fin‖, every corpus with cycles',
      SOURCE,
      # The rate is 1/t, so this is 1e-2 at 1e5 steps.
      1e3 / T,
      error[both, -1] / size[both, -1],
      each=True,
      derivation='1/t, with a constant below 1000 for 40 other corpora',
    ),
    within(
      'finite.rate',
      f'that error falls as 1/t: exponent over {window[0]:g} ≤ t ≤ {T}',
      'derived: the pull of attention on other tokens falls as 1/t',
      -1.2,
      -0.8,
      fits.power_law(t, error[both], window).slope,
      derivation='−1; corpora whose cyclic loss is flat are slower',
    ),
    within(
      'loss.rate',
      'the loss falls to that of the cyclic subproblem as 1/t: exponent over '
      f'{window[0]:g} ≤ t ≤ {T}',
      'derived: attention on the losing tokens a(t) has ȧ ∝ −a²',
      -1.1,
      -0.9,
      fits.power_law(t, lanes(ds, 'excess')[order], window).slope,
      derivation='−1',
    ),
    at_most(
      'direction',
      f'at t = {T} the rest of W has turned to W_svm: 1 − cos, median',
      SOURCE,
      0.02,
      float(np.median(direction[order, -1])),
      derivation='(c/ln t)² with c of order one: 0.008 for c = 1',
    ),
    within(
      'direction.rate',
      '1 − cos falls as a power of ln t, not of t: exponent over t ≥ 100',
      'derived: W = W_svm ln t + O(1), so the angle is O(1/ln t)',
      -3.5,
      -1.5,
      loglog.slope,
      derivation='−2; O(1/ln t) corrections are large at all t that can be run',
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
