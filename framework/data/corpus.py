r"""Words of a text as numbers, and what word2vec draws from.

The vocabulary holds the words that occur `min_count` times or more, the most
frequent first; all others are left out of the text, whose words move together.
Documents follow each other without a mark, as in text8.

    kept in the text:   (√(f/s) + 1) s/f, at most 1, of a word of frequency f
    drawn as noise:     p_w ∝ count_w^¾

References:
  [1] Mikolov, Sutskever, Chen, Corrado, Dean, "Distributed Representations of
      Words and Phrases and their Compositionality", 2013, and word2vec.c.
"""

import collections
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int, Int32, Int64

from framework.data import store
from framework.data import text as text_lib

__all__ = [
  'Alias',
  'Corpus',
  'Questions',
  'Vocabulary',
  'alias',
  'analogies',
  'check_length',
  'encode',
  'kept',
  'load',
  'noise',
  'questions',
  'vocabulary',
]

# Of the synthetic corpus: words of each kind, and how many are in a sentence.
GROUPS, TYPES = 40, 4
_OF_GROUP, _OF_TYPE, _FILLERS = 3, 6, 635
_MENTIONS, _CLUES_GROUP, _CLUES_TYPE, _REST = 3, 4, 3, 2
_SENTENCE = _MENTIONS + _CLUES_GROUP + _CLUES_TYPE + _REST


class Vocabulary(NamedTuple):
  """Words and how often they occur, the most frequent first."""

  words: tuple[str, ...]
  counts: Int64[np.ndarray, ' V']


class Questions(NamedTuple):
  """Analogies a : b = c : d, and those that could not be asked."""

  rows: Int32[np.ndarray, 'N 4']
  sections: tuple[str, ...]
  section: Int32[np.ndarray, ' N']  # of each
  dropped: int  # a word is not in the vocabulary


class Corpus(NamedTuple):
  """A text in numbers."""

  codes: Int32[np.ndarray, ' n']
  vocabulary: Vocabulary
  questions: Questions


class Alias(NamedTuple):
  """A distribution on V numbers: i is uniform, and i or other_i is drawn."""

  accept: Float32[np.ndarray, ' V']
  other: Int32[np.ndarray, ' V']


def vocabulary(
  text: str, min_count: int = 5, limit: int | None = None
) -> Vocabulary:
  """The words of a text that are frequent enough.

  Args:
    text: Words between spaces and ends of lines.
    min_count: Least number of occurrences.
    limit: Most words to keep, the most frequent; all when None.

  Returns:
    A `Vocabulary`; words that occur equally often are in alphabetical order.

  Raises:
    ValueError: If an argument is not positive, or fewer than two words are
      left, in one line.

  >>> vocabulary('a b a c a b', 2)
  Vocabulary(words=('a', 'b'), counts=array([3, 2]))
  """
  for name, value in (('min_count', min_count), ('limit', limit)):
    if value is not None and value < 1:
      raise ValueError(f'{name} is {value}, expected an integer >= 1')
  found = collections.Counter[str]()
  for line in text.splitlines():
    found.update(line.split())
  order = sorted(
    ((w, n) for w, n in found.items() if n >= min_count),
    key=lambda pair: (-pair[1], pair[0]),
  )[:limit]
  if len(order) < 2:
    raise ValueError(
      f'{len(order)} words occur at least {min_count} times, expected 2: '
      f'the text has {len(found)} words'
    )
  words, counts = zip(*order, strict=True)
  return Vocabulary(words, np.array(counts, np.int64))


def encode(text: str, vocabulary: Vocabulary) -> Int32[np.ndarray, ' n']:
  """The words of a text as places in the vocabulary; others are left out.

  >>> encode('a b x a', vocabulary('a b a b a', 1)).tolist()
  [0, 1, 0]
  """
  place = {w: i for i, w in enumerate(vocabulary.words)}
  parts = [
    np.fromiter((place[w] for w in line.split() if w in place), np.int32)
    for line in text.splitlines()
  ]
  return np.concatenate([np.zeros(0, np.int32), *parts])


def check_length(codes: Int[np.ndarray, ' n'], window: int) -> None:
  """Refuses a text in which no word has all of its context.

  Raises:
    ValueError: In one line.

  >>> check_length(np.zeros(4), 2)
  Traceback (most recent call last):
  ValueError: the corpus has 4 words of the vocabulary, expected at least 5: a
  window of 2 on either side
  """
  if len(codes) < 2 * window + 1:
    raise ValueError(
      f'the corpus has {len(codes)} words of the vocabulary, expected at least '
      f'{2 * window + 1}: a window of {window} on either side'
    )


