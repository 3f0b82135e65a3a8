"""K and Q on the way to the nuclear SVM: weight decay, start, rank."""

from typing import Any

import numpy as np
from xarray import Dataset

from configs.attention_svm import EPS, Layer
from experiments.attention_svm import gates
from experiments.attention_svm.gates import gated
from experiments.attention_svm.layer.arm import arm, times
from experiments.attention_svm.reading import PAPER
from framework.evidence.claims import Claim, at_least, at_most
from framework.launch import Figures, Variant

__all__ = ['VARIANT']

OPEN = 'our 100 other instances; no theorem of descent on (K, Q)'


def ends(ds: Dataset, name: str, **where: Any) -> np.ndarray:
  """An observation of the end, one value a seed."""
  where = {k: v for k, v in where.items() if k in ds.dims}
  part = ds[name].sel(where)
  if 'time' in part.dims:
    part = part.isel(time=-1)
  more = {d: 0 for d in part.dims if d != 'seed'}
  return part.isel(more).values


def claims(config: Layer, ds: Dataset) -> list[Claim]:
  """The published agreement needs λ; the margin does not."""
  lams, scales, ranks = (config.axis(x) for x in ('lam', 'init_scale', 'm'))
  full = ranks[-1]

  def end(name, lam, scale=1.0, m=full):
    return ends(ds, name, lam=lam, init_scale=scale, m=m)

  def cosine(lam, scale=1.0):
    return end('alignment_nuclear', lam, scale)

  few = gates.separable(config) or gates.settled(config, 200.0)
  without = '' if 0.0 in lams and 1.0 in scales else 'needs λ = 0'
  published = '' if EPS in lams and 1.0 in scales else 'needs λ = 2.2e-16'
  both = without or published
  ours = gates.as_measured(config)
  made = [
    gated(
      few or published,
      at_least,
      'published',
      'with λ = 2.2e-16 the product turns to the nuclear SVM: median cosine at '
      'the end',
      PAPER,
      0.985,
      lambda: float(np.median(cosine(EPS))),
      derivation='the decay holds ‖W‖ at about 120, where 1 − cos is 0.003 at '
      'all sizes of the paper',
      headline=True,
    ),
    gated(
      ours or both,
      at_least,
      'decay.needed',
      'without λ it is behind: mean gain of cosine by λ = 2.2e-16, same seeds',
      OPEN,
      0.005,
      lambda: cosine(EPS) - cosine(0.0),
      derivation='0.015 there; λ lets go of the start, which nothing else does',
      kind='regression',
    ),
    gated(
      ours or both,
      at_least,
      'margin.without',
      'but without λ its margin is nearer the greatest: mean gain of margin '
      'ratio by λ = 0, same seeds',
      OPEN,
      0.02,
      lambda: (
        end('margin_ratio_nuclear', 0.0) - end('margin_ratio_nuclear', EPS)
      ),
      derivation='‖W‖ grows as t² without λ and is held at about 127 with it; '
      'a margin is missed by O(1)/‖W‖, and a flat optimum has the same margin '
      'in many directions',
      kind='regression',
    ),
  ]
  if 0.01 in scales:
    made.append(
      gated(
        ours or without,
        at_most,
        'start.small',
        'a start a hundred times smaller is no substitute for λ: mean gain of '
        'cosine by it, without λ',
        OPEN,
        0.0,
        lambda: cosine(0.0, 0.01) - cosine(0.0),
        derivation='from near 0 the product grows direction by direction: the '
        'last ones come late',
        kind='regression',
      )
    )
  if 1e-8 in lams:
    made.append(
      gated(
        few or without,
        at_most,
        'decay.holds',
        'a larger λ = 1e-8 holds W: ‖W‖ over that without λ, mean',
        'derived: normalised descent stops growing where ‖∇L‖ ∼ 2λ‖W‖',
        0.6,
        lambda: end('weight_norm', 1e-8) / end('weight_norm', 0.0),
        derivation='‖W‖ ∼ ln(1/λ) there, against t',
        kind='theorem',
      )
    )
  for m in ranks[:-1]:
    made += _columns(config, ds, m, EPS if EPS in lams else lams[0], few)
  return made


