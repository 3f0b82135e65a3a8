"""Claims that figures of few-shot learning share, and when they can be made.

The limit learns features, kernels do not. `untrained` says from the setting
alone what it cannot show.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from configs.infinite_width import KERNELS, FewShot, width_of
from experiments.infinite_width.few_shot.setting import resolved
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, at_most, untestable

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = [
  'FIGURE',
  'PAPER',
  'above_kernels',
  'at_the_limit',
  'controls',
  'finite',
  'last',
  'untrained',
]

PAPER = 'Yang & Hu 2021'
FIGURE = f'{PAPER}, Omniglot 5-way 1-shot'


def last(config: FewShot, ds: 'Dataset', name: str) -> dict[str, np.ndarray]:
  """An observation of every model at the end, (lanes,) each."""
  models = config.axis('model')
  return {m: lanes.lanes(ds, name, model=m)[:, -1] for m in models}


def finite(config: FewShot) -> list[str]:
  """Finite widths that were run, ascending."""
  found = [m for m in config.axis('model') if width_of(m)]
  return sorted(found, key=lambda m: width_of(m) or 0)


def scatter(config: FewShot) -> float:
  """Two standard errors of an accuracy of a seed's judged queries, at most.

  √(p (1 − p)/N) <= 1/(2 √N) for N queries.
  """
  count = config.eval_tasks * config.ways * config.queries
  return max(0.02, count**-0.5)


def untrained(config: FewShot) -> str:
  """The condition that feature learning lacks in a setting, or nothing.

  A step moves parameters by η · clip at most, and those of the limit start with
  the norm σ₁ √d: what moves by less than a part of that cannot have learnt.
  """
  c = resolved(config, 'limit')
  assert c.meta_lr is not None and c.sigma1 is not None
  d = 784 if c.task == 'omniglot' else c.d
  way, start = c.steps * c.meta_lr * c.clip, c.sigma1 * d**0.5
  least = 0.3 if c.task == 'omniglot' else 4.0
  if way < least * start:
    return (
      f'needs steps · meta_lr · clip >= {least:g} σ₁ √d = '
      f'{least * start:.3g}, not {way:.3g}'
    )
  if c.task == 'gaussian':
    if 4 * c.rank > c.d or c.signal < 1:
      return 'needs classes that differ, in a quarter of the directions at most'
    assert c.inner_lr is not None and c.sigma2 is not None
    if c.meta_lr > 1 or not 0.5 <= c.inner_lr <= 4 or not 0.2 <= c.sigma2 <= 1:
      return 'needs meta_lr <= 1, inner_lr in [0.5, 4] and sigma2 in [0.2, 1]'
    if c.sigma1 != 1 or c.alpha != 1 or c.weight_decay or c.momentum:
      return 'needs sigma1 = alpha = 1 and neither decay nor momentum'
  return ''


def above_kernels(
  config: FewShot, ds: 'Dataset', margin: float, source: str, derivation: str
) -> list[Claim]:
  """The limit ends above every kernel: in every seed, and by a margin.

  Args:
    config: The config.
    ds: Its results.
    margin: Of the means, as we measured it.
    source: Of the order.
    derivation: Of the margin.

  Returns:
    Four claims, two after all inner steps and two after one.
  """
  made = []
  kernels = [m for m in KERNELS if m in config.axis('model')]
  reason = untrained(config)
  if 'limit' not in config.axis('model') or not kernels:
    had = ', '.join(config.axis('model'))
    reason = f'needs the limit and a kernel, there are {had}'
  for id, name, when in (
    ('above', 'accuracy', f'after {config.eval_steps} inner steps'),
    ('above.one', 'accuracy_one', 'after one inner step'),
  ):
    headline = id == 'above'
    # Nor is it above them by what it started with. (After one step it may be:
    # training falls below its start first where a class has several shots.)
    own = ', or its own start' if headline else ''
    margins = f'accuracy {when}: the limit less the best kernel'
    first = id, f'{margins}{own}, in every seed', source
    # As it was measured: over the kernels alone.
    second = f'{id}.margin', margins, 'measured here'
    if reason:
      made += [
        untestable(*first, reason, headline=headline),
        untestable(*second, reason, kind='regression'),
      ]
      continue
    end = last(config, ds, name)
    best = floor = np.max([end[m] for m in kernels], 0)
    if headline:
      floor = np.maximum(best, lanes.lanes(ds, name, model='limit')[:, 0])
    made += [
      at_least(
        *first,
        scatter(config),
        end['limit'] - floor,
        each=True,
        headline=headline,
        derivation=f'two standard errors of {config.eval_tasks} tasks',
      ),
      at_least(
        *second,
        margin,
        end['limit'] - best,
        derivation=derivation,
        kind='regression',
      ),
    ]
  return made


def controls(config: FewShot, ds: 'Dataset', headline: bool = False):
  """Kernels have what they start with, and yet they are trained.

  Args:
    config: The config.
    ds: Its results.
    headline: Whether the figure stands or falls with them.

  Returns:
    A claim a kernel.
  """
  made = []
  axes = sorted(set(config.sweep) - {'model'})
  rates = f', at any {" and ".join(axes)}' if axes else ''
  how: dict[str, Any] = {'kind': 'theorem', 'headline': headline}
  for m in KERNELS:
    if m not in config.axis('model'):
      continue
    what = (
      f'control.{m}',
      f'control: training gains {m} nothing{rates}: accuracy at the end less '
      'that at the start',
      'derived: classes are new in every task and the kernel is fixed',
    )
    if resolved(config, m).meta_lr == 0:
      made.append(untestable(*what, 'needs meta_lr > 0', **how))
      continue
    accuracy = lanes.lanes(ds, 'accuracy', model=m)
    loss = lanes.lanes(ds, 'loss', model=m)
    gain = accuracy[:, -1] - accuracy[:, 0]
    made.append(
      at_most(
        *what,
        scatter(config),
        # One that was not trained is no control.
        np.where(loss[:, -1] != loss[:, 0], gain, np.nan),
        each=bool(axes),
        derivation=f'two standard errors of {config.eval_tasks} tasks'
        + (
          ''
          if axes or config.task == 'gaussian'
          else '; at rates chosen on validation characters, the other rates '
          'are in omniglot_kernels'
        ),
        **how,
      )
    )
  return made


def at_the_limit(config: FewShot, ds: 'Dataset') -> list[Claim]:
  """Widths of 512 and more have the accuracy of the limit."""
  if 'limit' not in config.axis('model'):
    return []
  end = last(config, ds, 'accuracy')
  return [
    at_most(
      f'{m}.limit',
      f'a width of {width_of(m)} is at the limit: |accuracy less that of the '
      'limit|',
      f'{PAPER}: the limit of µP',
      scatter(config),
      abs(float(np.mean(end[m] - end['limit']))),
      derivation='two standard errors of the judged queries, the same for both',
      kind='theorem',
    )
    for m in finite(config)
    if (width_of(m) or 0) >= 512
  ]
