import json
import os
import pathlib
import subprocess
import sys

import pytest
from etils import epath

from framework.run import workdir as lib
from framework.run.workdir import Workdir, WorkdirError

IDENTITY = {'experiment': 'toy', 'hash': 'abc', 'config': {'eta': 0.1}}
OTHER = {'experiment': 'toy', 'hash': 'xyz', 'config': {'eta': 0.2}}


def differences(old, new):
  return [f'eta: {old["eta"]} -> {new["eta"]}']


def claim(path, identity=IDENTITY, resume='auto'):
  place = Workdir(path)
  try:
    return place.claim(identity, resume, differences)
  finally:
    place.unlock()


def test_a_new_directory(tmp_path):
  where = tmp_path / 'a' / 'b'
  assert claim(where) is False
  assert json.loads((where / 'config.json').read_text()) == IDENTITY
  assert Workdir(where).stored() == IDENTITY


def test_naming_a_directory_touches_nothing(tmp_path):
  assert Workdir(tmp_path / 'a').stored() is None
  assert Workdir(tmp_path / 'a').read('run.json') == {}
  assert not (tmp_path / 'a').exists()


def test_the_same_run_goes_on(tmp_path):
  claim(tmp_path / 'run')
  assert claim(tmp_path / 'run') is True
  assert claim(tmp_path / 'run', resume='must') is True


def test_another_run_is_refused_with_the_difference(tmp_path):
  claim(tmp_path / 'run')
  with pytest.raises(WorkdirError, match=r'another config \(eta: 0.1 -> 0.2\)'):
    claim(tmp_path / 'run', OTHER)
  assert Workdir(tmp_path / 'run').stored() == IDENTITY


def test_must_wants_a_run(tmp_path):
  with pytest.raises(WorkdirError, match='--resume=must, but there is no run'):
    claim(tmp_path / 'run', resume='must')
  assert not (tmp_path / 'run').exists()


def test_never_moves_the_old_run_aside(tmp_path):
  where = tmp_path / 'run'
  for identity in (IDENTITY, OTHER, IDENTITY):
    assert claim(where, identity, resume='never') is False
  names = {p.name for p in tmp_path.iterdir()}
  assert names == {'run', 'run.old-1', 'run.old-2'}
  assert Workdir(tmp_path / 'run.old-2').stored() == OTHER
  assert Workdir(where).stored() == IDENTITY


def test_a_directory_of_something_else_is_refused(tmp_path):
  (tmp_path / 'thesis.tex').write_text('')
  with pytest.raises(
    WorkdirError, match=r'holds thesis.tex but no config.json'
  ):
    claim(tmp_path)
  assert (tmp_path / 'thesis.tex').exists()
  with pytest.raises(WorkdirError, match=r'holds thesis.tex'):
    claim(tmp_path, resume='never')


@pytest.mark.parametrize('left', ['.lock', 'log.txt', '.config.json.partial'])
def test_what_a_kill_at_the_start_leaves_is_no_hindrance(tmp_path, left):
  (tmp_path / left).write_text('{')
  assert claim(tmp_path) is False
  assert Workdir(tmp_path).stored() == IDENTITY


