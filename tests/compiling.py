"""Counts what XLA compiles, to show that something is not compiled again."""

import contextlib
from collections.abc import Iterator

import jax
from jax.experimental.compilation_cache import compilation_cache


class Count:
  """How many programs were compiled since it was made."""

  def __init__(self) -> None:
    self.compiled = 0

  def __call__(self, event: str, seconds: float, **kwargs) -> None:
    if event == '/jax/core/compile/backend_compile_duration':
      self.compiled += 1


@contextlib.contextmanager
def counted() -> Iterator[Count]:
  """Counts the compilations within a `with` block."""
  count = Count()
  jax.monitoring.register_event_duration_secs_listener(count)
  try:
    yield count
  finally:
    jax.monitoring.unregister_event_duration_listener(count)


@contextlib.contextmanager
def cached(directory) -> Iterator[None]:
  """Within it a program that was compiled before is read from disk."""
  settings = {
    'jax_compilation_cache_dir': str(directory),
    'jax_persistent_cache_min_compile_time_secs': 0,
    'jax_persistent_cache_min_entry_size_bytes': -1,
  }
  before = {name: getattr(jax.config, name) for name in settings}
  try:
    for name, value in settings.items():
      jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield
  finally:
    for name, value in before.items():
      jax.config.update(name, value)
    compilation_cache.reset_cache()
