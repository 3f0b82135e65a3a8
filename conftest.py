"""Every test: CPU, eight simulated devices, float64 available, strict.

Nearly all the time of a suite of small programs is compilation, so here it is
done without most optimisations, which takes a fifth of it. The processes that
tests start compile as a user's do, into a cache of their own; so does the suite
itself with `TEST_COMPILER=default` in the environment.
"""

import atexit
import os
import pathlib
import platform
import shutil
import tempfile
import time
import zlib

# One thread a device: pools that compete for two cores only slow tests down.
os.environ.setdefault('NPROC', '1')
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
os.environ.setdefault('JAX_PLATFORMS', 'cpu')

import jax
import pytest

from framework.launch.devices import xla_flags

_BEGAN = time.monotonic()

jax.config.update('jax_num_cpu_devices', 8)
jax.config.update('jax_enable_x64', True)
jax.config.update('jax_numpy_rank_promotion', 'raise')


def _compile_quickly() -> None:
  """Sets flags that XLA reads once, and children do not see."""
  flags = [
    '--xla_cpu_use_fusion_emitters=false',
    '--xla_cpu_parallel_codegen_split_count=1',
  ]
  if platform.machine() == 'x86_64':
    # No fused multiply-add, whose places depend on what is compiled together:
    # with the other flags two programs would differ in the last bit.
    flags.append('--xla_cpu_max_isa=AVX')
  given = os.environ.get('XLA_FLAGS')
  os.environ['XLA_FLAGS'] = xla_flags.with_flags(given, flags)
  jax.config.update('jax_disable_most_optimizations', True)
  jax.devices()
  if given is None:
    del os.environ['XLA_FLAGS']
  else:
    os.environ['XLA_FLAGS'] = given


if os.environ.get('TEST_COMPILER') != 'default':
  _compile_quickly()

# What children compile is shared by the workers of one run, and by nobody else.
if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
  _cache = tempfile.mkdtemp(prefix='training-dynamics-tests-')
  os.environ['JAX_COMPILATION_CACHE_DIR'] = _cache
  atexit.register(shutil.rmtree, _cache, ignore_errors=True)


_SLOW = pathlib.Path(__file__).parent / 'tests/slow.txt'


def pytest_addoption(parser):
  """`--part=K`: a tenth of the tests that would be run, for ten minutes."""
  parser.addoption('--part', type=int, default=None)


@pytest.hookimpl(tryfirst=True)  # marks come before `-m` chooses by them
def pytest_collection_modifyitems(config, items):
  """Marks the slow ones, and leaves out nine tenths of all where asked to.

  `tests/slow.txt` names those that take more than 1.5 s, mostly of compiling:
  where the suite has a cheaper test of the same code, and examples of
  docstrings. The one of `docs/extending.md` CI runs with every commit.
  """
  slow = set(_SLOW.read_text().splitlines())
  for item in items:
    if item.nodeid in slow:
      item.add_marker(pytest.mark.slow)
  part = config.getoption('--part')
  if part is None:
    return
  kept = [i for i in items if zlib.crc32(i.nodeid.encode()) % 10 == part]
  config.hook.pytest_deselected(items=[i for i in items if i not in kept])
  items[:] = kept


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
  """A file of tests is for one worker: what it compiles, it compiles once."""
  from xdist.scheduler import LoadFileScheduling

  return LoadFileScheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item):
  """The launcher sets the precision of its process: not that of the suite."""
  if not jax.config.values['jax_enable_x64']:
    jax.config.update('jax_enable_x64', True)
    pytest.fail('double precision was left off for the tests that follow')


def pytest_runtest_setup(item):
  """Begins no test of a part after ten minutes."""
  spent = time.monotonic() - _BEGAN
  if item.config.getoption('--part') is not None and spent > 600:
    pytest.skip('the ten minutes of this part are over')
