"""Fits in one step, generalises later: Figures 1 (left), 2 and 3.

What follows from the equations is asked at any setting. What the paper reports,
and what 40 runs of ours once gave (`onset_runs`), is of its constants.
"""

import numpy as np
from xarray import Dataset

from configs.xor_grokking import Config
from experiments.xor_grokking import neurons, onset_runs
from experiments.xor_grokking.accuracies import accuracies
from experiments.xor_grokking.lemma import (
  ALL_BUT_A_TENTH,
  assumed,
  growth_unseen,
  lemma,
)
from experiments.xor_grokking.setting import (
  CHANCE,
  GENERALISED,
  PAPER,
  Setting,
  arm,
  asked,
  mu_norm,
  resolved,
  settings,
  times,
)
from framework.evidence import fits
from framework.evidence.claims import Claim, at_least, at_most, equals, within
from framework.evidence.lanes import at, lanes, select
from framework.launch import Figures, Variant
from framework.systems.clusters.xor import laws, theory

__all__ = ['VARIANT', 'learnable', 'linear']

FIGURE = f'{PAPER}, Figure 1 (left)'


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """A ReLU network by all that is known of it, a linear one as control."""
  made = []
  for here in settings(config, ds, but=('leak',)):
    for i, leak in enumerate(config.axis('leak')):
      part = here.ds.isel(leak=[i]) if 'leak' in here.ds.dims else here.ds
      c = resolved(here.config, leak=leak)
      if leak == 0:
        made += _relu(Setting(here.prefix, c, part))
      elif leak == 1:
        made.append(linear(Setting(here.prefix, c, part)))
      else:
        made.append(_slope(Setting(f'{here.prefix}leak{leak:g}.', c, part)))
  return made


def _relu(here: Setting) -> list[Claim]:
  return [
    *_accuracies(here),
    _slope(here),
    *_neurons(here),
    *lemma(here),
    *onset_runs.claims(here),
    *assumed(here),
  ]


def linear(here: Setting) -> Claim:
  """The control of a linear network: exactly one half."""
  c = here.config
  return equals(
    f'{here.prefix}control.linear',
    'control: a linear network on the same data never generalises: test '
    'accuracy at T',
    'derived: its outputs at +μ and −μ are opposite and labels are not, so it '
    'is right on one half',
    0.5,
    at(here.ds, 'test_accuracy', c.steps),
    atol=2 / np.sqrt(c.n_test * c.seeds),
    derivation='four standard errors of n_test coins a seed',
    kind='theorem',
  )


def _accuracies(here: Setting) -> list[Claim]:
  own, c, ds = here
  misses = laws.misses_of_one_step(c.n, c.signal)
  published = onset_runs.unmet(c, 30)
  large = laws.one_step_out_of_reach(c.n, c.p, c.alpha, c.omega, c.leak)
  seen = learnable(c)
  t = ds['time'].values
  return [
    asked(
      large,
      at_least,
      f'{own}fit',
      'one step fits all training labels, flipped ones included, but for those '
      'that their clusters outweigh: training accuracy at t = 1',
      f'derived: 1 − Φ(−p/(‖μ‖²√(n/2))); {FIGURE}, Theorem 3.1 (i): 1',
      1 - misses - 2 * np.sqrt(misses / c.seeds) - 1 / c.m,
      lambda: at(ds, 'train_accuracy', 1),
      derivation=f'misses {misses:.2g}, four standard errors, and 1/m for a '
      'finite net: half of a pair of clusters is missed at a time',
      kind='theorem',
      headline=True,
    ),
    asked(
      published,
      at_least,
      f'{own}kept',
      'and all stay fitted, 1 <= t <= T: least training accuracy of a run',
      f'{FIGURE}: 100 %',
      0.995,
      lambda: lanes(ds, 'train_accuracy')[:, t >= 1].min(1),
      derivation='one label of 200, less than a figure shows, in the mean',
      kind='paper',
    ),
    asked(
      large,
      within,
      f'{own}half',
      'at t = 1 clean test accuracy is that of guessing',
      'derived: a linear classifier is right on one of each pair of opposite '
      f'clusters; {FIGURE}, Theorem 3.1 (ii)',
      *CHANCE,
      lambda: at(ds, 'test_accuracy', 1),
      derivation='nearer to two of four clusters than to one or three',
      kind='theorem',
    ),
    asked(
      seen,
      at_least,
      f'{own}generalises',
      'and by T it is near-optimal, all labels fitted or not: benign '
      'overfitting',
      f'{FIGURE}; Theorem 3.1 (iii)',
      GENERALISED,
      lambda: at(ds, 'test_accuracy', c.steps),
      derivation='nearer to four of four clusters than to three',
      kind='paper',
      headline=True,
    ),
    asked(
      seen,
      at_least,
      f'{own}later',
      'that comes after fitting, which is grokking: test accuracy at T less '
      'that at t = 1',
      FIGURE,
      0.25,
      lambda: at(ds, 'test_accuracy', c.steps) - at(ds, 'test_accuracy', 1),
      derivation='at least one more cluster of four',
      kind='paper',
    ),
  ]


