r"""word2vec of a text, as a `System`: widths, the limit in µP, its kernel.

    limit()          rows of length V (or more), P(0) = [I, 0]
    of_width(S)      rows of length S, P(0) ~ U(±√(3/S))
    frozen features  the limit with P(t) = P(0): in the GP and NTK limits
                     features stay what they are, orthogonal, and only Q learns

A step is a sentence of `chunk` words, one after the other: from where the last
one ended words are read, frequent ones dropped, until there are so many. Each
has b words of context on either side, within the sentence, b uniform in 1 ...
`window`, and `negatives` words drawn as noise, passed over where they are the
word itself. The step size falls as in word2vec.c [1],

    η_i = η max(1 − i/(epochs · n + 1), 10⁻⁴)  at the i-th word that is read.

All models draw from the key of (seed, step), so they see the same stream.

References:
  [1] Mikolov, Chen, Corrado, Dean, "Efficient Estimation of Word
      Representations in Vector Space", 2013, and its program word2vec.c.
  [2] Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021,
      section 6 and appendix.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, Key

from framework.data import corpus
from framework.data.corpus import Alias
from framework.maths import draws
from framework.maths.norms import root
from framework.system import System
from framework.systems.infinite_width.word2vec import analogy
from framework.systems.infinite_width.word2vec import model as word2vec
from framework.systems.infinite_width.word2vec.model import Tables

__all__ = [
  'ATTRIBUTES',
  'Data',
  'Hp',
  'Problem',
  'State',
  'Structure',
  'contexts',
  'drawn',
  'limit',
  'of_width',
  'prepared',
  'steps_of',
  'system',
]

_FLOOR = 1e-4  # of the step size, as a share of η

ATTRIBUTES = {
  'accuracy': {'long_name': 'analogies that are answered', 'units': '1'},
  'loss': {'long_name': '−ln σ, mean over targets', 'units': 'nat'},
  'norm_in': {'long_name': 'rms length of rows of P', 'units': '1'},
  'norm_out': {'long_name': 'rms length of rows of Q', 'units': '1'},
  'epoch': {'long_name': 'how often the text was read', 'units': '1'},
}

Start = Callable[..., Tables]  # (key, V, dtype) -> tables


def limit(S: int | None = None) -> Start:
  """The start of the limit in µP; see `model.limit`.

  Args:
    S: Length of a row, V when None; what is beyond V stays zero.

  Returns:
    (key, V, dtype) -> `Tables`.

  >>> limit()(jax.random.key(0), 3, jnp.float32).P.shape
  (3, 3)
  """
  return lambda key, V, dtype: word2vec.limit(V, S, dtype)


def of_width(S: int) -> Start:
  """The start of a network of some width; see `model.finite`.

  Args:
    S: The width.

  Returns:
    (key, V, dtype) -> `Tables`.

  >>> of_width(8)(jax.random.key(0), 3, jnp.float32).P.shape
  (3, 8)
  """
  return lambda key, V, dtype: word2vec.finite(key, V, S, dtype)


class Hp(NamedTuple):
  """Hyperparameters: traced scalars, every one can be a lane."""

  lr: Float[ArrayLike, ''] = 0.05  # η, of the first word
  weight_decay: Float[ArrayLike, ''] = 0.001  # λ, of a row when it is touched


class Data(NamedTuple):
  """A text, on the device once for all lanes; see `prepared`."""

  codes: Int[Array | np.ndarray, ' n_and_more']  # goes on with its beginning
  kept: Float[Array | np.ndarray, ' V']
  noise: Alias
  questions: Int[Array | np.ndarray, 'N 4']


@dataclasses.dataclass(frozen=True)
class Structure:
  """Fixed in the compiled program.

  Raises:
    ValueError: If a size is out of range, naming it.
  """

  words: int  # n, of the text
  V: int
  span: int  # most words that are read for a step
  start: Start = limit()  # noqa: RUF009
  frozen: bool = False  # whether P stays what it is: the kernel limit
  chunk: int = 1000  # words of a step
  window: int = 8
  negatives: int = 25
  epochs: int = 2  # over which the step size falls
  eval_words: int = 500  # of the loss that is observed
  block: int = 256  # questions that are asked at once
  dtype: Any = jnp.float32

  def __post_init__(self):
    """Refuses what cannot be built."""
    lows = {
      'V': 2,
      'words': 2 * self.window + 1,
      'span': self.chunk,
      'chunk': 2,
    } | dict.fromkeys(
      ('window', 'negatives', 'epochs', 'eval_words', 'block'), 1
    )
    for name, low in lows.items():
      if getattr(self, name) < low:
        raise ValueError(
          f'{name} is {getattr(self, name)}, expected an integer >= {low}'
        )
    if self.words * self.epochs >= 2**31 - self.span:
      raise ValueError(
        f'epochs is {self.epochs}, expected fewer than 2^31 words in all'
      )
    # Shapes alone; a width that does not suit V is refused here.
    jax.eval_shape(self.tables, jax.random.key(0))

  def tables(self, key: Key[Array, '']) -> Tables:
    """Both tables at the start."""
    return self.start(key, self.V, self.dtype)


class Problem(NamedTuple):
  """Fixed over time."""

  data: Data
  context: Int[Array, 'B C']  # of words that the loss is observed on
  targets: Int[Array, 'B K']


class State(NamedTuple):
  """Both tables, and how far in the text they are."""

  tables: Tables
  read: Int[Array, '']  # words, of all epochs


def prepared(
  text: corpus.Corpus,
  *,
  chunk: int = 1000,
  window: int = 8,
  subsample: float = 0.0,
) -> tuple[Data, int]:
  """Puts a text on the device's terms.

  Args:
    text: As `framework.data.corpus` makes it.
    chunk: Words of a step.
    window: Most words of context on either side.
    subsample: s of `corpus.kept`; 0 keeps every word.

  Returns:
    (data, span): where the text goes on with its beginning for `span` words,
    the most that are read for a step; that `chunk` of them are kept is missed
    by six standard deviations, and then a step has fewer words.

  Raises:
    ValueError: In one line, if the text is shorter than a window.

  >>> data, span = prepared(corpus.analogies(words=3000), subsample=1e-3)
  >>> span > 1000, len(data.codes) - span
  (True, 3000)
  """
  corpus.check_length(text.codes, window)
  counts = text.vocabulary.counts
  kept = corpus.kept(counts, subsample)
  rate = float(np.mean(kept[text.codes]))
  span = chunk
  if rate < 1:
    span = math.ceil((chunk + 6 * math.sqrt(chunk)) / rate)
  size = len(text.codes) + span
  return Data(
    np.resize(text.codes, size).astype(np.int32),
    kept,
    corpus.alias(corpus.noise(counts)),
    np.asarray(text.questions.rows, np.int32),
  ), span


def steps_of(data: Data, words: int, chunk: int, epochs: int) -> int:
  """Steps in which so many epochs are read, on average.

  >>> data, _ = prepared(corpus.analogies(words=3000))
  >>> steps_of(data, 3000, 1000, 2)
  6
  """
  kept = float(np.sum(np.asarray(data.kept)[np.asarray(data.codes[:words])]))
  return max(1, math.ceil(epochs * kept / chunk - 1e-6))


def drawn(
  key: Key[Array, ''], table: Alias, shape: tuple[int, ...]
) -> Int[Array, '*shape']:
  """Draws of a distribution.

  Args:
    key: Of the draws.
    table: As `corpus.alias` makes it.
    shape: Of the draws.

  Returns:
    Integers below V.

  >>> table = corpus.alias(np.array([0.0, 1.0, 0.0]))
  >>> print(drawn(jax.random.key(0), table, (4,)))
  [1 1 1 1]
  """
  key_place, key_side = jax.random.split(key)
  accept, other = map(jnp.asarray, table)
  row = (math.prod(shape),)  # compiles faster: `maths.draws`
  i = jax.random.randint(key_place, row, 0, len(accept), jnp.int32)
  i = i.reshape(shape)
  u = draws.uniform(key_side, shape, accept.dtype)
  return jnp.where(u < accept[i], i, other[i])


def contexts(
  words: Int[Array, ' n'], reach: Int[Array, ' n'], window: int
) -> Int[Array, 'n C']:
  """The words around each of a sentence.

  Args:
    words: The sentence; −1 at its end where it is shorter.
    reach: b of each word: how many on either side.
    window: The most of them; C is twice as many.

  Returns:
    Words of the context in their order, −1 where there is none.

  >>> print(contexts(jnp.array([5, 6, 7, -1]), jnp.array([1, 2, 1, 2]), 2))
  [[-1 -1  6 -1]
   [-1  5  7 -1]
   [-1  6 -1 -1]
   [-1 -1 -1 -1]]
  """
  off = np.r_[-window:0, 1 : window + 1]
  at = jnp.arange(len(words))[:, None] + off[None]
  inside = (at >= 0) & (at < len(words)) & (np.abs(off)[None] <= reach[:, None])
  there = inside & (words >= 0)[:, None]
  return jnp.where(there, words.at[at].get(mode='clip'), -1)


def system(structure: Structure) -> System:
  """word2vec at some width, in its limit, or with frozen features.

  Args:
    structure: Fixed in the compiled program.

  Returns:
    A `System` over `Hp`; `sample` takes `Data`. Observations: accuracy, the
    share of analogies that are answered; loss, the mean of −ln σ over the
    targets of words of the text that are the seed's, the same for all models;
    norm_in and norm_out, root mean squares of the lengths of rows of P and Q;
    epoch, how often the text has been read.

  >>> from framework import rollout
  >>> text = corpus.analogies(words=3000, ask=100)
  >>> data, span = prepared(text, chunk=500)
  >>> small = system(Structure(3000, 939, span, of_width(8), chunk=500,
  ...                          negatives=5, eval_words=20))
  >>> run = jax.jit(lambda hp, data: rollout(
  ...   small, jax.random.key(0), hp, jnp.array([0, 2]), data))
  >>> loss = run(Hp(lr=0.5), data)[1]['loss']
  >>> print(loss[0].round(4), bool(loss[1] < loss[0]))
  0.6931 True
  """
  s = structure

  def sample(key: Key[Array, ''], hp: Hp, data: Data) -> Problem:
    del hp
    # What numpy holds cannot be indexed by a tracer.
    data = jax.tree.map(jnp.asarray, data)
    key_start, key_token = jax.random.split(key)
    start = jax.random.randint(
      key_start, (s.eval_words,), 0, s.words, jnp.int32
    )
    # The middle of a sentence that is just long enough.
    keys = jax.random.split(key_token, s.eval_words)
    size = 2 * s.window + 1

    def one(key, start):
      at = (start + jnp.arange(size)) % s.words
      token = _tokens(s, key, data.codes[at], data.noise)
      return jax.tree.map(lambda x: x[s.window], token)

    return Problem(data, *jax.lax.map(lambda x: one(*x), (keys, start)))

  def init(key: Key[Array, ''], problem: Problem, hp: Hp) -> State:
    del problem, hp
    return State(s.tables(key), jnp.int32(0))

  def step(
    key: Key[Array, ''], state: State, problem: Problem, hp: Hp
  ) -> State:
    key_kept, key_token = jax.random.split(key)
    words, place, read = _sentence(s, key_kept, state.read, problem.data)
    context, targets = _tokens(s, key_token, words, problem.data.noise)
    lr, decay = (jnp.asarray(x, s.dtype) for x in (hp.lr, hp.weight_decay))
    total = s.epochs * s.words + 1
    left = 1 - (state.read + place).astype(s.dtype) / total
    tables, _ = word2vec.updates(
      state.tables,
      context,
      targets,
      lr * jnp.maximum(left, _FLOOR),
      decay,
      frozen=s.frozen,
    )
    return State(tables, state.read + read)

  def observe(state: State, problem: Problem, hp: Hp) -> dict[str, Array]:
    del hp
    P, Q = state.tables
    loss = word2vec.losses(state.tables, problem.context, problem.targets)
    return {
      'accuracy': analogy.accuracy(
        P, jnp.asarray(problem.data.questions), s.block
      ),
      'loss': jnp.sum(loss) / jnp.sum(problem.targets >= 0).astype(s.dtype),
      'norm_in': root(jnp.sum(P**2) / s.V),
      'norm_out': root(jnp.sum(Q**2) / s.V),
      'epoch': state.read.astype(s.dtype) / s.words,
    }

  return System(sample, init, step, observe)


def _sentence(
  s: Structure, key: Key[Array, ''], read: Int[Array, ''], data: Data
) -> tuple[Array, Array, Array]:
  """(the words of a step, their places among those that are read, how many)."""
  raw = jax.lax.dynamic_slice(data.codes, (read % s.words,), (s.span,))
  if s.span == s.chunk:
    return raw, jnp.arange(s.span), jnp.int32(s.span)
  stays = jax.random.uniform(key, (s.span,)) < data.kept[raw]
  place = jnp.nonzero(stays, size=s.chunk, fill_value=s.span)[0]
  words = raw.at[place].get(mode='fill', fill_value=-1)
  used = jnp.minimum(place[-1] + 1, s.span)
  return words, place, used.astype(jnp.int32)


def _tokens(
  s: Structure, key: Key[Array, ''], words: Int[Array, ' n'], noise: Alias
) -> tuple[Int[Array, 'n C'], Int[Array, 'n K']]:
  """Contexts and targets of the words of a sentence."""
  key_reach, key_noise = jax.random.split(key)
  n = len(words)
  reach = jax.random.randint(key_reach, (n,), 1, s.window + 1, jnp.int32)
  other = drawn(key_noise, noise, (n, s.negatives))
  own = words[:, None]
  other = jnp.where((other == own) | (own < 0), -1, other)
  return contexts(words, reach, s.window), jnp.concatenate([own, other], 1)
