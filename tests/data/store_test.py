import hashlib
import io
import pathlib
import urllib.error
import urllib.request

import pytest

from framework.data import store

CONTENT = b'some bytes'
FILE = store.File('toy/toy.npz', (hashlib.sha256(CONTENT).hexdigest(),))


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
  def refuse(url, timeout):
    raise urllib.error.URLError('no network in tests')

  monkeypatch.setattr(urllib.request, 'urlopen', refuse)
  monkeypatch.delenv(store.VARIABLE, raising=False)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


def put(path: pathlib.Path, content: bytes = CONTENT) -> pathlib.Path:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(content)
  return path


def test_the_argument_goes_before_the_variable_and_that_before_the_cache(
  monkeypatch, tmp_path
):
  cache = tmp_path / 'cache' / 'training-dynamics' / 'data'
  put(cache / 'toy/toy.npz')
  assert store.locate(FILE) == cache / 'toy/toy.npz'
  put(tmp_path / 'variable/toy/toy.npz')
  monkeypatch.setenv(store.VARIABLE, str(tmp_path / 'variable'))
  assert store.locate(FILE) == tmp_path / 'variable/toy/toy.npz'
  put(tmp_path / 'argument/toy/toy.npz')
  found = store.locate(FILE, tmp_path / 'argument')
  assert found == tmp_path / 'argument/toy/toy.npz'


def test_the_folder_of_the_file_itself_will_do(tmp_path):
  path = put(tmp_path / 'toy.npz')
  assert store.there(FILE, tmp_path)
  assert store.locate(FILE, tmp_path) == path


def test_another_content_is_refused(tmp_path):
  put(tmp_path / 'toy.npz', b'other')
  with pytest.raises(store.DataError, match='SHA-256') as caught:
    store.locate(FILE, tmp_path)
  assert len(str(caught.value).splitlines()) == 1


def test_a_missing_file_is_one_line_that_names_the_place(tmp_path):
  with pytest.raises(store.DataError) as caught:
    store.locate(FILE._replace(url='https://example.org/toy'), tmp_path)
  text = str(caught.value)
  assert str(tmp_path) in text and '--data_dir' in text
  assert len(text.splitlines()) == 1
  assert 'example.org' not in text, 'a folder that was named is left alone'


def test_it_is_downloaded_into_the_cache_and_checked(monkeypatch, tmp_path):
  file = FILE._replace(url='https://example.org/toy.npz')
  with pytest.raises(store.DataError, match='no network in tests'):
    store.locate(file)

  class Answer(io.BytesIO):
    pass

  monkeypatch.setattr(
    urllib.request, 'urlopen', lambda url, timeout: Answer(CONTENT)
  )
  path = store.locate(file)
  assert path.read_bytes() == CONTENT and tmp_path in path.parents
  assert list(path.parent.iterdir()) == [path]
  path.unlink()
  monkeypatch.setattr(
    urllib.request, 'urlopen', lambda url, timeout: Answer(b'tampered')
  )
  with pytest.raises(store.DataError, match='SHA-256'):
    store.locate(file)