def kept(
  counts: Int[np.ndarray, ' V'], threshold: float
) -> Float32[np.ndarray, ' V']:
  """Probability that an occurrence of a word stays in the text.

  Args:
    counts: Occurrences of the words.
    threshold: s, such as 1e-4; 0 keeps all.

  Returns:
    (√(f/s) + 1) s/f, at most 1.

  Raises:
    ValueError: If s is negative.

  >>> print(kept(np.array([99, 1]), 0.01).round(3))
  [0.111 1.   ]
  """
  if not threshold >= 0:
    raise ValueError(f'threshold is {threshold}, expected >= 0')
  if threshold == 0:
    return np.ones(len(counts), np.float32)
  ratio = np.asarray(counts, np.float64) / np.sum(counts) / threshold
  return np.minimum((np.sqrt(ratio) + 1) / ratio, 1).astype(np.float32)


def noise(
  counts: Int[np.ndarray, ' V'], power: float = 0.75
) -> Float[np.ndarray, ' V']:
  """The distribution of sampled words, p_w ∝ count_w^power.

  >>> print(noise(np.array([16, 1])).round(3))
  [0.889 0.111]
  """
  weight = np.asarray(counts, np.float64) ** power
  return weight / np.sum(weight)


def alias(p: Float[np.ndarray, ' V']) -> Alias:
  """Walker's tables: two reads a draw, whatever the size.

      P(w) = (accept_w + Σ_{i: other_i = w} (1 − accept_i)) / V

  Args:
    p: Probabilities, with sum 1.

  Returns:
    `Alias`.

  Raises:
    ValueError: If p is no distribution.

  >>> print(alias(np.array([0.75, 0.25])))
  Alias(accept=array([1. , 0.5], dtype=float32), other=array([0, 0], ...))
  """
  p = np.asarray(p, np.float64)
  if p.ndim != 1 or np.any(p < 0) or not np.isclose(np.sum(p), 1):
    raise ValueError(f'p sums to {np.sum(p)}, expected a distribution')
  left = p * len(p)
  accept, other = np.ones(len(p)), np.arange(len(p), dtype=np.int32)
  small = list(np.flatnonzero(left < 1)[::-1])
  large = list(np.flatnonzero(left >= 1)[::-1])
  while small and large:
    i, j = small.pop(), large[-1]
    accept[i], other[i] = left[i], j
    left[j] -= 1 - left[i]
    if left[j] < 1:
      small.append(large.pop())
  return Alias(accept.astype(np.float32), other)


def questions(text: str, vocabulary: Vocabulary) -> Questions:
  r"""Reads analogies, four words a line, `: name` a section; case is dropped.

  Args:
    text: As in questions-words.txt.
    vocabulary: Words that can be asked for.

  Returns:
    `Questions`.

  Raises:
    ValueError: In one line, if a line has not four words, or none is left.

  >>> known = vocabulary('a b c d', 1)
  >>> found = questions(': letters\nA b C d\na b c x', known)
  >>> found.rows.tolist(), found.sections, found.dropped
  ([[0, 1, 2, 3]], ('letters',), 1)
  """
  place = {w: i for i, w in enumerate(vocabulary.words)}
  rows, sections, section, dropped = [], [], [], 0
  for number, line in enumerate(text.lower().splitlines(), 1):
    if line.startswith(':'):
      sections.append(line[1:].strip())
      continue
    words = line.split()
    if not words:
      continue
    if len(words) != 4:
      raise ValueError(
        f'line {number} of the questions is {line[:40]!r}, expected four words'
      )
    if any(w not in place for w in words):
      dropped += 1
      continue
    sections = sections or ['']
    rows.append([place[w] for w in words])
    section.append(len(sections) - 1)
  if not rows:
    raise ValueError(
      f'none of {dropped} questions has all its words among the '
      f'{len(vocabulary.words)} of the vocabulary'
    )
  return Questions(
    np.array(rows, np.int32),
    tuple(sections),
    np.array(section, np.int32),
    dropped,
  )


