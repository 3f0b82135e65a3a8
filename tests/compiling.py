"""Counts what XLA compiles, to show that something is not compiled again."""

import contextlib
from collections.abc import Iterator

import jax


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