def _columns(
  config: Layer, ds: Dataset, m: int, lam: float, few: str
) -> list[Claim]:
  """Fewer columns than min(n, d): enough, or too few, for the solution."""
  where = {'m': m, 'lam': lam, 'init_scale': 1.0}
  reason = few or ('' if 1.0 in config.axis('init_scale') else 'needs a start')

  def cosines(when):
    rank = ends(ds, 'rank_nuclear', **where)
    own = ends(ds, 'alignment_nuclear', **where)
    return own[when(rank)]

  if m == 1:
    return [
      gated(
        reason or gates.of_dimension(config, 3),
        at_most,
        'rank.one',
        'with one column K, Q cannot reach the SVM of what they select, where '
        'that has a higher rank: mean cosine',
        'derived: the best approximation of rank one',
        0.95,
        lambda: cosines(lambda rank: ~(rank <= 1)),
        derivation='σ₁/‖σ‖ of solutions of rank 2 to 4: about 0.8',
        kind='theorem',
      )
    ]
  needed = np.sqrt(2 * max(n for n, _, _ in gates.sizes(config)))
  if m < needed:
    reason = reason or f'needs √(2 n) = {needed:.2g} columns, about the rank'
  return [
    gated(
      reason,
      at_least,
      f'rank.{m}',
      f'{m} columns are enough where the solution has no higher rank: mean '
      'cosine',
      f'{PAPER}: rank constraints do not bind from the rank of the solution on',
      0.98,
      lambda: cosines(lambda rank: ~(rank > m)),
      derivation='as with all columns',
    )
  ]


def figures(config: Layer, ds: Dataset) -> Figures:
  """Cosines over λ for each start; over m."""
  from framework.evidence import figures as plotting

  lams, scales, ranks = (config.axis(x) for x in ('lam', 'init_scale', 'm'))
  fig, axes = plotting.figure('double', height=2.8, ncols=2)
  ax, places = axes[0], np.arange(len(lams))
  for i, scale in enumerate(scales):
    missing = [
      1
      - ends(
        ds,
        'alignment_nuclear',
        lam=lam,
        init_scale=scale,
        m=ranks[-1],
      )
      for lam in lams
    ]
    shift = 0.08 * (i - (len(scales) - 1) / 2)
    for place, found in zip(places, missing, strict=True):
      at = np.full(len(found), place + shift)
      ax.plot(at, found, 'o', ms=2, mew=0, alpha=0.35, color=f'C{i}')
    ax.plot(
      places + shift,
      [np.nanmedian(x) for x in missing],
      'D-',
      ms=4,
      color=f'C{i}',
      label=f'{scale:g}',
    )
  ax.set_xticks(places, [f'{lam:.2g}' for lam in lams])
  ax.set(yscale='log', xlabel=r'$\lambda$', xlim=(-0.5, len(lams) - 0.5))
  ax.set_ylabel(r'$1 - \cos(KQ^\top, W_\star)$')
  ax.set_title(f'$m = {ranks[-1]}$, $t = {config.steps}$')
  plotting.legend(ax, title='scale of start')
  ax = axes[1]
  lam = EPS if EPS in lams else lams[0]
  for norm, color in (('nuclear', 'C0'), ('frobenius', 'C1')):
    if norm not in config.norms:
      continue
    rows = np.array(
      [
        ends(
          ds,
          f'alignment_{norm}',
          lam=lam,
          init_scale=scales[0],
          m=m,
        )
        for m in ranks
      ]
    ).T
    plotting.lanes(
      ax, np.asarray(ranks), rows, f'{norm} SVM', color, band=(0.1, 0.9)
    )
  ax.set(xscale='log', xlabel='columns $m$ of $K$ and $Q$')
  ax.set_xticks(ranks, [str(m) for m in ranks])
  ax.minorticks_off()
  ax.set_ylabel('cosine')
  ax.set_title(rf'$\lambda$ = {lam:.2g}')
  plotting.legend(ax)
  return {
    'kq_decay': (
      fig,
      f'{ds.sizes["seed"]} seeds. Left: how far the product is from the '
      'nuclear SVM of its tokens, over the weight decay λ in the loss, for '
      'starts of different size (points, medians). Right: over the number of '
      'columns, median and the middle 80 %.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
