"""Claims on word2vec: the wider the better, and nothing without features."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from configs.infinite_width_maml import width_of
from experiments.infinite_width.maml_claims import PAPER, curves, models
from framework.evidence import fits
from framework.evidence.claims import (
  Claim,
  at_least,
  at_most,
  equals,
  untestable,
)

__all__ = ['CLAIMS', 'PUBLISHED']

# Accuracy of GP and NTK, widths 2^6, 2^8, 2^10 and the limit.
PUBLISHED = {
  'text8': (0.0, 0.3335, 0.4158, 0.4256, 0.4331),
  'fil9': (0.0, 0.4439, 0.5424, 0.5569, 0.5645),
}


def _last(config: Any, dataset: Any, name: str) -> dict[str, np.ndarray]:
  return {m: curves(config, dataset, m, name)[:, -1] for m in models(config)}


def _by_width(config: Any) -> list[str]:
  """Finite widths, ascending, and then the limit."""
  found = sorted(
    (m for m in models(config) if width_of(m)), key=lambda m: width_of(m) or 0
  )
  return [*found, *(m for m in models(config) if m == 'limit')]


def _name(model: str) -> str:
  return f'width {width_of(model)}' if width_of(model) else f'the {model}'


def _order(config: Any, dataset: Any, margin: float, why: str) -> list[Claim]:
  last = _last(config, dataset, 'accuracy')
  order = _by_width(config)
  return [
    at_least(
      f'{narrow}.{wide}',
      f'analogies answered after {config.epochs} epochs: {_name(wide)} less '
      f'{_name(narrow)}',
      f'{PAPER}, table of word2vec: accuracy grows with the width to the limit',
      margin,
      last[wide] - last[narrow],
      derivation=why,
    )
    for narrow, wide in itertools.pairwise(order)
  ]


def _start(config: Any, dataset: Any) -> list[Claim]:
  atol = 2e-6 if config.precision == 'float32' else 1e-12
  loss = [curves(config, dataset, m, 'loss')[:, 0] for m in models(config)]
  return [
    equals(
      'start',
      'the loss at the start, of every model: ln 2',
      'derived: Q = 0, so all logits are 0',
      float(np.log(2)),
      np.concatenate(loss),
      atol=atol,
      derivation=f'rounding of a sum in {config.precision}',
    )
  ]


def _kernel(config: Any, dataset: Any) -> list[Claim]:
  if 'kernel' not in models(config):
    return []
  accuracy, loss, norm = (
    curves(config, dataset, 'kernel', name)
    for name in ('accuracy', 'loss', 'norm_in')
  )
  return [
    equals(
      'kernel',
      'analogies answered at any time with frozen features, the limits of GP '
      'and NTK',
      f'{PAPER}: 0.0 for GP and NTK',
      0.0,
      accuracy,
      derivation='exact: rows of P(0) = I are orthogonal, so ⟨e_w, e_b − e_a + '
      'e_c⟩ = 0 for all w ≠ a, b, c, and a tie is no answer',
    ),
    equals(
      'kernel.norm',
      'frozen features stay: rms length of rows of P',
      'derived: P(t) = P(0) = I',
      1.0,
      norm[:, -1],
      derivation='exact',
    ),
    at_most(
      'kernel.trains',
      'control: the kernel is trained: its loss at the end less that at the '
      'start',
      'derived: the loss is convex in Q',
      -0.01,
      loss[:, -1] - loss[:, 0],
      derivation='a hundred times what float32 rounds off; a word is told by '
      'its own row alone, so it is slow',
    ),
  ]


def _features(config: Any, dataset: Any) -> list[Claim]:
  if 'limit' not in models(config):
    return []
  norm = curves(config, dataset, 'limit', 'norm_in')
  return [
    at_least(
      'features',
      'features of the limit move: rms length of rows of P, 1 at the start',
      f'{PAPER}: r = 0, features move by Θ(1)',
      1.25,
      norm[:, -1],
      derivation='1 in the kernel regime, and less with weight decay alone; a '
      'quarter more is asked for',
    )
  ]


def _double(config: Any, dataset: Any) -> list[Claim]:
  """Rows of length V against the published 2V."""
  if not {'limit', 'limit_2v'} <= set(models(config)):
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
    one, two = (curves(config, dataset, m, name) for m in ('limit', 'limit_2v'))
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
      )
    )
  return made


def _gap(config: Any, dataset: Any) -> list[Claim]:
  """How the loss gets to that of the limit."""
  widths = [m for m in _by_width(config) if width_of(m)]
  if 'limit' not in models(config) or len(widths) < 3:
    return []
  last = _last(config, dataset, 'loss')
  gap = [np.mean((last[m] - last['limit']) ** 2) ** 0.5 for m in widths]
  sizes = np.array([width_of(m) for m in widths], np.float64)
  return [
    at_most(
      'gap',
      'the loss gets to that of the limit: slope of the rms gap on the width, '
      'log-log',
      f'{PAPER}: the limit of µP',
      -0.4,
      float(fits.power_law(sizes, np.array(gap)).slope),
      derivation='logits of a start of width S are off by S^-½, which enters '
      'the loss as a mean of S^-1 and fluctuations of S^-½ over the seeds',
    )
  ]


def word2vec(config: Any, dataset: Any) -> list[Claim]:
  """Drawn sentences."""
  margin = config.questions**-0.5
  why = (
    f'two standard errors of {config.questions} questions, asked of both; the '
    'same stream of words for both'
  )
  return [
    *_start(config, dataset),
    *_order(config, dataset, margin, why),
    *_kernel(config, dataset),
    *_features(config, dataset),
    *_gap(config, dataset),
    *_double(config, dataset),
  ]


def word2vec_text(config: Any, dataset: Any) -> list[Claim]:
  """A text."""
  why = (
    'the order alone, on few words all differences are small; but ten of '
    'three thousand questions at least (a standard error of one accuracy: 25)'
  )
  made = [
    *_start(config, dataset),
    *_order(config, dataset, 1 / 300, why),
    *_kernel(config, dataset),
    *_features(config, dataset),
  ]
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


CLAIMS: dict[str, Callable[[Any, Any], list]] = {
  'word2vec': word2vec,
  'word2vec_text': word2vec_text,
  'word2vec_paper': word2vec_text,
}
