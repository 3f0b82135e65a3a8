"""Where and with what a run is computed: what fixes its bits, what may change.

A seed means other numbers under another generator or precision: a run that goes
on under another one would be neither run. Other devices or versions change the
last bits at most: a run may go on, and it is said.
"""

import functools
import hashlib
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import jax

__all__ = ['changes', 'facts', 'identity']

# What a run cannot go on without, and how it is set.
_EXACT = {
  'prng': 'jax_default_prng_impl',
  'threefry_partitionable': 'jax_threefry_partitionable',
  'seed_offset': 'jax_random_seed_offset',
  'x64': 'jax_enable_x64',
  'matmul_precision': 'jax_default_matmul_precision',
}


def identity() -> dict[str, Any]:
  """All that fixes the bits of a run beside its config, for config.json.

  Returns:
    Generator and precision, versions, devices, compiler flags; JSON-able.

  >>> identity()['prng']
  'threefry2x32'
  """
  devices = jax.devices()
  return {
    **{name: jax.config.values[option] for name, option in _EXACT.items()},
    'jax': _version('jax'),
    'jaxlib': _version('jaxlib'),
    'platform': devices[0].platform,
    'device_kind': devices[0].device_kind,
    'devices': len(devices),
    'processes': jax.process_count(),
    'xla_flags': ' '.join(sorted(os.environ.get('XLA_FLAGS', '').split())),
    'source': _source(),
  }


def changes(
  before: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
  """What differs between two identities.

  Args:
    before: Of a run's beginning; what it does not say is not compared, but an
      unknown source is another one.
    now: Of its continuation.

  Returns:
    (what makes it another run, what changes its last bits), as words.

  >>> changes({'prng': 'rbg', 'devices': 8}, {'prng': 'rbg', 'devices': 2})
  ([], ['devices 8 -> 2'])
  """
  exact, close = [], []
  before = {'source': 'unknown', **before}
  for name, value in now.items():
    if name in before and before[name] != value:
      words = f'{_EXACT.get(name, name)} {before[name]} -> {value}'
      (exact if name in _EXACT else close).append(words)
  return exact, close


def facts(argv: Sequence[str]) -> dict[str, Any]:
  """Where and with what a run is computed, for run.json.

  Args:
    argv: The command line.

  Returns:
    Versions, devices, git state, argv, start time.
  """
  import jax

  packages = (
    'jax',
    'jaxlib',
    'flax',
    'optax',
    'chex',
    'orbax-checkpoint',
    'numpy',
    'training-dynamics',
  )
  devices = jax.devices()
  return {
    'argv': list(argv),
    'started': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()),
    'python': sys.version.split()[0],
    'versions': {p: _version(p) for p in packages},
    'platform': devices[0].platform,
    'device_kind': devices[0].device_kind,
    'devices': len(devices),
    'processes': jax.process_count(),
    'x64': bool(jax.config.values['jax_enable_x64']),
    'prng': str(jax.config.values['jax_default_prng_impl']),
    'git': _git(),
  }


@functools.cache
def _source() -> str:
  """Digest of the framework's code, committed or not, installed or not."""
  root, digest = pathlib.Path(__file__).parents[1], hashlib.sha256()
  for path in sorted(root.rglob('*.py')):
    digest.update(f'{path.relative_to(root)}'.encode() + path.read_bytes())
  return digest.hexdigest()[:12]


def _version(package: str) -> str:
  try:
    return metadata.version(package)
  except metadata.PackageNotFoundError:
    return 'not installed'


def _git() -> str:
  """Commit of the source, with '+changes' if it is not clean."""
  here = os.path.dirname(os.path.abspath(__file__))
  git = ['git', '-C', here]
  try:
    run = {'capture_output': True, 'text': True, 'check': True, 'timeout': 10}
    head = subprocess.run([*git, 'rev-parse', 'HEAD'], **run).stdout.strip()
    state = subprocess.run([*git, 'status', '--porcelain'], **run).stdout
    return head + ('+changes' if state.strip() else '')
  except (OSError, subprocess.SubprocessError):
    return 'unknown'