def load(
  names: Sequence[str],
  root: str | os.PathLike | None = None,
  *,
  min_count: int = 5,
  limit: int | None = None,
  ask: str = 'questions-words',
) -> Corpus:
  """Corpora of `framework.data.text`, one after the other, with questions.

  Args:
    names: Keys of `text.CORPORA`.
    root: Folder of the data, as in `store.folder`.
    min_count: Least number of occurrences of a word.
    limit: Most words of the vocabulary.
    ask: Key of `text.QUESTIONS`.

  Returns:
    A `Corpus`.

  Raises:
    DataError: In one line, if a file is not there.
    ValueError: In one line, if too little is left.
  """
  for name in names:
    if name not in text_lib.CORPORA:
      raise store.DataError(
        f'corpus {name}: expected one of {", ".join(text_lib.CORPORA)}'
      )
  asked = text_lib.raw(ask, root)
  whole = '\n'.join(text_lib.raw(name, root) for name in names)
  known = vocabulary(whole, min_count, limit)
  return Corpus(encode(whole, known), known, questions(asked, known))


def analogies(seed: int = 0, words: int = 60_000, ask: int = 2000) -> Corpus:
  """A corpus in which 160 entities are to be told by the words around them.

  Entity (g, t) is the one of group g (of 40) and type t (of 4), as a capital is
  of a country and a city. A sentence has 12 words in random order: an entity,
  drawn uniformly, three times; 4 times one of the 3 words of its group; 3 times
  one of the 6 words of its type; 2 of 635 words that tell nothing, all drawn
  with replacement. That makes 160 + 120 + 24 + 635 = 939 words. A question is
  (g, t) : (g, t') = (h, t) : (h, t') with g ≠ h and t ≠ t'; a sentence names
  one entity only, so nothing pairs those that are asked for.

  Args:
    seed: Of sentences and questions.
    words: Length; the last sentence may be cut.
    ask: Questions, drawn without replacement of 18720.

  Returns:
    A `Corpus`; the vocabulary is by kind, g0t0 first, not by frequency.

  Raises:
    ValueError: If there is no word or the number of questions is out of range.

  >>> found = analogies(words=1000, ask=5)
  >>> found.codes.shape, len(found.vocabulary.words), found.questions.rows.shape
  ((1000,), 939, (5, 4))
  """
  every = GROUPS * (GROUPS - 1) * TYPES * (TYPES - 1)
  if words < 1:
    raise ValueError(f'words is {words}, expected an integer >= 1')
  if not 1 <= ask <= every:
    raise ValueError(f'ask is {ask}, expected 1 to {every}')
  rng = np.random.default_rng(seed)
  n = -(-words // _SENTENCE)
  g, t = rng.integers(GROUPS, size=(n, 1)), rng.integers(TYPES, size=(n, 1))
  of_group = GROUPS * TYPES
  of_type = of_group + GROUPS * _OF_GROUP
  filler = of_type + TYPES * _OF_TYPE
  clue = rng.integers(_OF_GROUP, size=(n, _CLUES_GROUP))
  kind = rng.integers(_OF_TYPE, size=(n, _CLUES_TYPE))
  sentences = np.concatenate(
    [
      np.repeat(g * TYPES + t, _MENTIONS, 1),
      of_group + g * _OF_GROUP + clue,
      of_type + t * _OF_TYPE + kind,
      filler + rng.integers(_FILLERS, size=(n, _REST)),
    ],
    1,
  )
  codes = rng.permuted(sentences, axis=1).reshape(-1)[:words].astype(np.int32)
  names = _names()
  counts = np.bincount(codes, minlength=len(names))
  rows = _asked(rng.choice(every, ask, replace=False))
  only = Questions(rows, ('entities',), np.zeros(ask, np.int32), 0)
  # A word that was never drawn still has a place, and may be drawn as noise.
  return Corpus(codes, Vocabulary(names, np.maximum(counts, 1)), only)


def _names() -> tuple[str, ...]:
  """Words of the synthetic corpus, entities first."""
  return (
    *(f'g{g}t{t}' for g in range(GROUPS) for t in range(TYPES)),
    *(f'g{g}w{i}' for g in range(GROUPS) for i in range(_OF_GROUP)),
    *(f't{t}w{i}' for t in range(TYPES) for i in range(_OF_TYPE)),
    *(f'w{i}' for i in range(_FILLERS)),
  )


def _asked(which: Int[np.ndarray, ' N']) -> Int32[np.ndarray, 'N 4']:
  """Questions by number."""
  which, apart = np.divmod(which, TYPES - 1)
  which, t = np.divmod(which, TYPES)
  g, other = np.divmod(which, GROUPS - 1)
  # The k-th of those that differ from one.
  h, u = other + (other >= g), apart + (apart >= t)
  pairs = [g * TYPES + t, g * TYPES + u, h * TYPES + t, h * TYPES + u]
  return np.stack(pairs, 1).astype(np.int32)
