"""Claims on the softmax: when it collapses, and what does not let it."""

from typing import Any

import numpy as np

from experiments.modular_grokking.measure import (
  PAPER,
  best,
  lanes,
  last,
  reached,
  series,
  when,
)
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  untestable,
  within,
)

__all__ = [
  'collapse',
  'interventions',
  'mnist',
  'paper',
  'paper_stablemax',
  'sparse_parity',
  'stablemax',
]

_ONSET = {'ce16': (600, 1200), 'ce32': (1600, 3000), 'ce64': (4800, 7500)}
_MEASURED = {'ce16': 800, 'ce32': 2200, 'ce64': 6000}


def ran(ds: Any, *methods: str) -> bool:
  """Whether all methods were run."""
  return set(methods) <= set(ds['method'].values)


def collapse(config: Any, ds: Any) -> list[Claim]:
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


def _nlm(ds: Any, method: str) -> list[Claim]:
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


def stablemax(config: Any, ds: Any) -> list[Claim]:
  """Claims on StableMax against CE with the same seeds."""
  made = []
  if ran(ds, 'stablemax'):
    here = {'method': 'stablemax'}
    norm = lanes(ds, 'norm', **here)
    fitted = lanes(ds, 'train_accuracy', **here) >= 0.99
    first = np.take_along_axis(norm, fitted.argmax(1)[:, None], 1)[:, 0]
    made += [
      memorised(ds, 'stablemax', 750, 'all were by 500'),
      at_most(
        'stablemax.half',
        'StableMax is right on half of the test rows by step 18,000',
        f'{PAPER}: Fig 1, middle',
        18_000,
        reached(ds, 'test_accuracy', 0.5, **here),
        each=True,
        derivation='7,500 ... 13,500 in five seeds',
      ),
      at_least(
        'stablemax.test',
        'and generalises: mean test accuracy at the end',
        f'{PAPER}: Fig 1, middle',
        0.80,
        last(ds, 'test_accuracy', **here),
        derivation='0.907 over five seeds, 0.853 the least, at 24,000 steps',
      ),
      at_most(
        'stablemax.collapse',
        'its own sum absorbs nothing: share of training rows',
        f'{PAPER}: s grows linearly',
        0.0,
        best(ds, 'collapse', **here),
        each=True,
        derivation='exact: absorption needs a ratio of 2^53',
      ),
      at_least(
        'stablemax.exponential',
        'trap: the collapse of float32 exponentials, which the authors’ '
        'logger reports, reaches while the run groks',
        'derived: logits grow, exponentials are not in use',
        0.9,
        best(ds, 'exp_collapse', **here),
        each=True,
        derivation='the reference prints 1.0 while the run groks',
      ),
      within(
        'stablemax.norm',
        'its weights grow while it groks: last norm over that at 99 % of the '
        'training rows',
        'measured: 5 times',
        3.0,
        8.0,
        norm[:, -1] / first,
        derivation='122 to 620 in one run, within a factor of 1.6',
      ),
    ]
  if ran(ds, 'ce32'):
    made.append(
      at_most(
        'ce32.test',
        'control: CE with the same rule must not generalise',
        f'{PAPER}: Fig 1, right',
        0.05,
        best(ds, 'test_accuracy', method='ce32'),
        each=True,
        derivation='1.5 % in three seeds of 12,000 steps',
      )
    )
  return made


