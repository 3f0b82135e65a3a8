"""A ReLU head keeps several tokens: what W is then."""

import itertools

import numpy as np
from xarray import Dataset

from configs.attention_svm import Layer
from experiments.attention_svm.layer.arm import (
  hp_of,
  sizes_of,
  structure_of,
  times,
)
from experiments.attention_svm.reading import PAPER
from framework.evidence.claims import Claim, at_least, at_most, untestable
from framework.evidence.lanes import lanes, select
from framework.launch import Arm, Figures, Variant
from framework.systems import attention_svm as svm
from framework.systems.attention_svm import several_tokens as multi_token

__all__ = ['VARIANT']

TITLES = {
  'equivalent': r'$W_{fin} + C\,W_{dir}$',
  'direction': r'$W_{dir}$',
  'single': 'one token',
}
SOURCE = f'{PAPER}: general SVM equivalence, a conjecture'
ENOUGH = 100  # runs that count, for a median to be one
DEEP = 1e-12  # lost tokens have no more softmax: the run is far along


def snapshots(config: Layer) -> tuple[int, ...]:
  """Steps 1, 101, 201, ..., and the last; or the last alone."""
  between = range(1, config.steps, config.curve) if config.curve else ()
  return tuple(sorted({*between, config.steps}))


def arm(config: Layer) -> Arm:
  """One layer with a ReLU head; only ends and repetitions are recorded."""
  structure = structure_of(config)
  return Arm(
    multi_token.system(structure),
    hp_of(config),
    final=multi_token.final(structure, snapshots(config)),
    attributes=svm.ATTRIBUTES | multi_token.ATTRIBUTES,
  )


def dims(config: Layer) -> tuple[int, ...]:
  """The dimensions."""
  return config.axis('d') if not config.size else (sizes_of(config)[2],)


def cell(ds: Dataset, name: str, d: int) -> np.ndarray:
  """An observation at one dimension, (seeds, ...)."""
  return lanes(select(ds, d=d), name)


def ends(ds: Dataset, d: int) -> dict[str, np.ndarray]:
  """1 − cos of the runs that count at the last step, for each of the three."""
  counts = cell(ds, 'accepted', d) > 0
  last = 1 - cell(ds, 'curves', d)[counts, :, -1]
  return dict(zip(multi_token.NAMES, last.T, strict=True))


def claims(config: Layer, ds: Dataset) -> list[Claim]:
  """The equivalent is nearest, then the direction, then one token."""
  made: list[Claim] = []
  averages = {}
  for d in dims(config):
    found = ends(ds, d)
    count = len(found['equivalent'])
    if count < ENOUGH:
      made.append(
        untestable(
          f'd{d}',
          f'd = {d}: W is near W_fin + C W_dir',
          SOURCE,
          f'{count} runs count, of {ds.sizes["seed"]}; needs {ENOUGH}',
        )
      )
      continue
    middle = {name: float(np.median(x)) for name, x in found.items()}
    averages[d] = found['equivalent']
    made += [
      at_most(
        f'd{d}.equivalent',
        f'd = {d}: median 1 − cos of W and W_fin + C W_dir',
        SOURCE,
        0.006,
        middle['equivalent'],
        derivation=f'0.002 to 0.0035 with 500 other draws; {count} here',
      ),
      at_least(
        f'd{d}.single',
        f'd = {d}: median 1 − cos of W and the SVM of one token a sample, '
        'which it is not',
        SOURCE,
        0.08,
        middle['single'],
        derivation='means of 0.125 to 0.166 with 500 other draws',
      ),
      at_most(
        f'd{d}.order',
        f'd = {d}: W_fin helps and W_dir is better than one token: the larger '
        'of both ratios of medians',
        SOURCE,
        0.95,
        max(
          middle['equivalent'] / middle['direction'],
          middle['direction'] / middle['single'],
        ),
        derivation='1 if W_fin did nothing; 5 % for the scatter of medians',
      ),
    ]
  return made + _trend(averages) + _deep(config, ds)


