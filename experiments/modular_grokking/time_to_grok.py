"""When runs generalise, over many seeds; and with steps of matched length."""

import math

import numpy as np
from xarray import Dataset

from configs.modular_grokking import Config, get_config
from experiments.modular_grokking.drawing import LABELS, STEP, groups, legend
from experiments.modular_grokking.gates import gated, missing, unlike
from experiments.modular_grokking.laws import euler
from experiments.modular_grokking.reading import (
  PAPER,
  confined,
  generalised,
  prepared,
  until,
)
from experiments.modular_grokking.runs import arm, times
from framework.evidence import survival
from framework.evidence.claims import Claim, at_least, at_most
from framework.evidence.known import known
from framework.launch import Figures, Variant

__all__ = ['MATCHED', 'VARIANT']

_OURS = 'measured by us, mod 41, 75 %'


def time_to_grok(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on the distribution of times over seeds."""
  why = unlike(config)
  if config.seeds < 8:
    why = why or f'needs 8 seeds, there are {config.seeds}'
  law = euler(config, ds)
  ds = until(ds, get_config(config.variant).steps)
  made = [
    _sooner(
      missing(config, 'perp', 'decayed') or why,
      'perp',
      '⊥Grad generalises earlier than weight decay does: log-rank z',
      f'{PAPER}: Fig 6b, perp first, weight decay later',
      3.0,
      lambda: (generalised(ds, 'perp'), generalised(ds, 'decayed')),
      ds,
    )
  ]
  for method, high, seen in (
    ('perp', 150.0, '70 ... 100 in 32 seeds'),
    ('decayed', 550.0, '380 ... 480 in 32 seeds'),
  ):
    reason = missing(config, method) or why
    made += [
      gated(
        reason,
        at_most,
        f'{method}.median',
        f'{LABELS[method]}: median time to 95 % of the test rows, for good',
        _OURS,
        high,
        samples=lambda method=method: _median(ds, method),
        derivation=f'{seen}, and a seventh of room at least',
        kind='regression',
      ),
      gated(
        reason,
        at_most,
        f'{method}.left',
        'share of seeds that have not by the end',
        _OURS,
        0.1,
        samples=lambda method=method: _left(generalised(ds, method)),
        derivation='none of 32 seeds; 10 % bounds one in ten',
        kind='regression',
      ),
    ]
  plain = missing(config, 'ce32') or why
  return [
    *made,
    gated(
      plain,
      at_least,
      'ce32.left',
      'control: of plain AdamW all are left',
      f'{PAPER}: Fig 6',
      1.0,
      samples=lambda: _left(generalised(ds, 'ce32')),
      derivation='exact',
      kind='paper',
    ),
    _control(ds, plain),
    law,
  ]


def _median(ds: Dataset, method: str) -> float:
  """Kaplan and Meier's; unknown where a time is."""
  time = generalised(ds, method)
  if np.isnan(time).any():
    return math.nan
  return survival.median(survival.kaplan_meier(_events(time), _end(ds)))


def _events(time: np.ndarray) -> np.ndarray:
  """NaN, not infinity, where there is none."""
  return np.where(np.isfinite(time), time, np.nan)


def _end(ds: Dataset) -> float:
  return float(ds['time'].values[-1])


def _left(time: np.ndarray) -> np.ndarray:
  """1 for each lane that never does, 0 for one that does."""
  return known(np.isposinf, time)


def _control(ds: Dataset, why: str, **where: float) -> Claim:
  return gated(
    why,
    at_most,
    'ce32.memorised',
    'control: it must memorise and not generalise: best test accuracy since 99 '
    '% of the training rows are right',
    f'{PAPER}: Fig 6',
    0.05,
    samples=lambda: confined(ds, 'ce32', **where),
    each=True,
    derivation='a line at 0 in the figure; chance is 0.024',
    kind='paper',
  )


def _sooner(why, method, statement, source, bound, both, ds) -> Claim:
  """One method generalises earlier than another: a log-rank test."""

  def z() -> float:
    one, two = both()
    if np.isnan(one).any() or np.isnan(two).any():
      return math.nan
    return survival.log_rank(_events(one), _events(two), _end(ds))

  return gated(
    why,
    at_least,
    f'{method}.earlier',
    statement,
    source,
    bound,
    samples=z,
    derivation=f'{bound:g} standard errors',
    kind='paper',
    headline=method.startswith('perp'),
  )


def matched(config: Config, ds: Dataset) -> list[Claim]:
  """Claims on direction alone: every step as long as AdamW's would be.

  ⊥Grad is compared without weight decay, where AdamW never generalises, and
  Grokfast with it; AdamW always has its decay.
  """
  why = unlike(config)
  if config.seeds < 4:
    why = why or f'needs 4 seeds, there are {config.seeds}'
  decays = config.axis('weight_decay')
  low, high = min(decays), max(decays)
  law = euler(config, ds)
  ds = until(ds, get_config(config.variant).steps)
  made = []
  names = ['perp', 'perp_matched', 'grokfast_ema', 'grokfast_ema_matched']
  moving = 'grokfast_ma', 'grokfast_ma_matched'
  for name in names + [m for m in moving if m in config.axis('method')]:
    perp = name.startswith('perp')
    decay = low if perp else high
    what = f'{LABELS[name]} (decay {decay:g})'
    if name.endswith('matched'):
      what += ', each step as long as AdamW would make it,'

    def both(name=name, decay=decay):
      control = generalised(ds, 'ce32', weight_decay=high)
      return generalised(ds, name, weight_decay=decay), control

    made.append(
      _sooner(
        missing(config, name, 'ce32') or why,
        name,
        f'{what} is earlier than AdamW with decay {high:g}: log-rank z',
        f'{PAPER}: Fig 6' if perp else 'Lee et al. 2024',
        2.0,
        both,
        ds,
      )
    )
  plain = missing(config, 'ce32') or why
  return [*made, _control(ds, plain, weight_decay=low), law]


def _figures(config: Config, ds: Dataset) -> Figures:
  from framework.evidence import figures as plotting

  fig, ax = plotting.figure('single', 2.9)
  end = _end(ds)
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
    curve = _survived(ds, **where)
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
      'is not yet, for good, right on 95 % of the test rows, with 95 % '
      'intervals (Greenwood). Runs that never are, are censored at the last '
      'step, those that diverge where they do.',
    )
  }


def _survived(ds: Dataset, **where) -> survival.Survival:
  """The share of runs that have not generalised, over time."""
  end = ds['diverged_at'].sel(where).values.ravel()
  end = np.nan_to_num(end, nan=_end(ds))
  return survival.kaplan_meier(_events(generalised(ds, **where)), end)


VARIANT = Variant(arm, times, prepared(time_to_grok), prepared(_figures))
MATCHED = Variant(arm, times, prepared(matched), prepared(_figures))
