import pytest

from framework.run import bucket
from framework.run.bucket import objects
from tests.run.bucket import emulator


def test_a_local_path_is_left_alone(tmp_path):
  assert bucket.place(tmp_path) == tmp_path
  assert not bucket.remote(tmp_path)


def test_another_kind_of_storage_is_refused():
  with pytest.raises(
    bucket.BucketError, match=r'^az:// is not supported: expected gs://, s3://'
  ):
    bucket.place('az://container/run')


@pytest.fixture
def fresh():
  objects._prepare.cache_clear()
  yield
  objects._prepare.cache_clear()


@pytest.mark.parametrize(
  ('path', 'wanted'),
  [('gs://b/run', r'gcsfs.*\[gcs\]'), ('s3://b/run', r's3fs.*\[s3\]')],
)
def test_a_client_that_is_not_installed_is_named(
  monkeypatch, fresh, path, wanted
):
  monkeypatch.setattr(objects, '_installed', lambda package: False)
  with pytest.raises(bucket.BucketError, match=wanted) as error:
    bucket.place(path)
  assert '\n' not in str(error.value)


def test_objects_are_written_read_and_listed(where, storage):
  assert bucket.files(where) == [] and bucket.read(f'{where}/a') is None
  before = len(storage.requests)
  bucket.write(f'{where}/a', b'one\r')
  bucket.write(f'{where}/b/c.txt', b'two')
  assert len(storage.requests) == before + 2
  assert bucket.read(f'{where}/a') == b'one\r'
  assert bucket.files(where) == ['a', 'b/c.txt']
  # What another client writes after a listing is found by the next one.
  storage.put(f'{where}/b/d', b'three')
  assert bucket.files(where) == ['a', 'b/c.txt', 'b/d']
  assert (bucket.place(where) / 'b/d').exists()
  assert [p.name for p in bucket.place(f'{where}/b').iterdir()] == [
    'c.txt',
    'd',
  ]


def test_everything_is_moved_but_the_lock(where, storage):
  for name in ('config.json', 'a/[1]', 'a/2*', '.lock-3'):
    bucket.write(f'{where}/{name}', name.encode())
  before = len(storage.requests)
  bucket.move(where, f'{where}.old', last=['config.json'], stay='.lock-')
  assert bucket.files(where) == ['.lock-3']
  assert bucket.files(f'{where}.old') == ['a/2*', 'a/[1]', 'config.json']
  assert bucket.read(f'{where}.old/a/2*') == b'a/2*'
  gone = [r for r in storage.requests[before:] if r.startswith('DELETE')]
  assert len(gone) == 3 and gone[-1].endswith('/config.json')
  bucket.remove(f'{where}.old')
  assert bucket.files(f'{where}.old') == []


def test_a_folder_is_copied_into_a_bucket(where, tmp_path):
  (tmp_path / 'a').mkdir()
  (tmp_path / 'a' / 'b').write_bytes(b'1')
  (tmp_path / 'c').write_bytes(b'2')
  bucket.upload(tmp_path, where)
  assert bucket.files(where) == ['a/b', 'c']


def test_errors_of_clients_are_one_line(where, storage, tmp_path):
  storage.refuses = True
  with (
    pytest.raises(bucket.BucketError, match='Forbidden') as error,
    bucket.told(where),
  ):
    bucket.write(f'{where}/a', b'1')
  assert '\n' not in str(error.value) and str(error.value).startswith(where)
  storage.refuses = False
  with (
    pytest.raises(bucket.BucketError, match='not found'),
    bucket.told('gs://no-such-bucket/run'),
  ):
    bucket.write('gs://no-such-bucket/run/a', b'1')
  # What is not of a client, or not about a bucket, is left as it is.
  for path, kind in ((where, ZeroDivisionError), (tmp_path, FileNotFoundError)):
    with pytest.raises(kind), bucket.told(path):
      raise kind


def test_the_emulator_keeps_what_it_is_given(storage):
  """Its own faults are mended (see `emulator`)."""
  import fsspec

  fs = fsspec.filesystem('gcs')
  for content in (b'ab\r', b'ab\n', b'ab\r\n', b'\n--==0==\n', b'\r'):
    fs.pipe_file(f'{emulator.NAME}/x', content)
    assert fs.cat_file(f'{emulator.NAME}/x') == content
  fs.pipe_file(f'{emulator.NAME}/y', b'1', mode='create')
  with pytest.raises(FileExistsError):
    fs.pipe_file(f'{emulator.NAME}/y', b'2', mode='create')
  assert fs.cat_file(f'{emulator.NAME}/x', start=0, end=1) == b'\r'