def _trend(averages: dict[int, np.ndarray]) -> list[Claim]:
  """The mean falls with d."""
  if len(averages) < 2:
    return []
  found = [x.mean() for x in averages.values()]
  return [
    at_most(
      'dimension',
      f'mean 1 − cos of W and W_fin + C W_dir falls with d = '
      f'{", ".join(map(str, averages))}: largest ratio of neighbours',
      f'{PAPER}: over-parametrisation helps',
      1.0,
      max(b / a for a, b in itertools.pairwise(found)),
      derivation='order; 0.035, 0.016, 0.010, 0.005 with other draws',
    )
  ]


def _deep(config: Layer, ds: Dataset) -> list[Claim]:
  """Runs whose lost tokens are far gone agree; the others are not done."""
  near, far = [], []
  for d in dims(config):
    counts = cell(ds, 'accepted', d) > 0
    off = ends(ds, d)['equivalent']
    deep = cell(ds, 'masked', d)[counts] < DEEP
    near.append(off[deep])
    far.append(off[~deep])
  near, far = np.concatenate(near), np.concatenate(far)
  if min(len(near), len(far)) < 10:
    reason = f'{len(near)} runs are, {len(far)} are not; needs 10 of either'
    return [untestable('deep', 'deep runs agree better', SOURCE, reason)]
  return [
    at_most(
      'deep',
      f'runs whose lost tokens have softmax below {DEEP:g} are nearer to '
      'W_fin + C W_dir: ratio of means',
      SOURCE,
      0.25,
      near.mean() / far.mean(),
      derivation='0.05 to 0.08 with other draws: the others are not done',
    )
  ]


def figures(config: Layer, ds: Dataset) -> Figures:
  """1 − cos over steps, at the end over d, and against the lost softmax."""
  from framework.evidence import figures as plotting

  every, steps = dims(config), snapshots(config)
  if not any(len(ends(ds, d)['single']) for d in every):
    return {}  # no run counts
  fig, axes = plotting.figure('double', height=2.9, ncols=3)
  ax, d = axes[0], [d for d in every if len(ends(ds, d)['single'])][-1]
  curves = 1 - cell(ds, 'curves', d)[cell(ds, 'accepted', d) > 0]
  for i, title in enumerate(TITLES.values()):
    plotting.lanes(
      ax, np.asarray(steps), curves[:, i], title, f'C{i}', band=(0.25, 0.75)
    )
  if len(steps) == 1:  # one point each
    for line in ax.lines:
      line.set(marker='o')
  ax.set(yscale='log', xlabel='gradient steps $t$', title=f'$d = {d}$')
  ax.set_ylabel(r'$1 - \cos$ of $W$ and')
  plotting.legend(ax)
  ax = axes[1]
  for i, (name, title) in enumerate(TITLES.items()):
    found = [ends(ds, d)[name] for d in every]
    some = [k for k, x in enumerate(found) if len(x)]
    mean = [found[k].mean() for k in some]
    middle = [np.median(found[k]) for k in some]
    places = [every[k] for k in some]
    ax.plot(places, mean, 'o-', ms=4, color=f'C{i}', label=title)
    ax.plot(places, middle, 's:', ms=3.5, color=f'C{i}', alpha=0.7)
  ax.set(yscale='log', xlabel='dimension $d$', title='end: mean, median (dots)')
  ax.set_xticks(every)
  ax = axes[2]
  for i, d in enumerate(every):
    counts = cell(ds, 'accepted', d) > 0
    lost = np.maximum(cell(ds, 'masked', d)[counts], 1e-300)
    off = np.maximum(ends(ds, d)['equivalent'], 1e-16)
    ax.plot(lost, off, '.', ms=2.5, mew=0, color=f'C{i}', label=f'$d = {d}$')
  ax.set(xscale='log', yscale='log', xlabel='largest softmax of a lost token')
  ax.set_ylabel(r'$1 - \cos$ of $W$, $W_{fin} + C\,W_{dir}$')
  plotting.legend(ax, markerscale=3)
  shares = ', '.join(
    f'{cell(ds, "accepted", d).mean():.3f} (d = {d})' for d in every
  )
  return {
    'multi_token': (
      fig,
      'A ReLU head keeps several tokens a sample. Left: how W comes to the '
      'three candidates, medians and quartiles. Right: runs whose lost tokens '
      'still have some softmax are not done. Runs count only where it is clear '
      f'which tokens are kept: {shares} of {ds.sizes["seed"]} do.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
