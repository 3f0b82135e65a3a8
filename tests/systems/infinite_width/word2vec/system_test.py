import dataclasses
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.data import corpus
from framework.system import advance, keys, rollout, start
from framework.systems.infinite_width import word2vec as dynamics
from framework.systems.infinite_width.word2vec import analogy
from framework.systems.infinite_width.word2vec import model as word2vec
from framework.systems.infinite_width.word2vec.system import (
  Hp,
  Structure,
  _sentence,
  _tokens,
)
from tests.compiling import counted

KEY = jax.random.key(0)
V = 12


def toy(n=400, asked=8):
  """Words in no order; frequent ones are many times as frequent as rare."""
  rng = np.random.default_rng(0)
  p = 1 / np.arange(1, V + 1)
  codes = rng.choice(V, n, p=p / p.sum()).astype(np.int32)
  counts = np.maximum(np.bincount(codes, minlength=V), 1)
  known = corpus.Vocabulary(tuple(map(str, range(V))), counts)
  rows = np.stack([rng.permutation(V)[:4] for _ in range(asked)])
  asked_rows = corpus.Questions(
    rows.astype(np.int32), ('',), np.zeros(asked, np.int32), 0
  )
  return corpus.Corpus(codes, known, asked_rows)


def build(start=None, subsample=0.0, chunk=20, **options):
  text = toy()
  data, span = dynamics.prepared(
    text, chunk=chunk, window=3, subsample=subsample
  )
  made = dict(window=3, negatives=4, eval_words=16, dtype=jnp.float64)
  structure = Structure(
    len(text.codes),
    V,
    span,
    start or dynamics.limit(),
    chunk=chunk,
    **(made | options),
  )
  return structure, data


def run(structure, data, steps):
  """Records at the start and at the end, and the state."""

  def whole(key, data):
    times, hp = jnp.array([0, steps]), Hp(0.2, 0.01)
    return rollout(dynamics.system(structure), key, hp, times, data)

  return jax.jit(whole)(KEY, data)


def test_draws_follow_the_table():
  """A frequency of n draws is off by √(p(1 − p)/n); 5 of them."""
  p = np.array([0.5, 0.3, 0.15, 0.05, 0.0])
  n = 40_000
  found = dynamics.drawn(KEY, corpus.alias(p), (n,))
  share = np.bincount(found, minlength=5) / n
  assert np.all(np.abs(share - p) <= 5 * np.sqrt(p * (1 - p) / n))


def test_contexts_are_those_of_a_loop():
  rng = np.random.default_rng(0)
  words, w = rng.integers(0, 9, 30).astype(np.int32), 4
  words[27:] = -1
  reach = rng.integers(1, w + 1, 30)
  contexts = jax.jit(dynamics.contexts, static_argnums=2)
  found = np.asarray(contexts(words, reach, w))
  for i in range(30):
    near = [j for j in range(27) if j != i and abs(i - j) <= reach[i]]
    want = [words[j] for j in near] if i < 27 else []
    assert found[i][found[i] >= 0].tolist() == want


def test_a_step_is_the_loop_of_the_reference():
  """One step against word2vec.c written out, from what the step drew."""
  structure, data = build(dynamics.of_width(5))
  system, hp = dynamics.system(structure), Hp(0.2, 0.01)
  problem, state = jax.jit(lambda data: start(system, KEY, hp, data))(data)
  Q = np.random.default_rng(0).standard_normal((V, 5))
  state = state._replace(tables=state.tables._replace(Q=Q))
  key = jax.random.key(7)
  after = jax.jit(system.step)(key, state, problem, hp)

  @jax.jit
  def drawn(read, data):
    first, second = jax.random.split(key)
    words, place, _ = _sentence(structure, first, read, data)
    return words, place, *_tokens(structure, second, words, data.noise)

  words, place, context, targets = jax.device_get(
    drawn(state.read, problem.data)
  )
  assert np.array_equal(words, toy().codes[:20])
  P, Q = (np.array(x) for x in state.tables)
  for i in range(20):
    near = context[i][context[i] >= 0]
    lr = 0.2 * (1 - int(place[i]) / (structure.words * 2 + 1))
    u, e = P[near].mean(0), np.zeros(5)
    for j, t in enumerate(targets[i]):
      if t < 0:
        continue
      g = lr * ((j == 0) - 1 / (1 + np.exp(-u @ Q[t])))
      e += g * Q[t]
      Q[t] = (1 - lr * 0.01) * Q[t] + g * u
    for c in near:
      P[c] = (1 - lr * 0.01) * P[c] + e / len(near)
  assert int(after.read) == 20
  # 20 tokens of sums of order one in float64, in another order.
  np.testing.assert_allclose(after.tables.P, P, rtol=0, atol=1e-13)
  np.testing.assert_allclose(after.tables.Q, Q, rtol=0, atol=1e-13)


