"""How often training finds the best tokens, over n, T and d."""

from typing import Any

import numpy as np
from xarray import Dataset

from configs.attention_svm import Layer
from experiments.attention_svm import gates
from experiments.attention_svm.gates import gated
from experiments.attention_svm.layer.arm import arm, times
from experiments.attention_svm.reading import PAPER, ended
from framework.evidence.claims import Claim, at_least, equals, within
from framework.evidence.known import known
from framework.evidence.lanes import at, lanes, prepared, select
from framework.launch import Figures, Variant

__all__ = ['VARIANT']

SOURCE = f'{PAPER}: global convergence against over-parametrisation'
SEEN = '500 other draws of ours, 2000 steps of the published gradient'
NAMES = {'w': 'W', 'kq': '(K, Q)'}
# (n, T, d) -> share of runs of W at the best tokens.
GLOBAL: dict[tuple[int, int, int], float] = {
  (n, T, d): p
  for n, T, shares in (
    (5, 5, {4: 0.61, 6: 0.78, 8: 0.85, 10: 0.88, 20: 0.97, 40: 0.99}),
    (10, 5, {10: 0.63, 20: 0.88, 40: 0.97}),
    (20, 5, {20: 0.58, 40: 0.92, 80: 0.99}),
    (5, 10, {10: 0.67, 20: 0.79, 40: 0.92}),
    (5, 20, {20: 0.65, 40: 0.67, 80: 0.79}),
    (6, 8, {10: 0.68}),
  )
  for d, p in shares.items()
}
B1 = {(5, 5, 20): (0.01, 0.0, 0.03), (5, 5, 40): (0.27, 0.21, 0.33)}
_ENOUGH = 50  # seeds, for a share to be known to 0.07
Size = tuple[int, int, int]


def part(ds: Dataset, form: str, size: Size) -> Dataset:
  """The runs of one setting."""
  n, T, d = size
  return select(ds, form=form, size=f'{n}x{T}x{d}', n=n, T=T, d=d)


def found_best(ds: Dataset, form: str, size: Size) -> np.ndarray:
  """Whether each run selected the best token of every sample: 1, 0 or NaN."""
  runs = part(ds, form, size)
  return known(np.equal, at(runs, 'optimal', int(ds['time'][-1])), 1.0)


def claims(config: Layer, ds: Dataset) -> list[Claim]:
  """More with d; locally optimal otherwise; always, where B.1 holds."""
  ds = prepared(config, ds, ('form', 'method'))
  made: list[Claim] = []
  for form in config.axis('form'):
    made += [_grows(config, ds, form), *_local(config, ds, form)]
  if 'w' in config.axis('form'):
    made += _shares(config, ds) + _b1(config, ds)
  return made


def _groups(config: Layer) -> list[list[Size]]:
  """Sizes that differ in d alone, least and greatest, four times as large."""
  every = gates.sizes(config)
  found = []
  for n, T in dict.fromkeys((n, T) for n, T, _ in every):
    own = sorted(size for size in every if size[:2] == (n, T))
    if own[-1][2] >= 4 * own[0][2]:
      found.append([own[0], own[-1]])
  return found


def _grows(config: Layer, ds: Dataset, form: str) -> Claim:
  """A margin that is fixed beforehand: 50 seeds do not pass by chance."""
  groups = _groups(config)
  reason = _trained(config) or ('' if groups else 'needs a d and one of 4 d')
  if config.seeds < _ENOUGH:
    reason = reason or f'needs {_ENOUGH} seeds, there are {config.seeds}'
  # A share of n seeds has a standard error of ½/√n at most.
  error = np.sqrt(0.5 / config.seeds / max(len(groups), 1))

  def growth():
    shares = [
      [found_best(ds, form, size).mean() for size in pair] for pair in groups
    ]
    return float(np.mean(np.diff(shares)))

  return gated(
    reason,
    at_least,
    f'{form}.grows',
    f'{NAMES[form]}: the share of runs at the best tokens grows with d, from '
    'the least to the greatest d at equal n and T: mean growth',
    SOURCE,
    float(3 * error),
    growth,
    derivation=f'no growth but for three standard errors, {error:.2g} each at '
    'most',
    headline=True,
  )