def interventions(config: Any, ds: Any) -> list[Claim]:
  """Claims on collapse by hand, on temperature and on smoothing."""
  made = []
  t = ds['time'].values
  at = int(np.searchsorted(t, config.intervene_at))
  if ran(ds, 'ce64', 'stopped', 'zeroed'):
    test = {m: series(ds, 'test_accuracy', m) for m in ds['method'].values}
    gain = test['ce64'].max(1) - test['ce64'][:, at]
    for method, what in (
      ('stopped', 'no gradient of the correct class'),
      ('zeroed', 'correct logits times 0'),
    ):
      after = test[method][:, at:].max(1) - test[method][:, at]
      made.append(
        at_most(
          f'{method}.gain',
          f'{what} from step {config.intervene_at} on: test accuracy gained '
          'after it, over what the untouched run gains',
          f'{PAPER}: generalisation stops',
          0.5,
          after / np.where(gain > 0, gain, np.nan),
          derivation='"stops" is 0; one row of test is 0.004 of about 0.15',
        )
      )
    same = np.abs(test['stopped'][:, : at + 1] - test['ce64'][:, : at + 1])
    made.append(
      at_most(
        'stopped.before',
        'control: before it the runs are the same',
        'derived',
        0.0,
        same.max(1),
        each=True,
        derivation='exact',
      )
    )
  if ran(ds, 'hot', 'ce32'):
    plain = reached(ds, 'collapse', 0.3, method='ce32')
    hot = reached(ds, 'collapse', 0.3, method='hot')
    made.append(
      at_least(
        'hot.onset',
        'a temperature of 10 postpones collapse: its onset (or the end, '
        'where there is none yet) over that at 1',
        f'{PAPER}: temperature scaling only postpones it',
        1.0,
        np.where(np.isnan(hot), t[-1], hot) / plain,
        each=True,
        derivation='the sign is the claim; how much is not predicted',
      )
    )
  if ran(ds, 'smoothed'):
    made.append(
      at_most(
        'smoothed.collapse',
        'label smoothing prevents collapse',
        f'{PAPER}: appendix',
        0.0,
        best(ds, 'collapse', method='smoothed'),
        each=True,
        derivation='the best gap is ln((1 − ε)C/ε + 1) = 5.9, collapse in '
        'float32 needs 16.6',
      )
    )
  if ran(ds, 'smoothed', 'ce32'):
    made += [
      at_most(
        'smoothed.test',
        'but generalises partially at most',
        f'{PAPER}: appendix',
        0.95,
        best(ds, 'test_accuracy', method='smoothed'),
        each=True,
        derivation='below what counts as generalising here',
      ),
    ]
  return made


def sparse_parity(config: Any, ds: Any) -> list[Claim]:
  """Claims on the parity of a few bits."""
  made = []
  if ran(ds, 'stablemax'):
    made += [
      memorised(ds, 'stablemax', 1000, '100 % early in the reference'),
      at_least(
        'stablemax.test',
        'StableMax learns the parity: mean test accuracy at the end',
        f'{PAPER}: Fig 4, 81 % at 5,000 steps, 100 % by 25,000',
        0.75,
        last(ds, 'test_accuracy', method='stablemax'),
        derivation='read off the figure at 5,000 steps, less 6 points',
      ),
    ]
  if ran(ds, 'ce32', 'stablemax'):
    made.append(
      at_least(
        'stablemax.gain',
        'and more of it than CE with the same seeds: difference at the end',
        f'{PAPER}: Fig 4',
        0.0,
        last(ds, 'test_accuracy', method='stablemax')
        - last(ds, 'test_accuracy', method='ce32'),
        derivation='the sign is the claim',
      )
    )
  return made


def mnist(config: Any, ds: Any) -> list[Claim]:
  """Claims on 200 images of digits, from a large start."""
  made = []
  for method in ('ce32', 'stablemax', 'perp'):
    if ran(ds, method):
      made.append(memorised(ds, method, config.steps, 'it has that long'))
  for method in ('stablemax', 'perp'):
    if ran(ds, method, 'ce32'):
      made.append(
        at_least(
          f'{method}.gain',
          'same seed: test accuracy at the end beyond that of CE',
          f'{PAPER}: MNIST with 200 samples',
          0.0,
          last(ds, 'test_accuracy', method=method)
          - last(ds, 'test_accuracy', method='ce32'),
          derivation='the sign is the claim; standard error of one run on '
          '2,000 images 0.01',
        )
      )
  return made


def paper(config: Any, ds: Any) -> list[Claim]:
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


def paper_stablemax(config: Any, ds: Any) -> list[Claim]:
  """Claims on StableMax at the paper's size."""
  test = lanes(ds, 'test_accuracy', method='stablemax')
  return [
    within(
      'stablemax.half',
      'half of the test rows are right at about step 35,000',
      f'{PAPER}: Fig 1, middle',
      20_000,
      55_000,
      when(ds['time'].values, test, 0.5),
      each=True,
      derivation='one seed in the figure; at mod 41 seeds differ by 1.8 times',
    )
  ]


def memorised(ds: Any, method: str, by: float, why: str) -> Claim:
  """All training rows are right early."""
  return at_most(
    f'{method}.train',
    f'99 % of the training rows are right by step {by:g}',
    f'{PAPER}: memorisation comes first',
    by,
    reached(ds, 'train_accuracy', 0.99, method=method),
    each=True,
    derivation=why,
  )
