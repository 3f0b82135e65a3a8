"""word2vec: analogies are answered the better the wider the network.

The setting alone decides what can be shown: see `missing`.
"""

import functools
import itertools
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from configs.infinite_width import SYNTHETIC, Word2vec, width_of
from framework import system as system_lib
from framework.config import ConfigError, Problem
from framework.data import corpus as corpus_lib
from framework.data import store
from framework.evidence import fits, lanes
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  equals,
  untestable,
)
from framework.launch import Arm, Figures, Variant, hp_of, structure_of
from framework.systems.infinite_width import word2vec

if TYPE_CHECKING:
  from xarray import Dataset

__all__ = ['TEXT', 'VARIANT', 'times']

PAPER = 'Yang & Hu 2021'
STYLES = {
  'limit': ('µP limit', 'black', '--'),
  'kernel': ('GP, NTK: frozen', '#9a9a9a', ':'),
}
# Accuracy of GP and NTK, widths 2^6, 2^8, 2^10 and the limit.
PUBLISHED = {
  'text8': (0.0, 0.3335, 0.4158, 0.4256, 0.4331),
  'fil9': (0.0, 0.4439, 0.5424, 0.5569, 0.5645),
}


def _text(config: Word2vec) -> corpus_lib.Corpus:
  c = config
  if c.corpus == SYNTHETIC:
    return corpus_lib.analogies(0, c.words, c.questions)
  return _read(c.corpus, c.min_count, c.vocabulary)


@functools.lru_cache(maxsize=1)
def _read(names: str, min_count: int, vocabulary: int) -> corpus_lib.Corpus:
  """Once for record times and all arms."""
  try:
    return corpus_lib.load(
      names.split('+'), min_count=min_count, limit=vocabulary or None
    )
  except (store.DataError, ValueError) as error:
    raise ConfigError([Problem('config.corpus', str(error), '')]) from None


def _prepared(config: Word2vec) -> tuple[word2vec.Data, int, corpus_lib.Corpus]:
  """(data, words read for a step, the text)."""
  text = _text(config)
  data, span = word2vec.prepared(
    text,
    chunk=config.chunk,
    window=config.window,
    subsample=config.subsample,
  )
  return data, span, text


def arm(config: Word2vec) -> Arm:
  """The system of one structural setting, its hp and its data.

  Raises:
    ValueError: If it cannot be built.
    ConfigError: If a text is missing, in one line.
  """
  data, span, text = _prepared(config)
  V, width = len(text.vocabulary.words), width_of(config.model)
  start = word2vec.of_width(width) if width else word2vec.limit(
    2 * V if config.model == 'limit_2v' else None
  )  # fmt: skip
  structure = structure_of(
    word2vec.Structure,
    config,
    words=len(text.codes),
    V=V,
    span=span,
    start=start,
    frozen=config.model == 'kernel',
    dtype=jnp.dtype(config.precision),
  )
  asked = len(text.questions.rows)
  notes = {
    'text': f'{structure.words} words, a vocabulary of {V}',
    'questions': f'{asked}; {text.questions.dropped} others have words that '
    'are not in it',
  }
  return Arm(
    word2vec.system(structure),
    hp_of(word2vec.Hp, config),
    data,
    notes=notes,
    attributes=word2vec.ATTRIBUTES,
  )


