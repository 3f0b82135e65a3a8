import numpy as np
import pytest

from framework.data import corpus, store

TEXT = 'the cat and the dog\nthe cat sat\n'


def test_codes_are_the_words_by_frequency():
  known = corpus.vocabulary(TEXT, 1)
  assert known.words == ('the', 'cat', 'and', 'dog', 'sat')
  assert known.counts.tolist() == [3, 2, 1, 1, 1]
  codes = corpus.encode(TEXT, known)
  assert (
    ' '.join(known.words[i] for i in codes) == TEXT.replace('\n', ' ').strip()
  )
  assert corpus.vocabulary(TEXT, 2).words == ('the', 'cat')
  assert corpus.vocabulary(TEXT, 1, limit=2).words == ('the', 'cat')


def test_rare_words_are_left_out_of_the_text():
  known = corpus.vocabulary(TEXT, 2)
  assert corpus.encode(TEXT, known).tolist() == [0, 1, 0, 0, 1]


def test_kept_is_the_formula_of_the_reference():
  """word2vec.c: (sqrt(cn / (s n)) + 1) (s n) / cn."""
  counts, s = np.array([500, 30, 1]), 1e-2
  n = counts.sum()
  want = (np.sqrt(counts / (s * n)) + 1) * (s * n) / counts
  np.testing.assert_allclose(
    corpus.kept(counts, s), np.minimum(want, 1), rtol=1e-6, atol=0
  )
  assert np.all(corpus.kept(counts, 0.0) == 1)


@pytest.mark.parametrize('size', [1, 2, 7, 1000])
def test_alias_tables_are_the_distribution(size):
  rng = np.random.default_rng(size)
  p = rng.random(size) ** 6  # some a thousand times others
  p /= p.sum()
  accept, other = corpus.alias(p)
  told = accept.astype(np.float64)
  np.add.at(told, other, 1 - accept.astype(np.float64))
  # Each of up to V shares is rounded to float32, 6e-8 of at most one.
  np.testing.assert_allclose(told / size, p, atol=1e-7, rtol=0)


def test_noise_is_the_count_to_three_quarters():
  p = corpus.noise(np.array([10_000, 1]))
  np.testing.assert_allclose(p[0] / p[1], 1000, rtol=1e-12, atol=0)


def test_questions_by_section_and_what_is_dropped():
  known = corpus.vocabulary('a b c d e', 1)
  text = ': first\nA B C D\n: second\na b c zebra\nb a d c\n\n'
  asked = corpus.questions(text, known)
  assert asked.rows.tolist() == [[0, 1, 2, 3], [1, 0, 3, 2]]
  assert asked.sections == ('first', 'second') and asked.dropped == 1
  assert asked.section.tolist() == [0, 1]


def test_synthetic_questions_are_true_and_differ():
  found = corpus.analogies(1, 5000, 2000)
  rows, T = found.questions.rows, corpus.TYPES
  assert len({tuple(r) for r in rows.tolist()}) == 2000
  a, b, c, d = rows.T
  assert rows.min() >= 0 and rows.max() < corpus.GROUPS * T
  assert np.all(a // T == b // T) and np.all(c // T == d // T)
  assert np.all(a % T == c % T) and np.all(b % T == d % T)
  assert np.all(a // T != c // T) and np.all(a % T != b % T)


def test_synthetic_sentences_are_as_described():
  found = corpus.analogies(2, 60_000)
  assert len(found.vocabulary.words) == 939
  sentences = found.codes.reshape(-1, 12)
  kinds = np.digitize(sentences, [160, 280, 304])
  want = np.array([3, 4, 3, 2])
  got = np.stack([np.sum(kinds == k, 1) for k in range(4)], 1)
  assert np.all(got == want)
  for line, kind in zip(sentences[:200], kinds[:200], strict=True):
    (entity,) = set(line[kind == 0])
    assert set((line[kind == 1] - 160) // 3) == {entity // 4}
    assert set((line[kind == 2] - 280) // 6) == {entity % 4}
  # Entities are uniform: 5000 sentences, 31 each, 6 standard deviations.
  per = np.bincount(sentences[kinds == 0], minlength=160) / 3
  assert np.all(np.abs(per - 31.25) < 6 * 31.25**0.5)


def test_a_seed_is_a_corpus():
  one, again, other = (corpus.analogies(s, 1000, 10) for s in (0, 0, 1))
  assert np.array_equal(one.codes, again.codes)
  assert not np.array_equal(one.codes, other.codes)


@pytest.mark.parametrize(
  'call, line',
  [
    (lambda: corpus.check_length(np.zeros(16), 8), 'has 16 words of the voc'),
    (lambda: corpus.vocabulary('a b', 0), 'min_count is 0, expected'),
    (lambda: corpus.vocabulary('a b', 5), '0 words occur at least 5 times'),
    (lambda: corpus.kept(np.ones(2), -1.0), 'threshold is -1.0, expected'),
    (lambda: corpus.alias(np.ones(2)), 'p sums to 2.0, expected'),
    (lambda: corpus.analogies(words=0), 'words is 0, expected'),
    (lambda: corpus.analogies(ask=20_000), 'ask is 20000, expected 1 to 18720'),
    (
      lambda: corpus.questions('a b c', corpus.vocabulary('a b', 1)),
      "line 1 of the questions is 'a b c', expected four words",
    ),
    (
      lambda: corpus.questions('x a b c', corpus.vocabulary('a b', 1)),
      'none of 1 questions has all',
    ),
  ],
)
def test_bad_input_is_one_line(call, line):
  with pytest.raises(ValueError, match=line) as caught:
    call()
  assert len(str(caught.value).splitlines()) == 1


def test_missing_files_are_one_line(tmp_path):
  with pytest.raises(store.DataError, match=r'no questions-words\.txt in'):
    corpus.load(['wiki-0'], tmp_path)
  with pytest.raises(store.DataError, match='corpus text8: expected one of'):
    corpus.load(['text8'], tmp_path)


def test_real_text_has_its_questions():
  if not store.there(corpus.text_lib.CORPORA['factbook']):
    pytest.skip(f'no text in {store.folder()}')
  found = corpus.load(['factbook'], min_count=5, limit=2000)
  assert len(found.vocabulary.words) == 2000
  assert np.all(np.diff(found.vocabulary.counts) <= 0)
  counts = np.bincount(found.codes)
  assert np.array_equal(counts, found.vocabulary.counts)
  total = len(found.questions.rows) + found.questions.dropped
  assert total == 19_544
