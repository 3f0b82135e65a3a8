"""How often training finds the best tokens, over n, T and d."""

import dataclasses
import itertools
from typing import Any

import numpy as np
from xarray import Dataset

from configs.attention_svm import Layer
from experiments.attention_svm.layer.arm import arm, sizes_of, times
from experiments.attention_svm.reading import PAPER, ended
from framework.evidence.claims import Claim, at_least, at_most, equals
from framework.evidence.lanes import lanes, prepared, select
from framework.launch import Figures, Variant

__all__ = ['VARIANT']

SOURCE = f'{PAPER}: global convergence against over-parametrisation'
SEEN = '500 other draws, 2000 steps of the published gradient'
# (form, n, T, d) -> share of runs at the best tokens.
GLOBAL = (
  {
    ('w', 5, 5, d): p
    for d, p in zip(
      (4, 6, 8, 10, 20, 40), (0.61, 0.78, 0.85, 0.88, 0.97, 0.99), strict=True
    )
  }
  | {
    ('w', n, 5, d): p
    for n, d, p in (
      (10, 10, 0.63),
      (10, 20, 0.88),
      (10, 40, 0.97),
      (20, 20, 0.58),
      (20, 40, 0.92),
      (20, 80, 0.99),
    )
  }
  | {
    ('w', 5, T, d): p
    for T, d, p in (
      (10, 10, 0.67),
      (10, 20, 0.79),
      (10, 40, 0.92),
      (20, 20, 0.65),
      (20, 40, 0.67),
      (20, 80, 0.79),
    )
  }
  | {('w', 6, 8, 10): 0.68}
)
B1 = {(5, 5, 20): (0.0, 0.03), (5, 5, 40): (0.21, 0.33)}


def sizes(config: Layer) -> list[tuple[int, int, int]]:
  """(n, T, d) of each setting."""
  return [
    sizes_of(dataclasses.replace(config, size=x)) for x in config.axis('size')
  ]


def part(ds: Dataset, form: str, size: tuple[int, int, int]) -> Dataset:
  """The runs of one setting."""
  return select(ds, form=form, size='x'.join(map(str, size)))


def found_best(
  ds: Dataset, form: str, size: tuple[int, int, int]
) -> np.ndarray:
  """Whether each run selected the best token of every sample."""
  return lanes(part(ds, form, size), 'optimal')[:, -1] == 1


def claims(config: Layer, ds: Dataset) -> list[Claim]:
  """The shares as measured, monotone in d; local otherwise; B.1."""
  ds = prepared(config, ds, ('form', 'method'))
  made: list[Claim] = []
  forms, seeds = ds['form'].values, ds.sizes['seed']
  for form in forms:
    for size in sizes(config):
      if (form, *size) in GLOBAL and config.steps >= 2000:
        p = GLOBAL[form, *size]
        error = np.sqrt(p * (1 - p) * (1 / 500 + 1 / seeds))
        made.append(
          equals(
            f'{form}.{"x".join(map(str, size))}',
            f'W, (n, T, d) = {size}: share of runs at the best tokens',
            SOURCE,
            p,
            found_best(ds, form, size).astype(float),
            atol=0.01 + 3 * error,
            derivation=f'{p:g} in {SEEN}: three standard errors of the '
            'difference, and 0.01 for another gradient',
          )
        )
    made += _monotone(config, ds, form) + _local(config, ds, form)
  return made + _b1(config, ds)


def _monotone(config: Layer, ds: Dataset, form: str) -> list[Claim]:
  """Among sizes that differ in d alone, more is better."""
  drops, seeds = [], ds.sizes['seed']
  every = sizes(config)
  for n, T in dict.fromkeys((n, T) for n, T, _ in every):
    dims = sorted(d for a, b, d in every if (a, b) == (n, T))
    p = [found_best(ds, form, (n, T, d)).mean() for d in dims]
    for a, b in itertools.pairwise(p):
      error = np.sqrt((a * (1 - a) + b * (1 - b)) / seeds + 1e-12)
      drops.append((a - b) / max(error, 1 / seeds))
  if not drops:
    return []
  name = {'w': 'W', 'kq': '(K, Q)'}[form]
  return [
    at_most(
      f'{form}.monotone',
      f'{name}: the share grows with d at equal n and T: largest drop between '
      'neighbours, in standard errors',
      f'{PAPER}: over-parametrisation helps',
      3.0,
      max(drops),
      derivation=f'three, of {len(drops)} pairs',
    )
  ]


def _local(config: Layer, ds: Dataset, form: str) -> list[Claim]:
  ends = np.concatenate(
    [ended(part(ds, form, s), 'global', 'local') for s in sizes(config)]
  )
  torn = np.concatenate(
    [ended(part(ds, form, s), 'infeasible') for s in sizes(config)]
  )
  name = {'w': 'W', 'kq': '(K, Q)'}[form]
  return [
    at_least(
      f'{form}.local',
      f'{name}: runs end at locally optimal tokens: share at {config.steps} '
      'steps, all sizes',
      f'{PAPER}: local optimality; the rest is not done',
      0.94,
      ends,
      derivation=f'0.95 at the worst size in {SEEN}; all of them at 10000 '
      'steps of the exact gradient',
    ),
    at_most(
      f'{form}.feasible',
      f'{name}: the SVM of the selected tokens has a solution: share without',
      f'{PAPER}: what is selected was separated',
      0.005,
      torn,
      derivation='none in 8000 other runs; runs still choosing may have none',
    ),
  ]


def _b1(config: Layer, ds: Dataset) -> list[Claim]:
  """How often all other tokens support W^mm."""
  if 'w' not in ds['form'].values or 'b1' not in ds:
    return []
  made, seeds = [], ds.sizes['seed']
  for size, (low, high) in B1.items():
    if size not in sizes(config):
      continue
    middle = (low + high) / 2
    slack = 3 * np.sqrt(max(middle * (1 - middle), 0.01) / seeds)
    made.append(
      at_most(
        f'b1.{"x".join(map(str, size))}',
        f'(n, T, d) = {size}: share of instances of which every token supports '
        f'W^mm, less {middle:.2g}: absolute',
        f'{PAPER}: assumption B.1',
        (high - low) / 2 + slack,
        abs(lanes(part(ds, 'w', size), 'b1').mean() - middle),
        derivation='0.01 at d = 20, 0.27 at d = 40 in 500 other draws, and '
        'three standard errors',
      )
    )
  return made


def figures(config: Layer, ds: Dataset) -> Figures:
  """Shares over d, a line each (n, T); bars of how runs end."""
  from framework.evidence import figures as plotting

  ds = prepared(config, ds, ('form', 'method'))
  forms, every = list(ds['form'].values), sizes(config)
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
      seen = [GLOBAL.get((form, n, T, d), np.nan) for d in dims]
      ax.plot(dims, seen, 'k_', ms=9, mew=1, zorder=5)
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
