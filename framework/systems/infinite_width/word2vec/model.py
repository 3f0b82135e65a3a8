r"""word2vec by negative sampling, at any width and in its limit in µP.

A word w has a row P_w of the input table and a row Q_w of the output table,
both of length S. One token of the continuous bag of words, with context words
c_1, ..., c_m (a word may occur more than once), its own word t_0 and sampled
words t_1, ..., t_K, is the update

    u = (1/m) Σ_i P_{c_i},  e = 0;
    for j = 0, ..., K:   g = η ([j = 0] − σ(⟨u, Q_{t_j}⟩)),
                         e ← e + g Q_{t_j},
                         Q_{t_j} ← (1 − ηλ) Q_{t_j} + g u;
    for i = 1, ..., m:   P_{c_i} ← (1 − ηλ) P_{c_i} + e/m,

in this order [1, 2]. It is a linear network of one hidden layer with one-hot
inputs, so its limit in µP is itself a network [2], P(0) = [I, 0] and Q(0) = 0
with rows of length 2V. Columns V, ..., 2V − 1 of either table stay zero, since
Q starts at zero, so S = V is the limit exactly. At width S, P ~ U(±√(3/S)).

The sequence is kept, but a token is a gather, three products and a scatter: a
word that occurs r times among the targets is found at its j-th occurrence to be

    (1 − ηλ)^j Q_t + s_j u,   s_j = Σ_{i < j} (1 − ηλ)^(j−1−i) g_i,

so that its logit there is a number that follows from those of the first row.

References:
  [1] Mikolov, Chen, Corrado, Dean, "Efficient Estimation of Word
      Representations in Vector Space", 2013, and its program word2vec.c.
  [2] Yang, Hu, "Feature Learning in Infinite-Width Neural Networks", 2021,
      section 6 and appendix.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Int, Key

from framework.maths import draws

__all__ = [
  'Tables',
  'finite',
  'limit',
  'losses',
  'table_sigmoid',
  'update',
  'updates',
]

_ENTRIES, _RANGE = 1000, 12  # of the table of the reference, [-12, 12]


class Tables(NamedTuple):
  """The parameters: a row a word."""

  P: Float[Array, 'V S']  # of words in the context: the embeddings
  Q: Float[Array, 'V S']  # of words that are predicted


class _Token(NamedTuple):
  """A token and all that follows from which of its words are equal."""

  context: Int[Array, ' C']  # V where there is none
  targets: Int[Array, ' K']  # V where there is none
  mean: Float[Array, ' C']  # 1/m, or 0
  kept: Float[Array, ' C']  # (1 − ηλ)^r of the r occurrences of the word
  gain: Float[Array, ' C']  # of e: Σ_{i < r} (1 − ηλ)^i / m
  rate: Float[Array, ' K']  # η, or 0
  label: Float[Array, ' K']
  before: Float[Array, ' K']  # (1 − ηλ)^(occurrences before this one)
  after: Float[Array, ' K']  # (1 − ηλ)^(all occurrences)
  seen: Float[Array, 'K K']  # s_j = Σ_i seen_ji g_i
  left: Float[Array, 'K K']  # the share of u in the last row
  rounds: Int[Array, '']  # occurrences before, at most


def limit(
  V: int, S: int | None = None, dtype: DTypeLike = jnp.float32
) -> Tables:
  """The limit at the start: P = [I, 0], Q = 0.

  Args:
    V: Words.
    S: Length of a row, V unless more are asked for; those stay zero.
    dtype: Of all entries.

  Returns:
    `Tables` with V rows.

  Raises:
    ValueError: If there are fewer than two words, or S < V.

  >>> print(limit(2).P, limit(2).Q.sum())
  [[1. 0.]
   [0. 1.]] 0.0
  """
  S = V if S is None else S
  if V < 2:
    raise ValueError(f'V is {V}, expected at least 2 words')
  if S < V:
    raise ValueError(f'S is {S}, expected at least V = {V} in the limit')
  return Tables(jnp.eye(V, S, dtype=dtype), jnp.zeros((V, S), dtype))


def finite(
  key: Key[Array, ''], V: int, S: int, dtype: DTypeLike = jnp.float32
) -> Tables:
  """A network of width S at the start: P ~ U(±√(3/S)), Q = 0.

  Args:
    key: Of P.
    V: Words.
    S: Width.
    dtype: Of all entries.

  Returns:
    `Tables` with V rows.

  Raises:
    ValueError: If there are fewer than two words or no width.

  >>> P = finite(jax.random.key(0), 50, 400).P
  >>> print(jnp.mean(jnp.sum(P**2, 1)).round(1))
  1.0
  """
  if V < 2:
    raise ValueError(f'V is {V}, expected at least 2 words')
  if S < 1:
    raise ValueError(f'S is {S}, expected a width >= 1')
  most = (3 / S) ** 0.5
  P = draws.uniform(key, (V, S), dtype, -most, most)
  return Tables(P, jnp.zeros((V, S), dtype))


def table_sigmoid(f: Float[Array, '*b']) -> Float[Array, '*b']:
  """The sigmoid as the reference program finds it in a table.

      σ(12 (2i/1000 − 1)),  i = ⌊41 (f + 12)⌋;  0 below −12, 1 above 12

  An integer division makes the factor 41 where the spacing of the table asks
  for 41.67, so this is σ(0.984 f − 0.192) in steps: 0.452 at f = 0. To compare
  with its numbers, not to train with.

  Args:
    f: Logits.

  Returns:
    Probabilities.

  >>> print(table_sigmoid(jnp.array([-13.0, 0.0, 13.0])).round(3))
  [0.    0.452 1.   ]
  """
  i = jnp.floor((_ENTRIES // _RANGE // 2) * (f + _RANGE))
  p = jax.nn.sigmoid(_RANGE * (2 * i / _ENTRIES - 1))
  return jnp.where(f > _RANGE, 1.0, jnp.where(f < -_RANGE, 0.0, p))


@functools.partial(jax.jit, static_argnames='sigmoid')
def update(
  tables: Tables,
  context: Int[Array, ' C'],
  targets: Int[Array, ' K'],
  lr: Float[ArrayLike, ''],
  weight_decay: Float[ArrayLike, ''] = 0.0,
  sigmoid: Callable[[Array], Array] = jax.nn.sigmoid,
) -> Tables:
  """One token, as in the equations of this module.

  Args:
    tables: P and Q.
    context: Words of the context, −1 where there is none.
    targets: The word itself first, then sampled ones; −1 is passed over.
    lr: η.
    weight_decay: λ.
    sigmoid: σ.

  Returns:
    `Tables`; the same where there is no context.

  >>> after = update(limit(3), jnp.array([0, -1]), jnp.array([1, 2]), 0.5)
  >>> print(after.Q[:, 0], after.P[0, 0])
  [ 0.    0.25 -0.25] 1.0
  """
  after, _ = updates(
    tables, context[None], targets[None], lr, weight_decay, sigmoid
  )
  return after


@functools.partial(jax.jit, static_argnames=('sigmoid', 'frozen'))
def updates(
  tables: Tables,
  context: Int[Array, 'B C'],
  targets: Int[Array, 'B K'],
  lr: Float[ArrayLike, '#B'],
  weight_decay: Float[ArrayLike, ''] = 0.0,
  sigmoid: Callable[[Array], Array] = jax.nn.sigmoid,
  *,
  frozen: bool = False,
) -> tuple[Tables, Float[Array, ' B']]:
  """Tokens one after the other.

  The tables are carried through one `scan` and written in place: what a token
  costs is (2C + 5K) S multiply-adds, nothing of the size of a table.

  Args:
    tables: P and Q.
    context: As in `update`, a row a token.
    targets: As in `update`, a row a token.
    lr: η, one for all or one a token.
    weight_decay: λ.
    sigmoid: σ.
    frozen: Whether P stays what it is, as in the limits of the GP and the NTK.

  Returns:
    (tables, Σ_j −ln σ(±⟨u, Q_{t_j}⟩) of every token, 0 if it has no context).

  >>> after, loss = updates(
  ...   limit(3), jnp.array([[0], [-1]]), jnp.array([[1, 2], [0, 1]]), 0.5)
  >>> print(loss.round(4))
  [1.3863 0.    ]
  """
  dtype = tables.P.dtype
  lr = jnp.broadcast_to(jnp.asarray(lr, dtype), targets.shape[:1])
  decay = 1 - lr * jnp.asarray(weight_decay, dtype)
  V = tables.P.shape[0]
  tokens = jax.vmap(_prepare, (0, 0, 0, 0, None))(
    context, targets, lr, decay, V
  )

  def one(tables, token):
    after, loss = _one(tables, token, sigmoid)
    return (after._replace(P=tables.P) if frozen else after), loss

  return jax.lax.scan(one, tables, tokens)


@jax.jit
def losses(
  tables: Tables, context: Int[Array, 'B C'], targets: Int[Array, 'B K']
) -> Float[Array, ' B']:
  """Σ_j −ln σ(±⟨u, Q_{t_j}⟩) of tokens, all with the same tables.

  Args:
    tables: P and Q.
    context: As in `updates`.
    targets: As in `updates`.

  Returns:
    The loss of every token, 0 if it has no context.

  >>> print(losses(limit(3), jnp.array([[0]]), jnp.array([[1, 2]])).round(4))
  [1.3863]
  """

  def one(token):
    context, targets = token
    there = context >= 0
    m = jnp.sum(there)
    rows = jnp.where(there[:, None], tables.P[context], 0)
    f = tables.Q[targets] @ (jnp.sum(rows, 0) / jnp.maximum(m, 1))
    sign = jnp.where(jnp.arange(len(targets)) == 0, -1, 1)
    wanted = (targets >= 0) & (m > 0)
    return jnp.sum(jnp.where(wanted, jax.nn.softplus(sign * f), 0))

  return jax.lax.map(one, (context, targets), batch_size=64)


def _one(tables: Tables, token: _Token, sigmoid) -> tuple[Tables, Array]:
  """The update of a token whose coefficients are known."""
  P, Q = tables
  rows = P.at[token.context].get(mode='clip')
  u = token.mean @ rows
  targets = Q.at[token.targets].get(mode='clip')
  first, square = targets @ u, u @ u

  def errors(f):
    return token.rate * (token.label - sigmoid(f))

  def logits(g):
    return token.before * first + square * (token.seen @ g)

  # Each round settles one more occurrence of a word; mostly there is but one.
  g = jax.lax.fori_loop(
    0, token.rounds, lambda _, g: errors(logits(g)), errors(logits(0 * first))
  )
  s, f = token.seen @ g, logits(g)
  e = (g * token.before) @ targets + (g @ s) * u
  targets = token.after[:, None] * targets + (token.left @ g)[:, None] * u[None]
  rows = token.kept[:, None] * rows + token.gain[:, None] * e[None]
  # Occurrences of a word all write the same row, its last; V is dropped.
  loss = (token.rate > 0) * jax.nn.softplus(jnp.where(token.label > 0, -f, f))
  return Tables(
    P.at[token.context].set(rows, mode='drop'),
    Q.at[token.targets].set(targets, mode='drop'),
  ), jnp.sum(loss)


def _prepare(context, targets, lr, decay, V: int) -> _Token:
  """Which words of a token are equal, and the powers of 1 − ηλ they take."""
  dtype = lr.dtype
  there = context >= 0
  m = jnp.sum(there)
  wanted = (targets >= 0) & (m > 0)
  mean = there / jnp.maximum(m, 1).astype(dtype)
  repeats = jnp.sum(_equal(context, there), 1)
  same = _equal(targets, wanted)
  place = jnp.arange(len(targets))
  before = jnp.sum(same & (place[None] < place[:, None]), 1)
  total = jnp.sum(same, 1)

  # Looked up: K² of them by `pow` take longer.
  powers = decay ** jnp.arange(max(len(context), len(targets)) + 1, dtype=dtype)

  def power(n):
    return powers[n]

  gap = before[:, None] - before[None, :] - 1
  last = total[:, None] - before[None, :] - 1
  return _Token(
    context=jnp.where(there, context, V),
    targets=jnp.where(wanted, targets, V),
    mean=mean,
    kept=power(repeats),
    gain=mean * _geometric(decay, repeats, len(context)),
    rate=jnp.where(wanted, lr, 0),
    label=(place == 0).astype(dtype),
    before=power(before),
    after=power(total),
    seen=jnp.where(same & (gap >= 0), power(jnp.maximum(gap, 0)), 0),
    left=jnp.where(same, power(last), 0),
    rounds=jnp.max(before),
  )


def _equal(words, there):
  return (words[:, None] == words[None, :]) & there[:, None] & there[None, :]


def _geometric(decay, repeats, most: int):
  """1 + d + ... + d^(r − 1), exact at d = 1."""
  powers = decay ** jnp.arange(most, dtype=decay.dtype)
  sums = jnp.cumsum(powers)
  return sums[jnp.maximum(repeats, 1) - 1]