def test_noise_is_never_the_word_itself_and_windows_vary():
  structure, data = build(chunk=200)
  words = jnp.asarray(data.codes[:200])
  context, targets = _tokens(structure, KEY, words, data.noise)
  targets = np.asarray(targets)
  assert np.all(targets[:, 1:] != targets[:, :1])
  assert np.mean(targets[:, 1:] < 0) > 0.02  # passed over where it was drawn
  inner = np.asarray(context)[3:-3]
  reach = np.sum(inner >= 0, 1) // 2
  # Uniform on 1, 2, 3: √(2/9/194) is 0.034; 5 of them.
  share = np.bincount(reach, minlength=4)[1:] / len(reach)
  assert np.all(np.abs(share - 1 / 3) < 0.17)


def test_frequent_words_are_dropped_and_the_text_goes_round():
  structure, data = build(subsample=0.02)
  assert structure.span > structure.chunk
  steps = dynamics.steps_of(data, structure.words, structure.chunk, 2)
  _, records = run(structure, data, steps)
  # Words read for 20 that are kept vary by about 20/√20 a step at a rate of
  # a half; 4 standard deviations of `steps` of them, over n.
  rate = 20 * steps / (2 * structure.words)
  sd = np.sqrt(20 * steps * (1 - rate)) / rate / structure.words
  assert abs(float(records['epoch'][-1]) - 2) < 4 * sd + 0.05
  words, place, read = _sentence(
    structure, KEY, jnp.int32(390), jax.tree.map(jnp.asarray, data)
  )
  text = np.concatenate([toy().codes[390:], toy().codes])
  assert np.array_equal(words, text[np.asarray(place)])
  assert int(read) == int(place[-1]) + 1


def test_a_sentence_ends_where_too_little_is_kept():
  structure, data = build(chunk=20)
  short = data._replace(kept=np.full(V, 0.1, np.float32))
  structure = dataclasses.replace(structure, span=40)
  short = short._replace(codes=np.resize(toy().codes, 440))
  words, _, read = _sentence(
    structure, KEY, jnp.int32(0), jax.tree.map(jnp.asarray, short)
  )
  kept = int(np.sum(np.asarray(words) >= 0))
  assert 0 < kept < 20 and int(read) == 40
  assert np.all(np.asarray(words)[kept:] == -1)


def test_rows_of_length_V_are_the_limit():
  """Columns V ... 2V − 1 stay zero: the same but for the order of sums."""
  one, _ = run(*build(), 40)
  two, _ = run(*build(dynamics.limit(2 * V)), 40)
  assert np.all(np.asarray(two.tables.P)[:, V:] == 0)
  # 800 tokens, each with roundings of 1e-16 in numbers of order one.
  for a, b in zip(one.tables, two.tables, strict=True):
    np.testing.assert_allclose(a, b[:, :V], rtol=0, atol=1e-12)
  assert np.max(np.abs(np.asarray(one.tables.P) - np.eye(V))) > 0.1


def test_a_wide_network_is_near_the_limit():
  """⟨P_v, P_w⟩ at the start is off by S^-½, so are logits: 3e-3 at 10⁵."""
  _, far = run(*build(), 20)
  _, near = run(*build(dynamics.of_width(100_000)), 20)
  _, narrow = run(*build(dynamics.of_width(10)), 20)
  gap = abs(float(near['loss'][-1] - far['loss'][-1]))
  assert gap < 0.01
  assert gap < 0.2 * abs(float(narrow['loss'][-1] - far['loss'][-1]))


def test_frozen_features_answer_nothing_and_learn():
  state, records = run(*build(frozen=True), 40)
  assert np.array_equal(state.tables.P, np.eye(V))
  assert np.all(records['accuracy'] == 0) and np.all(records['norm_in'] == 1)
  np.testing.assert_allclose(records['loss'][0], np.log(2), rtol=1e-12, atol=0)
  assert records['loss'][-1] < 0.68


def test_observed_loss_is_that_of_training():
  """`losses` at tables that stay what they are, lr = 0."""
  structure, data = build(chunk=30)
  tables = word2vec.finite(KEY, V, 6, jnp.float64)
  Q = jax.random.normal(KEY, (V, 6), jnp.float64)
  tables = tables._replace(Q=Q)
  words = jnp.asarray(data.codes[:30])
  tokens = _tokens(structure, KEY, words, data.noise)
  # lr = 0 would pass over all targets; 1e-300 changes no bit.
  _, want = word2vec.updates(tables, *tokens, 1e-300)
  np.testing.assert_allclose(
    word2vec.losses(tables, *tokens), want, rtol=1e-12, atol=0
  )