def _trained(config: Layer) -> str:
  return gates.settled(config, 200.0)


def _shares(config: Layer, ds: Dataset) -> list[Claim]:
  """The shares as we measured them."""
  made = []
  for size in gates.sizes(config):
    p = GLOBAL.get(size)
    if p is None:
      continue
    error = np.sqrt(p * (1 - p) * (1 / 500 + 1 / config.seeds))
    made.append(
      gated(
        gates.as_measured(config, *_SIZES, seeds=20),
        equals,
        f'w.{"x".join(map(str, size))}',
        f'W, (n, T, d) = {size}: share of runs at the best tokens',
        SEEN,
        p,
        lambda size=size: found_best(ds, 'w', size),
        atol=0.01 + 3 * error,
        derivation=f'{p:g} there: three standard errors of the difference, and '
        '0.01 for another gradient',
        kind='regression',
      )
    )
  return made


_SIZES = ('n', 'T', 'd', 'size')


def _local(config: Layer, ds: Dataset, form: str) -> list[Claim]:
  """Of all sizes together."""
  name, reason = NAMES[form], _trained(config)
  if form == 'kq':
    reason = reason or gates.enough_columns(config)

  def ends(*outcomes):
    return np.concatenate(
      [ended(part(ds, form, size), *outcomes) for size in gates.sizes(config)]
    )

  def local_when_done():
    """Of runs that have chosen; NaN stays."""
    done = 1 - ends('unsaturated')
    return np.where(done == 0, 1.0, ends('global', 'local') + 0 * done)

  return [
    gated(
      reason,
      at_least,
      f'{form}.local',
      f'{name}: runs that have chosen end at locally optimal tokens: share, '
      'all sizes',
      f'{PAPER}: local optimality',
      0.9,
      local_when_done,
      derivation='the rest is about to change a token: all of them at 10000 '
      'steps of the exact gradient',
    ),
    gated(
      gates.as_measured(config, *_SIZES, seeds=20),
      at_least,
      f'{form}.local.measured',
      f'{name}: runs end at locally optimal tokens: share of all',
      SEEN,
      0.94,
      lambda: ends('global', 'local'),
      derivation='0.95 there at the worst size',
      kind='regression',
    ),
    gated(
      reason,
      at_least,
      f'{form}.feasible',
      f'{name}: the SVM of tokens that attention has chosen has a solution: '
      'share',
      'derived: W itself separates them',
      1.0,
      lambda: 1 - ends('infeasible'),
      each=True,
      derivation='exact',
      kind='theorem',
    ),
  ]


def _b1(config: Layer, ds: Dataset) -> list[Claim]:
  """Assumption B.1, all other tokens support W^mm: how often, and then what."""
  large = [s for s in gates.sizes(config) if s in ((5, 5, 40), (20, 5, 80))]

  def assumed(size):
    return lanes(part(ds, 'w', size), 'b1')

  def best_if_assumed():
    found = [
      np.where(assumed(size) == 0, np.inf, found_best(ds, 'w', size))
      + 0 * assumed(size)
      for size in large
    ]
    every = np.concatenate(found)
    return every[~np.isposinf(every)]

  reason = _trained(config) or ('' if config.b1 else 'needs b1')
  if (5, 5, 40) not in large:
    reason = reason or 'needs (n, T, d) = (5, 5, 40), where B.1 is not rare'
  if config.seeds < _ENOUGH:
    reason = reason or f'needs {_ENOUGH} seeds, there are {config.seeds}'
  made = [
    gated(
      reason,
      at_least,
      'b1.global',
      'where every other token supports W^mm, W is at the best tokens: share '
      'of runs',
      f'{PAPER}: global convergence under assumption B.1',
      0.95,
      best_if_assumed,
      derivation='all of them in the limit; a run in some hundreds is late',
      kind='theorem',
    )
  ]
  for size, (middle, low, high) in B1.items():
    if size not in gates.sizes(config):
      continue
    slack = 3 * np.sqrt(max(middle * (1 - middle), 0.01) / config.seeds)
    made.append(
      gated(
        gates.as_measured(config, *_SIZES, seeds=20),
        within,
        f'b1.{"x".join(map(str, size))}',
        f'(n, T, d) = {size}: share of instances of which every other token '
        'supports W^mm',
        SEEN,
        (low - slack, high + slack),
        lambda size=size: assumed(size),
        derivation=f'{middle:g} there, and three standard errors',
        kind='regression',
      )
    )
  return made