def times(config: Word2vec) -> np.ndarray:
  """Record times of a config."""
  data, _, text = _prepared(config)
  steps = word2vec.steps_of(data, len(text.codes), config.chunk, config.epochs)
  return system_lib.linspaced(steps, max(1, steps // config.records))


def missing(config: Word2vec) -> str:
  """The condition that learning lacks in a setting, or nothing.

  All widths answer nothing at first, and all of the drawn questions in the end:
  they differ in between.
  """
  if not 0.02 <= config.lr <= 0.1:
    return f'needs lr in [0.02, 0.1], not {config.lr:g}'
  if config.corpus == SYNTHETIC:
    if config.words < 60_000 or config.epochs not in (2, 3):
      return 'needs 60000 words or more, read two or three times'
    if config.window < 4 or config.negatives < 5:
      return 'needs a window of 4 and 5 negatives at least'
  return ''


def _last(config: Word2vec, ds: 'Dataset', name: str):
  models = config.axis('model')
  return {m: lanes.lanes(ds, name, model=m)[:, -1] for m in models}


def _by_width(config: Word2vec) -> list[str]:
  """Finite widths, ascending, and then the limit."""
  found = sorted(
    (m for m in config.axis('model') if width_of(m)),
    key=lambda m: width_of(m) or 0,
  )
  return [*found, *(m for m in config.axis('model') if m == 'limit')]


def _name(model: str) -> str:
  return f'width {width_of(model)}' if width_of(model) else f'the {model}'


def _order(
  config: Word2vec, ds: 'Dataset', margin: float, why: str
) -> list[Claim]:
  last, made = _last(config, ds, 'accuracy'), []
  for narrow, wide in itertools.pairwise(_by_width(config)):
    what = (
      f'{narrow}.{wide}',
      f'analogies answered after {config.epochs} epochs: {_name(wide)} less '
      f'{_name(narrow)}',
      f'{PAPER}, table of word2vec: accuracy grows with the width to the limit',
    )
    if reason := missing(config):
      made.append(untestable(*what, reason))
      continue
    gain = last[wide] - last[narrow]
    made.append(at_least(*what, margin, gain, derivation=why))
  return made


def _start(config: Word2vec, ds: 'Dataset') -> list[Claim]:
  atol = 2e-6 if config.precision == 'float32' else 1e-12
  every = [lanes.lanes(ds, 'loss', model=m) for m in config.axis('model')]
  # A run that did not end shows nothing, not even its start.
  loss = [np.where(np.isfinite(x[:, -1]), x[:, 0], np.nan) for x in every]
  return [
    equals(
      'start',
      'the loss at the start, of every model: ln 2',
      'derived: Q = 0, so all logits are 0',
      float(np.log(2)),
      np.concatenate(loss),
      atol=atol,
      derivation=f'rounding of a sum in {config.precision}',
      kind='theorem',
    )
  ]


def _kernel(config: Word2vec, ds: 'Dataset') -> list[Claim]:
  if 'kernel' not in config.axis('model'):
    return []
  accuracy, loss, norm = (
    lanes.lanes(ds, name, model='kernel')
    for name in ('accuracy', 'loss', 'norm_in')
  )
  made = [
    equals(
      'kernel',
      'analogies answered at any time with frozen features, the limits of GP '
      'and NTK',
      f'{PAPER}: 0.0 for GP and NTK',
      0.0,
      accuracy,
      derivation='exact: rows of P(0) = I are orthogonal, so ⟨e_w, e_b − e_a + '
      'e_c⟩ = 0 for all w ≠ a, b, c, and a tie is no answer',
      kind='theorem',
    ),
    equals(
      'kernel.norm',
      'frozen features stay: rms length of rows of P',
      'derived: P(t) = P(0) = I',
      1.0,
      norm[:, -1],
      derivation='exact',
      kind='theorem',
    ),
  ]
  what = (
    'kernel.trains',
    'control: the kernel is trained: its loss at the end less that at the '
    'start',
    'derived: the loss is convex in Q',
  )
  if reason := missing(config):
    return [*made, untestable(*what, reason, kind='theorem')]
  return [
    *made,
    at_most(
      *what,
      -0.01,
      loss[:, -1] - loss[:, 0],
      derivation='a hundred times what float32 rounds off; a word is told by '
      'its own row alone, so it is slow',
      kind='theorem',
    ),
  ]


def _features(config: Word2vec, ds: 'Dataset') -> list[Claim]:
  if 'limit' not in config.axis('model'):
    return []
  what = (
    'features',
    'features of the limit move: rms length of rows of P, 1 at the start',
    f'{PAPER}: r = 0, features move by Θ(1)',
  )
  if reason := missing(config):
    return [untestable(*what, reason, headline=True)]
  norm = lanes.lanes(ds, 'norm_in', model='limit')
  return [
    at_least(
      *what,
      1.0,
      norm[:, -1],
      each=True,
      strict=True,
      derivation='1 in the kernel regime, and less with weight decay alone',
      headline=True,
    )
  ]


def _double(config: Word2vec, ds: 'Dataset') -> list[Claim]:
  """Rows of length V against the published 2V."""
  if not {'limit', 'limit_2v'} <= set(config.axis('model')):
    return []
  eps = float(np.finfo(config.precision).eps)
  made = []
  for name, allowed, why in (
    (
      'accuracy',
      2 / config.questions,
      'exact but for the order of sums: a question whose two best answers are '
      'as close as that may change sides, two are let',
    ),
    (
      'loss',
      100 * eps,
      'exact but for the order of sums: that many roundings of a number of the '
      'order of one',
    ),
  ):
    one, two = (lanes.lanes(ds, name, model=m) for m in ('limit', 'limit_2v'))
    made.append(
      at_most(
        f'double.{name}',
        f'rows of length V are the limit as well as rows of 2V: |{name} of one '
        'less that of the other|, largest over the run',
        'derived: Q(0) = 0, so columns V, ..., 2V − 1 stay 0 in both tables',
        allowed,
        np.max(np.abs(one - two), -1),
        each=True,
        derivation=why,
        kind='theorem',
      )
    )
  return made


def _gap(config: Word2vec, ds: 'Dataset') -> list[Claim]:
  """How the loss gets to that of the limit."""
  widths = [m for m in _by_width(config) if width_of(m)]
  if 'limit' not in config.axis('model') or len(widths) < 3:
    return []
  what = (
    'gap',
    'the loss gets to that of the limit: slope of the rms gap on the width, '
    'log-log',
    f'{PAPER}: the limit of µP',
  )
  if reason := missing(config):
    return [untestable(*what, reason, kind='theorem')]
  last = _last(config, ds, 'loss')
  gap = [np.mean((last[m] - last['limit']) ** 2) ** 0.5 for m in widths]
  sizes = np.array([width_of(m) for m in widths], np.float64)
  fit = fits.power_law(sizes, np.array(gap))
  return [
    at_most(
      *what,
      -0.4,
      float(fit.slope) if fit.n == len(widths) else np.nan,
      derivation='logits of a start of width S are off by S^-½, which enters '
      'the loss as a mean of S^-1 and fluctuations of S^-½ over the seeds',
      kind='theorem',
    )
  ]


def claims(config: Word2vec, ds: 'Dataset') -> list[Claim]:
  """Drawn sentences."""
  made = []
  for text, own, part in lanes.apart(config, ds, ('model',)):
    margin = own.questions**-0.5
    why = (
      f'two standard errors of {own.questions} questions, asked of both; the '
      'same stream of words for both'
    )
    for claim in (
      *_start(own, part),
      *_order(own, part, margin, why),
      *_kernel(own, part),
      *_features(own, part),
      *_gap(own, part),
      *_double(own, part),
    ):
      made.append(claim._replace(id=claim.id + text))
  return made


def claims_on_text(config: Word2vec, ds: 'Dataset') -> list[Claim]:
  """A text."""
  why = (
    'the order alone, on few words all differences are small; but ten of '
    'three thousand questions at least (a standard error of one accuracy: 25)'
  )
  made = []
  for text, own, part in lanes.apart(config, ds, ('model',)):
    for claim in (
      *_start(own, part),
      *_order(own, part, 1 / 300, why),
      *_kernel(own, part),
      *_features(own, part),
    ):
      made.append(claim._replace(id=claim.id + text))
  for name, found in PUBLISHED.items():
    reason = f'needs {name}, the text is {config.corpus}'
    made.append(
      untestable(
        name,
        f'accuracy on {name}: kernels, widths 64, 256, 1024, limit',
        f'{PAPER}, table of word2vec',
        reason,
        predicted=', '.join(f'{x:.4f}' for x in found),
      )
    )
  return made


def figures(config: Word2vec, ds: 'Dataset') -> Figures:
  """Accuracy over epochs, and at the end over width."""
  from framework.evidence import figures as plotting

  fig, axes = plotting.figure('double', height=2.9, ncols=2, sharey=True)
  left, right = axes
  left.set(xlabel='epoch', ylabel='analogies answered')
  left.set_title('On the same stream of words')
  right.set(xlabel='width $S$')
  right.set_title(f'After {config.epochs} epochs')
  widths = sorted(
    (m for m in config.axis('model') if width_of(m)),
    key=lambda m: width_of(m) or 0,
  )
  sizes = [width_of(m) or 1 for m in widths]
  if sizes:
    right.set_xscale('log', base=2)
    right.set_xlim(sizes[0] / 2, sizes[-1] * 2)
    right.set_xticks(sizes, [str(n) for n in sizes])
  shades = plotting.palette([float(n) for n in sizes])
  colors = dict(zip(widths, shades, strict=True))
  for m in (*widths, *(m for m in STYLES if m in config.axis('model'))):
    y = lanes.lanes(ds, 'accuracy', model=m)
    if not np.isfinite(y).any():
      continue
    n = width_of(m)
    if n:
      label, color, line = f'width {n}', colors[m], '-'
    else:
      label, color, line = STYLES[m]
    epoch = np.nanmean(lanes.lanes(ds, 'epoch', model=m), 0)
    plotting.lanes(left, epoch, y, label, color).set(linestyle=line)
    last = y[:, -1]
    if n:
      spread = [[last.mean() - last.min()], [last.max() - last.mean()]]
      right.errorbar([n], [last.mean()], spread, fmt='o', ms=4, color=color)
    else:
      right.axhline(last.mean(), color=color, linestyle=line)
      if m == 'limit' and len(last) > 1:
        right.axhspan(last.min(), last.max(), color=color, alpha=0.12, lw=0)
  plotting.legend(left)
  seeds = ds.sizes['seed']
  return {
    'word2vec': (
      fig,
      f'Word analogies that are answered, {seeds} seeds (median on the left, '
      'mean on the right, least to greatest). The wider the network the more, '
      'up to the limit; where features do not move, none.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
TEXT = Variant(arm, times, claims_on_text, figures)
