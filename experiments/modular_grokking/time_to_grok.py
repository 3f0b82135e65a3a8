"""When runs generalise, over many seeds."""

from typing import TYPE_CHECKING

import numpy as np

from configs.modular_grokking import Config
from experiments.modular_grokking.drawing import STEP, legend
from experiments.modular_grokking.reading import (
  LABELS,
  PAPER,
  groups,
  prepared_for,
  reached,
  survived,
)
from experiments.modular_grokking.runs import arm, times
from framework.evidence import survival
from framework.evidence.claims import Claim, at_least, at_most
from framework.launch import Figures, Variant

if TYPE_CHECKING:
  from xarray import Dataset


def time_to_grok(config: Config, ds: 'Dataset') -> list[Claim]:
  """Claims on the distribution of times over seeds."""
  made = []
  end = float(ds['time'].values[-1])
  time = {
    str(m): reached(ds, 'test_accuracy', 0.95, method=m)
    for m in ds['method'].values
  }
  for method, high in (('perp', 150.0), ('decayed', 550.0)):
    if method not in time:
      continue
    curve = survival.kaplan_meier(time[method], end)
    made += [
      at_most(
        f'{method}.median',
        f'{LABELS[method]}: median time to 95 % of the test rows '
        f'(n = {len(time[method])})',
        f'{PAPER}: Figs 1, 6',
        high,
        survival.median(curve),
        derivation='75 ... 100 (⊥Grad, five seeds) and about 450 (decay, two '
        'seeds) were measured, with a fifth of room',
      ),
      at_most(
        f'{method}.left',
        'share of seeds that have not by the end (Kaplan–Meier)',
        'measured',
        0.1,
        float(curve.survival[-1]),
        derivation='none of five seeds; 10 % bounds one in ten',
      ),
    ]
  if 'ce32' in time:
    made.append(
      at_least(
        'ce32.left',
        'control: of plain AdamW all are left',
        f'{PAPER}: Fig 6',
        1.0,
        float(np.isnan(time['ce32']).mean()),
        derivation='exact',
      )
    )
  if {'perp', 'decayed'} <= set(time):
    made.append(
      at_least(
        'perp.earlier',
        '⊥Grad is earlier than weight decay: log-rank z',
        f'{PAPER}: Fig 6b, perp first, weight decay later',
        3.0,
        survival.log_rank(time['perp'], time['decayed'], end),
        derivation='3 standard errors',
      )
    )
  return made


def survival_figure(config: Config, ds: 'Dataset') -> Figures:
  """The share of seeds that have not generalised, over steps."""
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
  legend(ax)
  return {
    f'modular_{config.variant}': (
      fig,
      f'Kaplan–Meier estimate over {many} seeds of the probability that a run '
      'is not yet right on 95 % of the test rows, with 95 % intervals '
      '(Greenwood). Runs that never are, are censored at the last step.',
    )
  }


VARIANT = Variant(
  arm, times, prepared_for(time_to_grok), prepared_for(survival_figure)
)
