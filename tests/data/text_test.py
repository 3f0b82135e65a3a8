import hashlib
import lzma

import numpy as np
import pytest

from framework.data import store, text


@pytest.fixture(scope='module')
def dense():
  if not store.there(text.CORPORA['wiki-dense']):
    pytest.skip(f'no text in {store.folder()}')
  return text.raw('wiki-dense', limit=20_000)


def test_a_corpus_is_letters_spaces_and_lines(dense):
  assert len(dense) == 20_000
  assert set(dense) <= set(text.ALPHABET + '\n') and '  ' not in dense


def test_characters_are_the_text(dense):
  codes = text.characters('wiki-dense', train=9_000, test=1_000)
  assert codes.train.dtype == np.uint8
  both = text.decode(np.concatenate(codes))
  assert both == dense[:10_000].replace('\n', ' ')


def _corpus(tmp_path, monkeypatch, content):
  path = tmp_path / 'text' / 'wiki-0.txt.xz'
  path.parent.mkdir(exist_ok=True)
  path.write_bytes(lzma.compress(content.encode()))
  sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
  file = store.File('text/wiki-0.txt.xz', (sha256,))
  monkeypatch.setitem(text.CORPORA, 'wiki-0', file)
  monkeypatch.setitem(text.FILES, 'wiki-0', file)
  return path


def test_training_characters_come_first(tmp_path, monkeypatch):
  _corpus(tmp_path, monkeypatch, 'ab c\nzz')
  codes = text.characters('wiki-0', tmp_path, train=4, test=3)
  assert codes.train.tolist() == [1, 2, 0, 3]
  assert codes.test.tolist() == [0, 26, 26]
  assert text.raw('wiki-0', tmp_path) == 'ab c\nzz'
  twice = text.characters(('wiki-0', 'wiki-0'), tmp_path, train=7, test=7)
  assert twice.train.tolist() == twice.test.tolist()


@pytest.mark.parametrize(
  'call, line',
  [
    (lambda root: text.raw('enwik8', root), 'corpus enwik8: expected one of'),
    (lambda root: text.raw('wiki-1', root), 'no wiki-1.txt.xz in'),
    (
      lambda root: text.characters('wiki-0', root, train=5, test=3),
      r'wiki-0: 7 characters, expected at least 5 \+ 3',
    ),
    (
      lambda root: text.characters('wiki-0', root, train=0),
      '0 training and 100000 test characters',
    ),
    (lambda root: text.raw('wiki-0', root, limit=0), 'limit is 0'),
  ],
)
def test_what_is_not_there_is_one_line(call, line, tmp_path, monkeypatch):
  _corpus(tmp_path, monkeypatch, 'ab c\nzz')
  with pytest.raises(store.DataError, match=line) as caught:
    call(tmp_path)
  assert len(str(caught.value).splitlines()) == 1


def test_another_content_is_refused(tmp_path, monkeypatch):
  path = _corpus(tmp_path, monkeypatch, 'ab c\nzz')
  path.write_bytes(lzma.compress(b'other'))
  with pytest.raises(store.DataError, match='SHA-256'):
    text.raw('wiki-0', tmp_path)
