"""Theorem 3.1 where its assumptions hold: p of about n^5."""

import numpy as np
from xarray import Dataset

from configs.xor_grokking import Config
from experiments.xor_grokking.lemma import assumed, lemma
from experiments.xor_grokking.setting import (
  PAPER,
  arm,
  mu_norm,
  resolved,
  times,
)
from framework.evidence import fits
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  untestable,
  within,
)
from framework.evidence.lanes import at, lanes, select
from framework.launch import Variant
from framework.systems.clusters.xor import theory

__all__ = ['VARIANT']


def claims(config: Config, ds: Dataset) -> list[Claim]:
  """Theorem 3.1 where its assumptions hold, for every n of the sweep."""
  made, errors = [], {}
  many = 'n' in config.sweep
  for n in config.sweep.get('n', (config.n,)):
    here, own = select(ds, n=n), f'n{n}.' if many else ''
    s = resolved(config, n=int(n))
    t = here['time'].values
    made += assumed(config, s, wanted=True, prefix=own)
    horizon = int(theory.horizon(s.n))
    if config.steps < horizon:
      made.append(
        untestable(
          f'{own}theorem',
          'Theorem 3.1 up to √n',
          PAPER,
          f'needs {horizon} steps, there are {config.steps}',
        )
      )
      continue
    upto = (t >= 1) & (t <= horizon)
    errors[s.n] = 1 - at(here, 'test_accuracy', horizon)
    made += [
      at_least(
        f'{own}i',
        f'all labels are fitted at every t of 1 ... √n = {horizon}',
        f'{PAPER}, Theorem 3.1 (i)',
        1.0,
        lanes(here, 'train_accuracy')[:, upto].min(1),
        each=True,
        derivation='exact',
      ),
      within(
        f'{own}ii',
        'clean test error at t = 1 is ½',
        f'{PAPER}, Theorem 3.1 (ii)',
        0.46,
        0.54,
        1 - at(here, 'test_accuracy', 1),
        derivation='½ (1 ± n^-Ω(1)); 0.500 was measured at n = 100',
      ),
      at_most(
        f'{own}iii.median',
        f'clean test error at t = √n = {horizon}, median over seeds',
        f'{PAPER}, Theorem 3.1 (iii): exp(−Ω(n^0.99 ‖μ‖⁴/p)), exponent '
        f'{theory.error_exponent(s.n, s.p, mu_norm(s)):.3g}',
        0.25,
        float(np.median(errors[s.n])),
        derivation='at most one cluster lost in the typical seed; the bound '
        'itself is far below 1/200, what 200 test points can tell',
      ),
    ]
    made += lemma(config, here, s, own)
  sizes = sorted(errors)
  if len(sizes) >= 3:
    # The same seeds at every n: a slope for each of them.
    found = np.stack([errors[n] for n in sizes], 1)
    slope = fits.line(np.log(sizes), found).slope
    made.append(
      at_most(
        'iii.vanishes',
        'the mean error at √n, of the seeds that fail, falls with n: slope of '
        'the error on ln n',
        f'{PAPER}, Theorem 3.1: it fails with probability n^-Ω(1) + O(1/√m)',
        0.0,
        slope,
        derivation='a failing seed has lost a cluster, error ¼; the exponent '
        'is not stated',
      )
    )
  return made


def figures(config: Config, ds: Dataset) -> dict[str, tuple]:
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
