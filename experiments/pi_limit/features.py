"""Feature learning where the kernel fails: XOR clusters, modular addition.

The limit is compared with the kernels of the same depth on the same points, and
its feature kernel with that of its start. `untrained` says from the setting
alone what it cannot show.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from configs.pi_limit import Train
from experiments.pi_limit.runs import NAMES, arm, times
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, at_most, untestable
from framework.launch import Figures, Variant

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = [
  'COLORS',
  'VARIANT',
  'curves',
  'scatter',
  'untrained',
  'was_trained',
]

_SOURCE = 'Yang, Santacroce, Hu 2022: π-limits learn features, kernels do not'
COLORS = {
  'limit': 'black',
  'pinet': 'C3',
  'munet': 'C1',
  'particles': 'C4',
  'ntk': 'C0',
  'nngp': 'C2',
}
_KERNELS = 'ntk', 'nngp'


def scatter(config: Train) -> float:
  """Two standard errors of the difference of two accuracies, at most.

  2 √(2 p (1 − p)/N) <= √(2/N) for N test points.
  """
  tests = config.tests
  if config.task == 'modular':
    tests = config.modulus**2 - config.examples
  return max(0.02, (2 / max(1, tests)) ** 0.5)


def untrained(config: Train) -> str:
  """The condition that feature learning lacks in a setting, or nothing.

  On XOR clusters the labels are of second order in d inputs: a kernel has to
  tell d²/2 products apart and needs μ⁴ n of the order of d²; a network that
  finds two directions needs μ² n/d.
  """
  c = config
  have = [m for m in c.axis('model') if m in _KERNELS]
  if 'limit' not in c.axis('model') or not have:
    return (
      f'needs the limit and a kernel, there are {", ".join(c.axis("model"))}'
    )
  # α₁ twice: it multiplies features and the gradient of their weights.
  way = c.steps * c.lr * c.first_alpha**2 * c.last_alpha
  if c.task == 'xor':
    way *= c.mu**2 / c.d
    if way < 25:
      return f'needs T η α₁² α_L μ²/d >= 25 to leave the start: it is {way:.3g}'
    kernel, network = c.mu**4 * c.points / c.d**2, c.mu**2 * c.points / c.d
    if kernel > 9:
      return f'needs μ⁴n/d² <= 9, or kernels generalise too: it is {kernel:.2g}'
    if network < 30:
      return f'needs μ²n/d >= 30, or nothing can be learnt: it is {network:.2g}'
    if c.mu < 3:
      return 'needs μ >= 3: below, clusters overlap'
  elif way < 50:
    return f'needs T η α₁² α_L >= 50 to leave the start: it is {way:.3g}'
  if not 0.1 <= c.lr <= 2 or c.momentum or c.clip:
    return 'needs η in [0.1, 2] and neither momentum nor clipping'
  if c.activation != 'relu':
    return 'measured of ReLU networks alone'
  return ''


def claims(config: Train, ds: 'Dataset') -> list[Claim]:
  """The limit is above kernels by what it has learnt; finite nets near it."""
  made = []
  for text, own, part in lanes.apart(config, ds, ('model',)):
    made += _above(own, part, text)
    made += _near(own, part, text)
    made += _chance(own, part, text)
  return made


def _end(ds: 'Dataset', name: str, model: str) -> np.ndarray:
  return lanes.lanes(ds, name, model=model)[:, -1]


def _above(c: Train, ds: 'Dataset', text: str) -> list[Claim]:
  reason, allowed = untrained(c), scatter(c)
  ways: list[tuple[str, str, bool]] = [
    (
      'above',
      'test accuracy: the limit less the best kernel, in every seed',
      True,
    ),
    ('gain', 'test accuracy of the limit: at the end less at the start', True),
    (
      'alignment',
      'alignment of features with labels: of the limit at the end less that at '
      'the start, in every seed',
      False,
    ),
  ]
  if reason:
    return [
      untestable(id + text, what, _SOURCE, reason, headline=headline)
      for id, what, headline in ways
    ]
  limit = lanes.lanes(ds, 'test_accuracy', model='limit')
  kernels = [m for m in _KERNELS if m in c.axis('model')]
  best = np.max([_end(ds, 'test_accuracy', m) for m in kernels], 0)
  aligned = lanes.lanes(ds, 'alignment', model='limit')
  # Neither is evidence unless the limit was trained and kernels were not.
  trained = was_trained(ds)
  still = _still(c, ds)
  values = (
    (limit[:, -1] - best) * trained * still,
    (limit[:, -1] - limit[:, 0]) * trained * still,
    (aligned[:, -1] - aligned[:, 0]) * trained,
  )
  bounds = allowed, allowed, 0.05
  return [
    at_least(
      id + text,
      what,
      _SOURCE,
      bound,
      value,
      each=True,
      derivation='two standard errors of the test points'
      if name != 'alignment'
      else 'features that do not move change by 0',
      headline=headline,
    )
    for (id, what, headline), bound, value, name in zip(
      ways, bounds, values, [w[0] for w in ways], strict=True
    )
  ]


def _chance(c: Train, ds: 'Dataset', text: str) -> list[Claim]:
  """Kernels far from d² points are at chance."""
  kernels = [m for m in _KERNELS if m in c.axis('model')]
  if c.task != 'xor' or c.mu**4 * c.points > c.d**2 / 4 or not kernels:
    return []
  best = np.max([_end(ds, 'test_accuracy', m) for m in kernels], 0)
  return [
    at_most(
      f'chance{text}',
      '|test accuracy of the best kernel less ½|, in every seed',
      'Wei, Lee, Liu, Ma 2019: the NTK needs n = Ω(d²) where nets need O(d)',
      0.1 + scatter(c),
      np.abs(best - 0.5) * _still(c, ds),
      each=True,
      derivation='0 as n/d² goes to 0, and a tenth for what is left at μ⁴n/d² '
      '<= 1/4; two standard errors of the test points',
      kind='paper',
      headline=True,
    )
  ]


def was_trained(ds: 'Dataset') -> np.ndarray:
  """1 for a lane of the limit whose rows grow from record to record, else NaN.

  Its multiply-adds are what a run has computed: they tell it from numbers.
  """
  work = lanes.lanes(ds, 'work', model='limit')
  return np.where(np.all(np.diff(work, axis=1) > 0, 1), 1.0, np.nan)


def _still(c: Train, ds: 'Dataset') -> float:
  """1 where kernels are what they were, else unknown: they are no kernels."""
  kernels = [m for m in _KERNELS if m in c.axis('model')]
  accuracy = [lanes.lanes(ds, 'test_accuracy', model=m) for m in kernels]
  same = all(np.all(a[:, -1] == a[:, 0]) for a in accuracy)
  return 1.0 if same else np.nan


def _near(c: Train, ds: 'Dataset', text: str) -> list[Claim]:
  """A π-net of some width has the accuracy of the limit."""
  if not {'limit', 'pinet'} <= set(c.axis('model')):
    return []
  what = (
    f'pinet{text}',
    f'a π-net of width {c.width} is near its limit: |test accuracy less that '
    'of the limit|, mean over seeds',
    'Yang, Santacroce, Hu 2022: the limit of π-nets',
  )
  how: dict[str, Any] = {'kind': 'theorem'}
  reason = untrained(c)
  if not reason and c.width < 8 * c.rank:
    reason = f'needs a width of 8 r = {8 * c.rank}, it is {c.width}'
  if reason:
    return [untestable(*what, reason, **how)]
  start = lanes.lanes(ds, 'test_accuracy', model='limit')
  gap = np.abs(start[:, -1] - _end(ds, 'test_accuracy', 'pinet'))
  return [
    at_most(
      *what,
      scatter(c) + (c.rank / c.width) ** 0.5 / 4,
      float(np.mean(gap)),
      derivation='two standard errors of the test points, and what outputs '
      'that are off by √(r/n) turn over: a quarter of it at most where a '
      'quarter of the points lies that near the boundary',
      **how,
    )
  ]


def curves(config: Train, ds: 'Dataset', ax: Any, name: str) -> None:
  """A line a model over steps."""
  from framework.evidence import figures as plotting

  for model in sorted(config.axis('model'), key=lambda m: m == 'limit'):
    y = lanes.lanes(ds, name, model=model)
    if not np.isfinite(y).any():
      continue
    label = NAMES[model]
    line = plotting.lanes(ax, ds['time'].values, y, label, COLORS[model])
    if model in _KERNELS:
      line.set_linestyle(':')


def figures(config: Train, ds: 'Dataset') -> Figures:
  """Test accuracy and alignment of features over steps."""
  from framework.evidence import figures as plotting

  made = {}
  for text, own, part in lanes.apart(config, ds, ('model',)):
    fig, axes = plotting.figure('double', height=2.9, ncols=2)
    left, right = axes
    left.set(xlabel='steps $t$', ylabel='test accuracy')
    right.set(xlabel='steps $t$', ylabel='alignment of features with labels')
    curves(own, part, left, 'test_accuracy')
    curves(own, part, right, 'alignment')
    fig.legend(
      *left.get_legend_handles_labels(), loc='outside lower center', ncols=3
    )
    what = {
      'xor': f'XOR clusters in R^{own.d}, μ = {own.mu:g}, {own.points} points',
      'modular': f'x + y mod {own.modulus}, {own.examples} pairs of '
      f'{own.modulus**2}',
    }[own.task]
    made[f'features{text}'] = (
      fig,
      f'{what}, {ds.sizes["seed"]} seeds, L = {own.depth}. Networks in the '
      'limit and of finite width find the directions that matter; kernels of '
      'the same depth, fitted to the same points, have the features that they '
      'start with.',
    )
  return made


VARIANT = Variant(arm, times, claims, figures)
