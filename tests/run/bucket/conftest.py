import pytest

from tests.run.bucket import emulator


@pytest.fixture(scope='module')
def storage():
  """A bucket of Cloud Storage, gs://bucket, and what is asked of it."""
  with emulator.running() as running, pytest.MonkeyPatch.context() as patch:
    for name, value in running.environment.items():
      patch.setenv(name, value)
    yield running


@pytest.fixture
def where(storage, request):
  """A path that no other test has."""
  storage.refuses = storage.hides = False
  return f'gs://{emulator.NAME}/{request.node.name}'