def test_analogies_are_those_of_a_loop():
  rng = np.random.default_rng(0)
  P = rng.normal(size=(V, 3))
  ask = np.stack([rng.permutation(V)[:4] for _ in range(50)])
  ask[0] = [1, 2, 3, 2]  # an answer that is excluded
  unit = P / np.linalg.norm(P, axis=1, keepdims=True)
  want = []
  for a, b, c, d in ask:
    scores = unit @ (unit[b] - unit[a] + unit[c])
    scores[[a, b, c]] = -np.inf
    want.append(np.argmax(scores) == d)
  assert 0 < sum(want) < 50
  for block in (1, 7, 256):
    found = analogy.answered(jnp.asarray(P), jnp.asarray(ask), block)
    assert np.array_equal(found, want)
  # A row of zeros has no direction: no answer, and no nan.
  assert not analogy.accuracy(jnp.zeros((V, 3)), jnp.asarray(ask))


def test_tables_are_written_in_place():
  """A token copies no table: all of a program's own memory is less than one."""
  tables = word2vec.finite(KEY, 5000, 32, jnp.float32)
  token = jax.ShapeDtypeStruct((20, 6), jnp.int32)
  memory = (
    jax.jit(word2vec.updates, donate_argnums=0)
    .lower(tables, token, token, 0.1)
    .compile()
    .memory_analysis()
  )
  assert memory is not None
  assert memory.temp_size_in_bytes < tables.P.nbytes // 4


@pytest.mark.parametrize('dtype', ['float32', 'float64'])
def test_updates_are_compiled_once_and_the_tables_donated(dtype):
  """Whatever η and λ, for one run and for lanes over them."""
  updates = jax.jit(word2vec.updates, donate_argnums=0)
  context, targets = jax.random.randint(KEY, (2, 7, 5), 0, V)
  rates = np.array([[0.1, 0.0], [0.2, 0.01]], dtype)

  def tables():
    made = word2vec.finite(KEY, V, 4, jnp.dtype(dtype))
    return made._replace(Q=made.P / 2)

  before = tables()
  one, _ = updates(before, context, targets, *rates[0])
  assert all(x.is_deleted() and x.dtype == dtype for x in before)
  with counted() as count:
    other, _ = updates(one, context, targets, *rates[1])
  assert count.compiled == 0
  assert all(x.is_deleted() for x in one)
  alone, _ = updates(tables(), context, targets, *rates[1])
  lanes = jax.vmap(word2vec.updates, (None, None, None, 0, 0))
  found, _ = jax.jit(lanes)(tables(), context, targets, *rates.T)
  near = 1e-14 if dtype == 'float64' else 1e-6
  for x, y, z in zip(found, alone, other, strict=True):
    np.testing.assert_allclose(x[1], y, rtol=0, atol=near)
    assert np.abs(y - z).max() > 1e-2


def test_chunks_of_a_run_are_the_run():
  structure, data = build(subsample=0.02)
  system, hp = dynamics.system(structure), Hp()
  problem, state = start(system, KEY, hp, data)
  go = jax.jit(
    lambda state, t, times: advance(
      system, keys(KEY).step, problem, hp, state, t, times
    )[0]
  )
  whole = go(state, 0, jnp.array([6]))
  parts = go(go(state, 0, jnp.array([4])), 4, jnp.array([6]))
  chex.assert_trees_all_equal(whole, parts)


@pytest.mark.parametrize(
  'fields, line',
  [
    ({'start': dynamics.of_width(0)}, 'S is 0, expected a width >= 1'),
    ({'start': dynamics.limit(5)}, 'S is 5, expected at least V = 12'),
    ({'words': 6}, 'words is 6, expected an integer >= 7'),
    ({'span': 3}, 'span is 3, expected an integer >= 20'),
    ({'negatives': 0}, 'negatives is 0, expected an integer >= 1'),
    ({'epochs': 2**30}, 'epochs is 1073741824, expected fewer than'),
  ],
)
def test_bad_input_is_one_line(fields, line):
  made = dict(words=400, V=V, span=20, chunk=20, window=3)
  with pytest.raises(ValueError, match=re.escape(line)) as caught:
    Structure(**(made | fields))
  assert len(str(caught.value).splitlines()) == 1


def test_a_text_shorter_than_a_window_is_refused():
  text = toy()._replace(codes=np.zeros(6, np.int32))
  with pytest.raises(ValueError, match='has 6 words of the vocabulary, exp'):
    dynamics.prepared(text, window=3)
