"""Theorem 3.1 where its assumptions hold: p of about n^5."""

import numpy as np
from xarray import Dataset

from configs.xor_grokking import Config
from experiments.xor_grokking.lemma import assumed, lemma
from experiments.xor_grokking.setting import (
  CHANCE,
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
from framework.evidence.claims import Claim, at_least, at_most, within
from framework.evidence.lanes import at, lanes, select
from framework.launch import Figures, Variant
from framework.systems.clusters.xor import theory

__all__ = ['VARIANT']

THEOREM = f'{PAPER}, Theorem 3.1'


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """The theorem for every n of the sweep, and that its failures vanish."""
  made = []
  for here in settings(config, ds):
    made += [*assumed(here), *_theorem(here), *lemma(here)]
  for here in settings(config, ds, but=('n',)):
    made += _vanishing(config, here)
  return made


def _unmet(c: Config) -> str:
  """Why the theorem does not speak of a setting; '' if it does."""
  horizon = int(theory.horizon(c.n))
  if c.regime != 'theorem':
    return 'regime = given: (A1) ... (A6) are not set to hold'
  if c.steps < horizon:
    return f'needs √n = {horizon} steps, there are {c.steps}'
  if c.dense < horizon:
    return f'needs every step up to √n = {horizon}, dense = {c.dense}'
  if c.eta > 0.1:
    return f'η = {c.eta:g}: (A3) asks for a small one'
  return f'leak = {c.leak:g}: it is of ReLU' if c.leak else ''


def _error(ds: Dataset, t: int) -> np.ndarray:
  return 1 - at(ds, 'test_accuracy', t)


def _theorem(here: Setting) -> list[Claim]:
  own, c, ds = here
  horizon, t = int(theory.horizon(c.n)), ds['time'].values
  upto = (t >= 1) & (t <= horizon)
  exponent = theory.error_exponent(c.n, c.p, mu_norm(c))

  def always_fitted():
    least = lanes(ds, 'train_accuracy')[:, upto].min(1)
    return np.where(np.isnan(least), np.nan, least == 1)

  return [
    asked(
      _unmet(c),
      at_least,
      f'{own}i',
      f'all labels are fitted at every t of 1 ... √n = {horizon}: share of '
      'seeds',
      f'{THEOREM} (i), with probability 1 − n^-Ω(1) − O(1/√m)',
      1 - c.n**-0.5 - c.m**-0.5,
      always_fitted,
      derivation='the probability with an exponent of ½ and a constant of 1, '
      'which the paper leaves open',
      kind='theorem',
      headline=True,
    ),
    asked(
      _unmet(c),
      within,
      f'{own}ii',
      'clean test error at t = 1 is ½',
      f'{THEOREM} (ii): ½ (1 ± n^-Ω(1))',
      *CHANCE,
      lambda: _error(ds, 1),
      derivation='nearer to two of four clusters than to one or three',
      kind='theorem',
    ),
    asked(
      _unmet(c),
      at_most,
      f'{own}iii.median',
      f'clean test error at t = √n = {horizon} is gone: median over seeds',
      f'{THEOREM} (iii): exp(−Ω(n^0.99 ‖μ‖⁴/p)), exponent {exponent:.3g}',
      0.25,
      lambda: float(np.median(_error(ds, horizon))),
      strict=True,
      derivation='not a whole cluster of four lost in the typical seed; the '
      'bound itself is far below 1/200, what 200 test points can tell',
      kind='theorem',
      headline=True,
    ),
  ]


def _vanishing(config: Config, here: Setting) -> list[Claim]:
  """Errors at √n of the smallest and the largest n, the same seeds."""
  small, large = (f(config.axis('n')) for f in (min, max))
  reason = '' if large >= 4 * small else 'needs an axis n over a factor of 4'
  for n in (small, large):
    reason = reason or _unmet(resolved(here.config, n=n))
  if not reason and config.seeds < 20:
    reason = f'needs 20 seeds, there are {config.seeds}'

  def fall():
    one, two = (
      _error(select(here.ds, n=n), int(theory.horizon(n))).mean()
      for n in (small, large)
    )
    return two - max(one, 1 / config.n_test)

  return [
    asked(
      reason,
      at_most,
      f'{here.prefix}iii.vanishes',
      'the mean error at √n, of the seeds that fail, falls with n: that at the '
      'largest n less that at the smallest',
      f'{THEOREM}: it fails with probability n^-Ω(1) + O(1/√m)',
      0.0,
      fall,
      strict=True,
      derivation='the sign, the exponent is not stated; below one test point '
      'nothing is left to fall',
      kind='theorem',
    )
  ]


def figures(config: Config, ds: Dataset) -> Figures:
  """Test error over t for each n, and what is left at √n."""
  from framework.evidence import figures as plotting

  sizes = [int(n) for n in config.sweep.get('n', (config.n,))]
  t = ds['time'].values
  fig, (left, right) = plotting.figure('double', height=2.9, ncols=2)
  left.set(xscale='log', xlabel='gradient steps $t + 1$', ylim=(0.45, 1.03))
  left.set_ylabel('accuracy, mean over seeds')
  left.set_title('Under the theorem’s assumptions')
  for n, color in zip(sizes, plotting.palette(range(len(sizes))), strict=True):
    here = select(ds, n=n)
    mean = fits.mean_stderr(lanes(here, 'test_accuracy'), axis=0)
    left.plot(t + 1, mean.mean, color=color, label=f'test, $n={n}$')
    left.fill_between(
      t + 1,
      mean.mean - mean.stderr,
      mean.mean + mean.stderr,
      color=color,
      alpha=0.2,
      linewidth=0,
    )
    end = int(theory.horizon(n))
    if end <= t[-1]:
      left.plot(end + 1, mean.mean[t == end], 'o', color=color, ms=5)
  worst = lanes(ds, 'train_accuracy').min(0)
  left.plot(t + 1, worst, color='black', lw=1, ls=':', label='train, worst')
  plotting.legend(left)
  inside = [n for n in sizes if theory.horizon(n) <= t[-1]]
  right.set(xscale='log', yscale='log', xlabel='training points $n$')
  right.set_title(r'What is left at $t=\sqrt{n}$')
  for name, color, measure in (
    ('clean test error, mean', 'C1', lambda e: e),
    ('share of seeds above 0.05', 'C0', lambda e: e > 0.05),
  ):
    found = []
    for n in inside:
      here = select(ds, n=n).sel(time=int(theory.horizon(n)))
      error = 1 - lanes(here, 'test_accuracy')
      found.append(fits.mean_stderr(measure(error).astype(float)))
    mean = np.array([x.mean for x in found])
    stderr = np.array([x.stderr for x in found])
    right.errorbar(
      inside, mean, stderr, fmt='o-', color=color, capsize=2, label=name, ms=4
    )
  right.set_xticks(inside, [str(n) for n in inside])
  right.minorticks_off()
  right.set(ylim=(0.02, 1), xlim=(inside[0] / 1.15, inside[-1] * 1.15))
  plotting.legend(right)
  return {
    'theory': (
      fig,
      'Where (A1) ... (A6) hold, p = 1.2 n^5.02. Left: mean over seeds, band '
      'one standard error; dots: t = √n, as far as the theorem speaks. Right: '
      'what is left there; the seeds that fail have lost a cluster.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
