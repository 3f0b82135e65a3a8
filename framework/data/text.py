"""English text, and questions on word analogies.

`text/NAME.txt.xz`: one document a line, letters a-z and single spaces only
(lower case, accents dropped, digits spelled out), the form of text8.

| corpus | words | what |
|---|---|---|
| wiki-0 ... wiki-3 | 4.28 M each | Wikipedia articles of 5,000+ characters |
| wiki-dense | 4.34 M | others, chosen for the words of the questions |
| factbook | 1.34 M | The World Factbook, a country a line |
| classics | 2.44 M | 12 books in English, 1836-1876, a book a line |

Wikipedia's text is under CC BY-SA 3.0, the rest is in the public domain. These
files are made for this project and have no public address; the questions are
downloaded where they are missing.
"""

import lzma
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from framework.data import store

__all__ = [
  'ALPHABET',
  'CORPORA',
  'FILES',
  'QUESTIONS',
  'Characters',
  'characters',
  'decode',
  'encode',
  'raw',
]

ALPHABET = ' abcdefghijklmnopqrstuvwxyz'

CORPORA = {
  name: store.File(f'text/{name}.txt.xz', (sha256,))
  for name, sha256 in {
    'wiki-0': (
      '1577067f453a461e65ec69f9e993405cd1a7d1d77cdcb71054b2a73b147dc3b8'
    ),
    'wiki-1': (
      'ad543ebee3a3bc1682ebf7f65ffa89527e190b5bb081490685d2070d9cc0b06d'
    ),
    'wiki-2': (
      '670537781d47e0fb4f769c008545f3fd902c657b53b4a78853ec56753a3e8576'
    ),
    'wiki-3': (
      '4db4b2187b99413935e1ea7a5c27b705a4b27e9d4711aca98d28c9d7bba28c65'
    ),
    'wiki-dense': (
      'eadb7b0caad6aff981d9b3bb1d52f52aefb2eb4a1c05f105a63367974d92871c'
    ),
    'factbook': (
      '380aefc00ce29cd0b36740f4a7ecab14d9ec215fdc5233ee4200b01680084cf1'
    ),
    'classics': (
      '1fa28243e89dceb8b9783e99682e813a7cb89cf3bb89d28a6d5ec200031fef35'
    ),
  }.items()
}

QUESTIONS = {
  'questions-words': store.File(
    'text/questions-words.txt',
    ('8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36',),
    'https://raw.githubusercontent.com/tmikolov/word2vec/master/'
    'questions-words.txt',
  ),
  'questions-phrases': store.File(
    'text/questions-phrases.txt',
    ('55cfc0894d0fe6cf974d106da3e09b5fb2fa6125b6ddc633d06e298dc5aa7901',),
    'https://raw.githubusercontent.com/tmikolov/word2vec/master/'
    'questions-phrases.txt',
  ),
}

FILES = CORPORA | QUESTIONS

_CODES = np.zeros(256, np.uint8)  # whatever is no letter is a space
_CODES[[ord(c) for c in ALPHABET]] = np.arange(len(ALPHABET))
_LETTERS = np.frombuffer(ALPHABET.encode(), np.uint8)


class Characters(NamedTuple):
  """Codes of characters, places in `ALPHABET`, in their order."""

  train: UInt8[np.ndarray, ' train']
  test: UInt8[np.ndarray, ' test']


def raw(
  name: str,
  root: str | os.PathLike | None = None,
  *,
  limit: int | None = None,
) -> str:
  """The text of a corpus, or a list of questions, as it is on disk.

  Args:
    name: A key of `FILES`.
    root: Folder of the data, as in `store.folder`.
    limit: Characters to read, from the first; all of them when None.

  Returns:
    One document a line; lists of questions have a heading `: name` a section.

  Raises:
    DataError: In one line, if there is no such corpus or its file is not there
      or has another content.

  >>> raw('text8')
  Traceback (most recent call last):
  framework.data.store.DataError: corpus text8: expected one of wiki-0, wiki-1,
  wiki-2, wiki-3, wiki-dense, factbook, classics, questions-words,
  questions-phrases
  """
  if name not in FILES:
    raise store.DataError(f'corpus {name}: expected one of {", ".join(FILES)}')
  if limit is not None and limit < 1:
    raise store.DataError(f'limit is {limit}, expected at least 1 character')
  path = store.locate(FILES[name], root)
  size = -1 if limit is None else limit
  if path.suffix == '.xz':
    with lzma.open(path, 'rt', encoding='ascii') as stream:
      return stream.read(size)
  with path.open(encoding='utf-8') as stream:
    return stream.read(size)


def encode(text: str) -> UInt8[np.ndarray, ' length']:
  """Codes of the characters of a text; ends of documents become spaces.

  >>> encode('a cab').tolist()
  [1, 0, 3, 1, 2]
  """
  return _CODES[np.frombuffer(text.encode('ascii', 'replace'), np.uint8)]


def decode(codes: UInt8[np.ndarray, ' length']) -> str:
  """The text of codes.

  >>> decode(encode('a cab'))
  'a cab'
  """
  return _LETTERS[np.asarray(codes)].tobytes().decode('ascii')


def characters(
  names: str | Sequence[str],
  root: str | os.PathLike | None = None,
  *,
  train: int = 1_000_000,
  test: int = 100_000,
) -> Characters:
  """The characters of a corpus: the first to train on, those after to test.

  Args:
    names: A corpus, or several, one after the other.
    root: Folder of the data, as in `store.folder`.
    train: Characters to train on.
    test: Characters to test on, the next ones.

  Returns:
    Codes below 27; wiki-0 has 25 million of them.

  Raises:
    DataError: If a corpus is not there, or all have fewer characters.
  """
  if train < 1 or test < 1:
    raise store.DataError(
      f'{train} training and {test} test characters, expected at least 1 each'
    )
  names = [names] if isinstance(names, str) else list(names)
  parts, need = [], train + test
  for name in names:
    if need <= 0:
      break
    parts.append(encode(raw(name, root, limit=need)))
    need -= len(parts[-1])
  codes = np.concatenate(parts) if parts else np.zeros(0, np.uint8)
  if len(codes) < train + test:
    raise store.DataError(
      f'{", ".join(names)}: {len(codes)} characters, expected at least '
      f'{train} + {test}'
    )
  return Characters(codes[:train], codes[train : train + test])
