import pathlib
import signal
import subprocess
import sys

import pytest

from framework.run import signals
from framework.run.signals import StopRequest

WAIT = """
import time
from framework.run.signals import StopRequest
with StopRequest() as stop:
  print('ready', stop(), flush=True)
  while not stop():
    time.sleep(0.01)
  print('asked', flush=True)
  time.sleep(60)
"""
# One operation of minutes: no handler of Python runs before it ends.
LONG = """
import hashlib
from framework.run.signals import StopRequest
with StopRequest() as stop:
  print('ready', stop(), flush=True)
  hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)
"""


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_the_first_asks_and_the_second_exits(number):
  process = subprocess.Popen(
    [sys.executable, '-c', WAIT],
    cwd=pathlib.Path(signals.__file__).parents[2],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  try:
    assert process.stdout.readline() == 'ready False\n'
    process.send_signal(number)
    assert process.stdout.readline() == 'asked\n'
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(10) == 128 + number
    said = process.stderr.read()
    assert f'{number.name}: finishing this chunk, about a second' in said
    assert 'Traceback' not in said
  finally:
    process.kill()
    process.communicate()


def test_one_long_operation_holds_up_no_answer():
  process = subprocess.Popen(
    [sys.executable, '-c', LONG],
    cwd=pathlib.Path(signals.__file__).parents[2],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  try:
    assert process.stdout.readline() == 'ready False\n'
    process.send_signal(signal.SIGTERM)
    assert process.stderr.readline() == '\n'
    assert 'unless one operation takes longer' in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 128 + signal.SIGTERM
  finally:
    process.kill()
    process.communicate()


def test_nothing_is_asked_at_first():
  assert StopRequest()() is False