def test_a_file_is_refused(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(WorkdirError, match='file is not a directory'):
    claim(tmp_path / 'file')


def test_a_place_that_cannot_be_made_is_refused(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(WorkdirError, match=r'cannot write in .*Not a directory'):
    claim(tmp_path / 'file' / 'run')


@pytest.mark.parametrize(
  'text', ['{"hash": "abc"', '[]', '{"hash": "abc"}', '3']
)
def test_a_damaged_config_is_said(tmp_path, text):
  (tmp_path / 'config.json').write_text(text)
  with pytest.raises(WorkdirError, match=r'config.json is damaged'):
    claim(tmp_path)


HOLD = """
import sys
from framework.run.workdir import Workdir
place = Workdir(sys.argv[1])
place.lock()
print('held', flush=True)
sys.stdin.read()
"""


def test_only_one_process_writes(tmp_path):
  claim(tmp_path)
  holder = subprocess.Popen(
    [sys.executable, '-c', HOLD, str(tmp_path)],
    cwd=pathlib.Path(lib.__file__).parents[2],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  try:
    assert holder.stdout.readline() == 'held\n'
    with pytest.raises(
      WorkdirError, match=f'is in use by process {holder.pid} on '
    ):
      claim(tmp_path)
    # However it ends, its hold ends with it.
    holder.kill()
    holder.wait()
    assert claim(tmp_path) is True
  finally:
    holder.kill()
    holder.communicate()


def test_a_lock_names_its_last_owner_alone(tmp_path):
  (tmp_path / '.lock').write_text('process 123456789 on a-very-long-host-name')
  place = Workdir(tmp_path)
  place.lock()
  place.lock()  # once is enough
  text = (tmp_path / '.lock').read_text()
  assert text.startswith(f'process {os.getpid()} on ')
  assert '123456789' not in text
  with pytest.raises(WorkdirError, match=f'in use by process {os.getpid()}'):
    Workdir(tmp_path).lock()
  place.unlock()
  place.unlock()


def test_files_are_whole_or_not_there(tmp_path, monkeypatch):
  place = Workdir(tmp_path)
  place.write('run.json', {'status': 'running'})

  class Disk(Exception):
    pass

  kind = type(epath.Path(tmp_path))
  write = kind.write_bytes

  touched = []

  def half(self, content):
    touched.append(self.name)
    write(self, content[: len(content) // 2])
    raise Disk

  with monkeypatch.context() as patch:
    patch.setattr(kind, 'write_bytes', half)
    with pytest.raises(Disk):
      place.write('run.json', {'status': 'done'})
  assert place.read('run.json') == {'status': 'running'}
  assert len(touched) == 1 and touched != ['run.json']
  with monkeypatch.context() as patch:
    patch.setattr(
      kind,
      'write_bytes',
      lambda self, content: (touched.append(self.name), write(self, content)),
    )
    place.write('run.json', {'status': 'done'})
  assert place.read('run.json') == {'status': 'done'}
  assert 'run.json' not in touched
  assert [p.name for p in tmp_path.iterdir()] == ['run.json']


def test_json_is_for_reading(tmp_path):
  Workdir(tmp_path).write('a/b.json', {'b': 1, 'a': [2]})
  text = (tmp_path / 'a' / 'b.json').read_text()
  assert text == '{\n  "a": [\n    2\n  ],\n  "b": 1\n}\n'
  Workdir(tmp_path).write('c.txt', 'as it is')
  assert (tmp_path / 'c.txt').read_text() == 'as it is'


RBG = {'prng': 'rbg', 'devices': 4, 'jaxlib': '0.10.2'}


def claim_in(path, environment, **more):
  place = Workdir(path)
  try:
    return place.claim(IDENTITY, 'auto', differences, environment, **more)
  finally:
    place.unlock()


def test_the_environment_is_part_of_a_run(tmp_path, caplog):
  where = tmp_path / 'run'
  assert claim_in(where, RBG) is False
  assert Workdir(where).stored() == {**IDENTITY, 'environment': RBG}
  assert claim_in(where, RBG) is True
  # A tuple is a list in JSON; what is new is not compared.
  assert claim_in(where, {**RBG, 'new': (1,)}) is True
  assert claim(where) is True
  assert not caplog.text
  with pytest.raises(
    WorkdirError, match=r'\(jax_default_prng_impl rbg -> threefry2x32\)'
  ) as error:
    claim_in(where, {**RBG, 'prng': 'threefry2x32', 'devices': 1})
  assert '\n' not in str(error.value)
  assert Workdir(where).stored() == {**IDENTITY, 'environment': RBG}


def test_other_devices_are_said_and_go_on(tmp_path, caplog):
  claim_in(tmp_path / 'run', RBG)
  assert claim_in(tmp_path / 'run', {**RBG, 'devices': 2, 'jaxlib': '1.0'})
  (line,) = caplog.messages
  assert '(devices 4 -> 2; jaxlib 0.10.2 -> 1.0)' in line and '\n' not in line


def test_another_config_is_said_before_another_environment(tmp_path):
  claim_in(tmp_path / 'run', RBG)
  with pytest.raises(WorkdirError, match=r'another config \(eta: 0.1 -> 0.2\)'):
    Workdir(tmp_path / 'run').claim(
      OTHER, 'auto', differences, {**RBG, 'prng': 'threefry2x32'}
    )


def test_a_run_begun_without_an_environment_goes_on(tmp_path, caplog):
  claim(tmp_path / 'run')
  assert claim_in(tmp_path / 'run', RBG) is True
  assert not caplog.text
  assert Workdir(tmp_path / 'run').stored() == IDENTITY


LEAVE = """
import sys
from framework.run.workdir import Workdir
place = Workdir(sys.argv[1])
place.lock()
other = Workdir(sys.argv[2])
other.lock()
del other
Workdir(sys.argv[2]).lock()
"""


def test_a_lock_that_nobody_gave_back_is_no_warning(tmp_path):
  """It ends with its owner, or with the process."""
  places = [tmp_path / 'a', tmp_path / 'b']
  for place in places:
    place.mkdir()
  done = subprocess.run(
    [sys.executable, '-W', 'error', '-c', LEAVE, *map(str, places)],
    cwd=pathlib.Path(lib.__file__).parents[2],
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0 and not done.stderr, done.stderr
  for place in places:
    Workdir(place).lock()