def figures(config: Layer, ds: Dataset) -> Figures:
  """Shares over d, a line each (n, T); bars of how runs end."""
  from framework.evidence import figures as plotting

  ds = prepared(config, ds, ('form', 'method'))
  forms, every = list(ds['form'].values), gates.sizes(config)
  groups = list(dict.fromkeys((n, T) for n, T, _ in every))
  fig, axes = plotting.figure('double', height=2.9, ncols=len(forms) + 1)
  titles = {'w': '$W$', 'kq': '$(K, Q)$'}
  seeds = ds.sizes['seed']
  for ax, form in zip(axes, forms, strict=False):
    for i, (n, T) in enumerate(groups):
      dims = sorted(d for a, b, d in every if (a, b) == (n, T))
      p = np.array([found_best(ds, form, (n, T, d)).mean() for d in dims])
      error = np.sqrt(p * (1 - p) / seeds)
      ax.errorbar(
        dims,
        p,
        error,
        fmt='o-',
        ms=3.5,
        color=f'C{i}',
        lw=1.2,
        label=f'$n = {n}$, $T = {T}$',
      )
      if form == 'w':
        seen = [GLOBAL.get((n, T, d), np.nan) for d in dims]
        name = '_' if i else '500 other draws'
        ax.plot(dims, seen, 'k_', ms=9, mew=1, zorder=5, label=name)
    ax.set(xscale='log', xlabel='dimension $d$', ylim=(0, 1.05))
    ax.set_title(f'{titles[form]}: at the best tokens')
    ax.set_xticks([4, 10, 20, 40, 80], ['4', '10', '20', '40', '80'])
    ax.minorticks_off()
  axes[0].set_ylabel('share of runs')
  fig.legend(
    *axes[0].get_legend_handles_labels(), loc='outside lower center', ncols=3
  )
  _bars(axes[-1], ds, [s for s in every if s[:2] == groups[0]], forms[0])
  return {
    'global': (
      fig,
      f'{seeds} instances a point. Left, middle: share of runs that select the '
      'best token of every sample, ± one standard error; black dashes: 500 '
      'other draws. Right: how runs end, and (line) the share of instances '
      'of which every token supports W^mm, where global convergence is a '
      'theorem.',
    )
  }


def _bars(ax: Any, ds: Dataset, every: list, form: str) -> None:
  """Stacked shares of global, local, other."""
  from framework.evidence import figures as plotting

  places = np.arange(len(every))
  bottom = np.zeros(len(every))
  kinds = (
    ('best', ('global',), 'C0'),
    ('local', ('local',), 'C4'),
    ('other', ('not local', 'unsaturated', 'infeasible'), '0.75'),
  )
  for name, outcomes, color in kinds:
    height = np.array(
      [ended(part(ds, form, s), *outcomes).mean() for s in every]
    )
    ax.bar(places, height, bottom=bottom, color=color, width=0.75, label=name)
    bottom += height
  if 'b1' in ds:
    ax.plot(
      places,
      [lanes(part(ds, form, s), 'b1').mean() for s in every],
      'D-',
      color='C2',
      ms=4,
      label='B.1',
    )
  ax.set_xticks(places, [str(d) for _, _, d in every])
  n, T, _ = every[0]
  ax.set(xlabel='dimension $d$', title=f'$n = {n}$, $T = {T}$', ylim=(0, 1.05))
  plotting.legend(ax)


VARIANT = Variant(arm, times, claims, figures)
