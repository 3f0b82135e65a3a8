"""Two samples in the plane: where W z₁ and W z₂ go."""

from typing import Any

import numpy as np
from xarray import Dataset

from configs.attention_svm import Layer
from experiments.attention_svm import gates
from experiments.attention_svm.gates import gated
from experiments.attention_svm.layer.arm import arm as layer_arm
from experiments.attention_svm.layer.arm import times
from experiments.attention_svm.reading import (
  FORMS,
  OWN,
  PAPER,
  TRAINED,
  cosines,
  ended,
)
from framework.evidence.claims import Claim, at_least
from framework.evidence.lanes import lanes, prepared, select
from framework.launch import Arm, Figures, Variant

__all__ = ['VARIANT']

ATTRIBUTES = {
  'X': {'long_name': 'tokens', 'units': '1'},
  'Z': {'long_name': 'queries', 'units': '1'},
  'there': {'long_name': 'which tokens there are', 'units': '1'},
}
DATA = {'opposed': 'opposed inputs', 'shared': 'a good token each'}


def arm(config: Layer) -> Arm:
  """One layer in the plane, with what is needed to draw it."""
  plain = layer_arm(config)
  end: Any = plain.final

  def final(state, problem, hp):
    data = problem.data
    drawn = {'X': data.X, 'Z': data.Z, 'there': data.mask}
    return end(state, problem, hp) | drawn

  return plain._replace(
    final=final, attributes={**plain.attributes, **ATTRIBUTES}
  )


def settings(config: Layer) -> list[tuple[str, str]]:
  """(data, form) of each panel."""
  return [(x, f) for x in config.axis('data') for f in config.axis('form')]


def chosen(part: Dataset) -> np.ndarray:
  """Whether each run ended at locally optimal tokens: 1, 0 or NaN."""
  return ended(part, 'global', 'local')


def claims(config: Layer, ds: Dataset) -> list[Claim]:
  """Each direction is that of its SVM."""
  ds = prepared(config, ds, ('form', 'method'))
  made = []
  for data, form in settings(config):
    part, name = select(ds, data=data, form=form), TRAINED[form]
    title = DATA.get(data, data)
    made += [
      gated(
        _few(config, data, form),
        at_least,
        f'{data}.{form}',
        f'{title}: median cosine of {name} and its {OWN[form]} SVM, of '
        'runs at locally optimal tokens',
        f'{PAPER}: trajectories',
        0.999,
        lambda part=part, form=form: _median_cosine(part, form),
        derivation='0.9996 to 0.99996 in the four published runs',
        headline=True,
      ),
      gated(
        gates.as_measured(config),
        at_least,
        f'{data}.{form}.done',
        f'{title}: {name} ends at tokens that are locally optimal: share '
        'of instances',
        'our 20 other instances',
        0.8,
        lambda part=part: chosen(part),
        derivation='the rest is not done after 2000 steps, or not separable '
        'with four numbers',
        kind='regression',
      ),
    ]
  return made


def _few(config: Layer, data: str, form: str) -> str:
  """Two samples in the plane, steps enough, and a λ as published."""
  reason = gates.settled(config, 200.0)
  if form == 'kq':
    reason = reason or gates.published_kq(config)
  if any(size[::2] != (2, 2) for size in gates.sizes(config)):
    reason = reason or 'needs two samples in the plane, n = d = 2'
  if data not in DATA:
    reason = reason or f'needs data of a picture, this is {data}'
  return reason


def _median_cosine(part: Dataset, form: str) -> float:
  """Of runs that have chosen; NaN where that is not known of one."""
  done, last = chosen(part), cosines(part, OWN[form])[:, -1]
  kept = last[done != 0] + 0 * done[done != 0]
  return float(np.median(kept)) if len(kept) else np.nan


def figures(config: Layer, ds: Dataset) -> Figures:
  """Tokens, the way of W z_i, and the rays of the SVM."""
  from framework.evidence import figures as plotting

  ds = prepared(config, ds, ('form', 'method'))
  panels = settings(config)
  fig, axes = plotting.figure(
    'double', height=2.3, ncols=len(panels), squeeze=False
  )
  for ax, (data, form) in zip(axes[0], panels, strict=True):
    part = select(ds, data=data, form=form)
    done = np.flatnonzero(chosen(part) == 1)
    _panel(ax, part, OWN[form], int(done[0]) if done.size else 0)
    ax.set_title(f'{FORMS[form]}: {DATA.get(data, data)}', fontsize=7)
  return {
    'trajectories': (
      fig,
      'Two samples in the plane (blue, orange): their tokens, the one that is '
      'selected filled; the way of W z from 0, at distance ln(1 + |W z|); '
      'dashed: the direction of the SVM solution, to which it turns. The first '
      'instance that ends at locally optimal tokens.',
    )
  }


def _panel(ax: Any, part: Any, norm: str, lane: int) -> None:
  W = lanes(part, 'W')[lane]
  svm = lanes(part, f'svm_{norm}')[lane]
  X, Z = (lanes(part, name)[lane] for name in ('X', 'Z'))
  there = lanes(part, 'there')[lane] > 0
  tokens = lanes(part, 'tokens')[lane, -1].astype(int)
  for i in range(len(Z)):
    color = f'C{i}'
    where = X[i][there[i]]
    ax.plot(*where.T, 'o', ms=4, mfc='white', mec=color, mew=1)
    ax.plot(*X[i, tokens[i]], 'o', ms=4.5, color=color)
    way = W @ Z[i]
    far = np.linalg.norm(way, axis=1, keepdims=True)
    way = way / np.maximum(far, 1e-300) * np.log1p(far) / 2.5
    ax.plot(*way.T, '-', color=color, lw=1.5)
    ray = svm @ Z[i]
    ray = ray / np.linalg.norm(ray) * np.log1p(far.max()) / 2.5
    ax.plot(*np.stack([0 * ray, ray]).T, '--', color='black', lw=0.9, zorder=4)
  ax.axhline(0, color='0.85', lw=0.6, zorder=0)
  ax.axvline(0, color='0.85', lw=0.6, zorder=0)
  ax.set_aspect('equal', adjustable='datalim')
  ax.tick_params(labelsize=6)


VARIANT = Variant(arm, times, claims, figures)
