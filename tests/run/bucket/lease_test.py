import json
import os
import subprocess
import sys
import threading
import time

import pytest

from framework.run import bucket
from framework.run.bucket import lease
from framework.run.workdir import Workdir, WorkdirError
from tests.run.workdir_test import IDENTITY, OTHER, differences


@pytest.fixture(autouse=True)
def quick(monkeypatch):
  monkeypatch.setattr(lease, 'HOLD', 0.6)
  monkeypatch.setattr(lease, 'RENEW', 0.1)


def locks(where) -> list[str]:
  return [n for n in bucket.files(where) if n.startswith(bucket.PREFIX)]


def held(where, number=1) -> dict:
  return json.loads(bucket.read(f'{where}/.lock-{number}'))


def leave(where, number=1, **facts) -> None:
  """A lock as another process has left it."""
  facts = {'name': 'process 7 on far', 'pid': 7, 'host': 'far', **facts}
  bucket.write(f'{where}/.lock-{number}', json.dumps(facts).encode())


def test_taken_renewed_and_given_back(where):
  one = bucket.Lease(where)
  one.take()
  first = held(where)
  assert first['name'].startswith(f'process {os.getpid()} on ')
  until = time.monotonic() + 60
  while held(where) == first:
    assert time.monotonic() < until
  one.release()
  assert held(where)['released'] and not one.lost_to()
  two = bucket.Lease(where)
  two.take()  # the next number, at once; the old one is removed
  assert locks(where) == ['.lock-2']
  two.release()


def test_a_holder_that_is_alive_is_named(where):
  one = bucket.Lease(where)
  one.take()
  with pytest.raises(bucket.Held, match=f'process {os.getpid()} on '):
    bucket.Lease(where).take()
  one.release()
  assert locks(where) == ['.lock-1']


def test_a_dead_process_of_this_host_is_not_waited_for(where, monkeypatch):
  monkeypatch.setattr(lease, 'HOLD', 1000)
  child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=-1)
  leave(where, pid=child.pid, host=lease._host(), born=lease._born(child.pid))
  with pytest.raises(bucket.Held, match='process 7 on far'):
    bucket.Lease(where).take()
  child.kill()
  until = time.monotonic() + 60
  while lease._born(child.pid):  # a zombie: nobody has asked how it ended
    assert time.monotonic() < until
  one = bucket.Lease(where)
  one.take()
  one.release()
  assert locks(where) == ['.lock-2']
  child.communicate()
  # Its number, given to another process.
  leave(where, number=3, pid=os.getpid(), host=lease._host(), born='1')
  one = bucket.Lease(where)
  one.take()
  one.release()


def test_without_a_host_to_look_at_renewals_are(where, monkeypatch):
  one = bucket.Lease(where)
  one.take()
  monkeypatch.setattr(lease, '_host', lambda: '')
  with pytest.raises(bucket.Held, match=f'process {os.getpid()} on '):
    bucket.Lease(where).take()
  one.release()


@pytest.mark.parametrize('left', [b'{"pid": 1}', b'not JSON', None])
def test_a_silent_holder_elsewhere_is_waited_for(where, caplog, left):
  leave(where)
  if left:
    bucket.write(f'{where}/.lock-1', left)
  one = bucket.Lease(where)
  began = time.monotonic()
  one.take()
  assert time.monotonic() - began > 0.5
  one.release()
  name = 'another process' if left else 'process 7 on far'
  assert f'is held by {name}: waiting up to 0.6 s' in caplog.text
  assert 'has not been heard: going on' in caplog.text


def test_one_of_many_takes_it(where):
  leave(where, released=True)
  taken, refused = [], []

  def take():
    one = bucket.Lease(where)
    try:
      one.take()
      taken.append(one)
    except bucket.Held as error:
      refused.append(str(error))

  threads = [threading.Thread(target=take) for _ in range(6)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert len(taken) == 1 and len(refused) == 5
  taken[0].release()
  assert len(locks(where)) == 1


def test_a_number_that_was_used_and_removed_is_no_lock(where):
  leave(where, released=True)
  late = bucket.Lease(where)
  original = late._outwait

  def slow(number):
    original(number)
    # Meanwhile two others come and go, and a third one is there.
    leave(where, number=3)
    late._fs.rm_file(late._at(1))

  late._outwait = slow
  with pytest.raises(bucket.Held, match='process 7 on far'):
    late.take()
  assert locks(where) == ['.lock-3']


def test_a_lock_that_was_lost_stops_its_run(where):
  """As after a suspended laptop: another one has taken over meanwhile."""
  place = Workdir(where)
  place.lock()
  place.confirm()
  leave(where, number=2)
  until = time.monotonic() + 60
  with pytest.raises(WorkdirError, match='taken over by process 7 on far'):
    while time.monotonic() < until:
      place.confirm()
  with pytest.raises(WorkdirError, match='taken over'):
    place.write('run.json', {})
  place.unlock()
  assert not held(where, 2).get('released')


def test_a_network_that_fails_for_a_while_loses_no_lock(where, storage, caplog):
  one = bucket.Lease(where)
  one.take()
  storage.refuses = True
  until = time.monotonic() + 60
  while 'is not renewed' not in caplog.text:
    assert time.monotonic() < until
    time.sleep(0.02)
  storage.refuses = False
  before = held(where)
  while held(where) == before:
    assert time.monotonic() < until
  assert not one.lost_to()
  one.release()


def claim(path, identity=IDENTITY, resume='auto'):
  place = Workdir(path)
  try:
    return place.claim(identity, resume, differences)
  finally:
    place.unlock()


def test_a_bucket_is_claimed_like_a_directory(where):
  assert claim(where) is False
  assert Workdir(where).stored() == IDENTITY
  assert claim(where) is True
  with pytest.raises(WorkdirError, match=r'another config \(eta: 0.1 -> 0.2\)'):
    claim(where, OTHER)
  with pytest.raises(WorkdirError, match='there is no run'):
    claim(f'{where}.none', resume='must')
  bucket.write(f'{where}.thesis/thesis.tex', b'1')
  with pytest.raises(WorkdirError, match=r'holds thesis\.tex'):
    claim(f'{where}.thesis')
  first = Workdir(where)
  first.lock()
  with pytest.raises(WorkdirError, match=f'in use by process {os.getpid()} on'):
    claim(where)
  first.unlock()


def test_never_moves_an_old_run_aside(where):
  for identity in (IDENTITY, OTHER):
    assert claim(where, identity, resume='never') is False
  assert Workdir(where).stored() == OTHER
  assert Workdir(f'{where}.old-1').stored() == IDENTITY


def test_a_bucket_that_refuses_or_is_not_there_is_one_line(where, storage):
  storage.refuses = True
  for path, reason in (
    (where, 'Forbidden'),
    ('gs://not-there/run', 'not found'),
  ):
    with pytest.raises(WorkdirError, match=f'cannot write in {path}') as error:
      claim(path)
    assert reason in str(error.value) and '\n' not in str(error.value)
