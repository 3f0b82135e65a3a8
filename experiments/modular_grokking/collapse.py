"""The precision of the softmax decides how far cross entropy gets."""

from typing import TYPE_CHECKING

import numpy as np

from configs.modular_grokking import Config
from experiments.modular_grokking.drawing import STEP, accuracy, draw, legend
from experiments.modular_grokking.reading import (
  PAPER,
  best,
  memorised,
  prepared_for,
  ran,
  reached,
)
from experiments.modular_grokking.runs import arm, times
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  untestable,
  within,
)
from framework.evidence.lanes import lanes
from framework.launch import Figures, Variant

_ONSET = {'ce16': (600, 1200), 'ce32': (1600, 3000), 'ce64': (4800, 7500)}
_MEASURED = {'ce16': 800, 'ce32': 2200, 'ce64': 6000}
_BITS = {'float16': 11, 'float32': 24, 'float64': 53}

if TYPE_CHECKING:
  from xarray import Dataset


def collapse(config: Config, ds: 'Dataset') -> list[Claim]:
  """Claims on the precision of the softmax, with nothing else changed."""
  made = []
  for method in _ONSET:
    if not ran(ds, method):
      continue
    low, high = _ONSET[method]
    made += [
      memorised(ds, method, 400, 'all were by 200'),
      at_most(
        f'{method}.test',
        'without regularisation it does not generalise',
        f'{PAPER}: Fig 2',
        0.6,
        best(ds, 'test_accuracy', method=method),
        each=True,
        derivation='best of five seeds was 0.15, 0.23 and 0.38',
      ),
      within(
        f'{method}.onset',
        'the step at which 30 % of the training rows have collapsed',
        f'measured; {PAPER} has the same order',
        low,
        high,
        reached(ds, 'collapse', 0.3, method=method),
        each=True,
        derivation=f'{_MEASURED[method]} in five of five seeds, to 200 steps',
      ),
    ]
  for coarse, fine, name in (('ce16', 'ce32', 'f16'), ('ce32', 'ce64', 'f32')):
    if ran(ds, coarse, fine):
      ratio = best(ds, 'test_accuracy', method=fine) / best(
        ds, 'test_accuracy', method=coarse
      )
      statement = (
        f'same seed, finer softmax: best test accuracy of {fine} over that of '
        f'{coarse}'
      )
      made += [
        at_least(
          f'order.{name}',
          statement,
          f'{PAPER}: Fig 2',
          1.0 + 1e-6,
          ratio,
          each=True,
          derivation='1.5 ... 1.9 in five seeds; the order is the claim, a tie '
          'refutes it',
        ),
        at_least(
          f'ratio.{name}',
          f'{statement}, mean over seeds',
          f'{PAPER}: Fig 2',
          1.25,
          ratio,
          derivation='1.5 ... 1.9 in five seeds, less two standard errors of '
          'their mean for other seeds',
        ),
      ]
  if ran(ds, 'ce32'):
    made += _nlm(ds, 'ce32')
  return made


def _nlm(ds: 'Dataset', method: str) -> list[Claim]:
  """The cosine of the last layer, before collapse and after."""
  cosine = lanes(ds, 'nlm_tensor', method=method)[..., -1]
  gone = lanes(ds, 'collapse', method=method)
  source = f'{PAPER}: up to 0.9 in output layers'
  if not (gone > 0.3).any():
    return [
      untestable(
        f'{method}.nlm',
        'the NLM cosine falls once the softmax has collapsed',
        source,
        f'no lane has 30 % collapse by step {int(ds["time"].values[-1])}',
      )
    ]
  with np.errstate(invalid='ignore'):
    before = np.nanmax(np.where(gone < 1e-3, cosine, np.nan), 1)
    after = np.nanmax(np.where(gone > 0.3, cosine, np.nan), 1)
  return [
    at_least(
      f'{method}.nlm_before',
      'before collapse the gradient of the last layer goes along its weights: '
      'greatest cosine',
      source,
      0.80,
      before,
      each=True,
      derivation='0.817 ... 0.924 in eleven seeds, three settings',
    ),
    at_most(
      f'{method}.nlm_after',
      'and no longer while more than 30 % has collapsed: greatest cosine',
      'measured',
      0.55,
      after,
      each=True,
      derivation='0.31 ... 0.49 in eleven seeds, three settings',
    ),
  ]


def paper(config: Config, ds: 'Dataset') -> list[Claim]:
  """Claims at the paper's size."""
  made = []
  for method in ('ce16', 'ce32', 'ce64'):
    if ran(ds, method):
      made += [
        memorised(ds, method, 2000, 'read off the figure'),
        at_most(
          f'{method}.test',
          'test accuracy stays about 0',
          f'{PAPER}: Fig 2, 40 %',
          0.05,
          best(ds, 'test_accuracy', method=method),
          each=True,
          derivation='a line at 0 in the figure',
        ),
      ]
  return made


def _collapse(config: Config, ds: 'Dataset') -> Figures:
  from framework.evidence import figures as plotting

  fig, axes = plotting.figure('double', 4.6, nrows=2, ncols=2, sharex=True)
  (test, sc), (gap, nlm) = axes
  title = 'off the training rows'
  if config.variant == 'collapse':
    title = 'finer softmax, more generalisation'
  accuracy(test, ds, title, train=False)
  top = float(lanes(ds, 'test_accuracy').max())
  test.set(ylabel='test accuracy', ylim=(0, 1.12 * top), xlabel='')
  sc.set(
    title='softmax collapse stops it',
    ylabel='collapsed training rows',
    ylim=(-0.03, 1.05),
  )
  draw(sc, ds, 'collapse', label=False)
  sc.axhline(0.3, color='grey', lw=0.6, ls=':')
  gap.set(
    title='rows collapse where the gap says so',
    xlabel=STEP,
    ylabel='median logit gap',
    ylim=(0, 48),
  )
  draw(gap, ds, 'gaps', index=1, label=False)
  t = ds['time'].values
  classes = config.modulus
  for dtype, bits in _BITS.items():
    level = np.log(2.0) * bits + np.log(classes - 1.0)
    plotting.law(gap, t, np.full(len(t), level))
    beside = gap.get_yaxis_transform()
    gap.text(1.01, level, dtype, transform=beside, va='center')
  nlm.set(
    title='the naive direction fades with collapse',
    xlabel=STEP,
    ylabel='cos(−∇L, w), last layer',
    ylim=(-0.45, 1.0),
  )
  draw(nlm, ds, 'nlm_tensor', index=-1, label=False)
  legend(test)
  return {
    'modular_collapse': (
      fig,
      'The same seeds with a softmax of three precisions, nothing else '
      'different. Top: test accuracy, and the fraction of training rows whose '
      'sum of exponentials is its largest term (dotted: 30 %). Bottom left: '
      'median logit gap; black: t ln 2 + ln(C − 1), at which a row must have '
      'collapsed. Bottom right: alignment of the gradient with the weights. '
      'Lines: median over seeds, bands: their range.',
    )
  }


VARIANT = Variant(arm, times, prepared_for(collapse), prepared_for(_collapse))
PAPER_SIZE = Variant(arm, times, prepared_for(paper), prepared_for(_collapse))