def learnable(c: Config) -> str:
  """Why a run need not generalise by T; '' if it should, as published.

  Labels that are mostly right, clusters that stand out, steps that are large.
  """
  if c.eta > 0.1:
    return f'η = {c.eta:g} costs clusters; (A3) asks for a small one'
  if c.signal < 2:
    return f'‖μ‖ = {c.signal:g} √(p/n) is less than in the paper'
  if c.steps < 15:
    return f'needs 15 steps, there are {c.steps}'
  if c.p < 50 * c.n:
    return f'p = {c.p:g} < 50n: noise of the points is not small'
  if c.n < 50 or c.m < 30:
    return f'n = {c.n}, m = {c.m} lose clusters by chance'
  start = laws.time_to_fit(c.n, c.p, c.alpha, c.omega)
  if start > 0.1:
    return f'steps are small: 4n(ω/α)z_n/√(2p) = {start:.2g}'
  return f'leak = {c.leak:g}' if c.leak else ''


def _slope(here: Setting) -> Claim:
  own, c, ds = here
  square = laws.linear_slope(c.leak)
  numbers = c.n, c.p, mu_norm(c), c.alpha, c.omega
  spread = laws.slope_spread(c.n, c.n_test, c.m, *numbers[1:])
  atol = 5 * square * spread / np.sqrt(c.seeds)
  reason = laws.weights_differ(1, *numbers)
  if not reason and atol > square / 4:
    reason = f'the slope of a run varies by {spread:.2g}: too few seeds'
  return asked(
    reason,
    equals,
    f'{own}slope',
    'one step makes a linear classifier: slope of f(x; W(1)) on (α/8n)⟨Σ y_i '
    'x_i, x⟩',
    f'derived: (1 + λ)²; {PAPER}, section 4.1',
    square,
    lambda: at(ds, 'linear_slope', 1),
    atol=atol,
    derivation='five standard errors from the law for m random gates and the '
    f'outputs at t = 0: sd {spread:.2g} of a run',
    kind='theorem',
  )


def _neurons(here: Setting) -> list[Claim]:
  own, c, ds = here
  t = ds['time'].values
  reason = growth_unseen(here, 20)
  low, high = laws.aligned_growth(c.eta)
  unit = theory.growth(c.alpha, mu_norm(c), c.eta, c.m)
  window = (t >= 10) & (t <= 20)
  made = [
    asked(
      reason,
      within,
      f'{own}growth',
      'mean |⟨w, μ1⟩| of positive neurons grows at a constant rate, t = 10 ... '
      '20, in units of α‖μ‖²(1 − 2η)/(8√m) a step',
      f'derived; {PAPER}, Lemma 4.7: Ω(α‖μ‖²/√m)',
      (1 - ALL_BUT_A_TENTH) * low,
      (1 + ALL_BUT_A_TENTH) * high,
      lambda: (
        fits.line(t[window], lanes(ds, 'projection')[:, window, 0, 0]).slope
        / unit
      ),
      derivation='[½, 1](1 − η)/(1 − 2η): all of a cluster active, half or '
      'none of the opposite one; 15 % for gates that lag',
      kind='theorem',
    )
  ]
  for sign, name in ((0, 'positive'), (1, 'negative')):
    made += _preference(here, sign, name, reason)
  return made


def _preference(
  here: Setting, sign: int, name: str, reason: str
) -> list[Claim]:
  own, c, ds = here
  keeps, other = sign, 1 - sign
  which = f'mean |⟨w, μ{other + 1}⟩| over mean |⟨w, μ{keeps + 1}⟩|'

  def median(t):
    found = at(ds, 'projection', t)[:, sign]
    return float(np.median(found[:, other] / found[:, keeps]))

  return [
    asked(
      onset_runs.unmet(c, 30),
      within,
      f'{own}{name}.t1',
      f'{name} neurons at t = 1 do not prefer a mean: {which}, median over '
      'seeds',
      f'{PAPER}, Figure 3: the histograms are alike',
      0.5,
      2,
      lambda: median(1),
      derivation='within a factor of two',
      kind='paper',
    ),
    asked(
      reason,
      at_most,
      f'{own}{name}.t15',
      f'{name} neurons at t = 15 keep one mean and forget the other: {which}, '
      'median over seeds',
      f'{PAPER}, Lemma 4.7; Figure 3',
      float(np.sqrt(np.log(c.n) / c.n)),
      lambda: median(15),
      derivation='√(ln n/n), the ratio of the two rates in the lemma',
      kind='theorem',
    ),
  ]


def figures(config: Config, ds: Dataset) -> Figures:
  """Figures 1 to 3 of the paper, and the growth of projections."""
  relu = select(ds, leak=0.0) if 0.0 in config.axis('leak') else ds
  made = {'accuracy': accuracies(config, ds, 'Fits at once, generalises later')}
  shown = [t for t in (0, 1, 15) if t in ds['time'].values]
  if config.neurons:
    made['regions'] = neurons.regions(config, relu, shown)
    made['histograms'] = neurons.histograms(config, relu, shown)
  made['projections'] = neurons.growth(config, relu)
  return made


VARIANT = Variant(arm, times, claims, figures)
