"""The same promises on another kind of bucket: S3, by moto's server."""

import socket
import threading

import numpy as np
import pytest

from framework.run import bucket, results
from framework.run.checkpoint import Checkpoints
from tests.run import jobs
from tests.run.bucket import command_test
from tests.run.bucket.command_test import undisturbed
from tests.run.bucket.saved_test import flipped

__all__ = ['undisturbed']  # a fixture

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def environment():
  pytest.importorskip('s3fs', reason='the extra s3 is not installed')
  server = pytest.importorskip('moto.server', reason='moto is not installed')
  with socket.socket() as s:
    s.bind(('127.0.0.1', 0))
    port = s.getsockname()[1]
  running = server.ThreadedMotoServer(port=port, verbose=False)
  running.start()
  found = {
    'AWS_ENDPOINT_URL': f'http://127.0.0.1:{port}',
    'AWS_ACCESS_KEY_ID': 'anyone',
    'AWS_SECRET_ACCESS_KEY': 'nothing',
    'AWS_DEFAULT_REGION': 'us-east-1',
  }
  with pytest.MonkeyPatch.context() as patch:
    for name, value in found.items():
      patch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem().mkdir('bucket')
    yield found
  running.stop()


@pytest.fixture
def where(environment, request):
  return f's3://bucket/{request.node.name}'


def test_killed_started_twice_and_resumed(environment, where, undisturbed):
  command_test.survives(environment, where, undisturbed)


def test_one_of_many_takes_the_lock(where):
  taken = []

  def take():
    one = bucket.Lease(where)
    try:
      one.take()
      taken.append(one)
    except bucket.Held:
      pass

  threads = [threading.Thread(target=take) for _ in range(6)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert len(taken) == 1
  taken[0].release()


def test_damaged_objects_are_found(where, caplog):
  jobs.go(jobs.small_job(), where, batching='map', checkpoint_every_secs=0)
  path = next(p for p in bucket.files(where) if '/loss/c/' in p)
  bucket.write(f'{where}/{path}', flipped(bucket.read(f'{where}/{path}')))
  with pytest.raises(results.DamagedRecords, match=r'records.zarr/loss cannot'):
    results.open(where)
  saved = Checkpoints(f'{where}/saved')
  for step in (1, 2):
    saved.save(step, {'x': np.full(3, step)}, {})
  saved.close()
  newest = f'{where}/saved/2'
  bucket.write(newest, flipped(bucket.read(newest)))
  found = Checkpoints(f'{where}/saved').restore(
    lambda _: {'x': np.zeros(3, int)}
  )
  assert found.step == 1 and 'checkpoint 2 is damaged' in caplog.text
  bucket.move(where, f'{where}.old', last=['saved/1'])
  assert bucket.files(where) == [] and bucket.files(f'{where}.old/saved') == [
    '1'
  ]
  with (
    pytest.raises(bucket.BucketError, match='not found'),
    bucket.told('s3://not-there/run'),
  ):
    bucket.write('s3://not-there/run/a', b'1')
