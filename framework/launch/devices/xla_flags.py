"""Flags of XLA that this jaxlib knows: XLA aborts the process at any other."""

import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata

__all__ = ['cache_dir', 'known', 'with_flags']


def cache_dir() -> pathlib.Path:
  """Where what can be computed again is kept: the user's cache."""
  home = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  return pathlib.Path(home) / 'training-dynamics'


def known(flags: Sequence[str]) -> list[str]:
  """Those of some flags that XLA accepts, tried in a process of their own.

  The answer is kept in the user's cache for this version of jaxlib.

  Args:
    flags: Such as '--xla_gpu_deterministic_ops=true'.

  Returns:
    The flags that can be set, in their order.
  """
  asked = json.dumps([metadata.version('jaxlib'), sys.version, *flags])
  name = hashlib.sha256(asked.encode()).hexdigest()[:16]
  kept = cache_dir() / 'xla_flags' / f'{name}.json'
  with contextlib.suppress(OSError, ValueError):
    return json.loads(kept.read_text())
  found = (
    list(flags) if _accepted(flags) else [f for f in flags if _accepted([f])]
  )
  try:
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(found))
  except OSError:
    pass  # a home that cannot be written to: it is tried again next time
  return found


def with_flags(given: str | None, flags: Sequence[str]) -> str:
  """The value of XLA_FLAGS with what is known of `flags` before `given`."""
  return ' '.join([*known(flags), given or '']).strip()


def _accepted(flags: Sequence[str]) -> bool:
  """Whether a process with these flags starts."""
  environment = os.environ | {
    'XLA_FLAGS': ' '.join(flags),
    'JAX_PLATFORMS': 'cpu',
  }
  done = subprocess.run(
    [sys.executable, '-c', 'import jax; jax.devices()'],
    env=environment,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  return done.returncode == 0
