"""Programs as every platform would get them, without any accelerator."""

from collections.abc import Callable
from typing import Any

import jax

__all__ = ['PLATFORMS', 'lowered']

PLATFORMS = ('cpu', 'cuda', 'tpu')


def lowered(f: Callable[..., Any], *args: Any) -> str:
  """Lowers a function for CPU, CUDA and TPU at once.

  `jax.export` refuses what a platform has no rule for, every custom call that
  is not promised to exist there, and whatever calls the host back.

  Args:
    f: The function, or `jax.jit` of it, which shares its trace.
    *args: Arrays, or `jax.ShapeDtypeStruct`s of them; no typed keys.

  Returns:
    The StableHLO module.

  Raises:
    AssertionError: Naming a platform that does not take it, and why.

  >>> import jax.numpy as jnp
  >>> 'stablehlo.sine' in lowered(jnp.sin, jnp.ones(3))
  True
  >>> lowered(lambda x: jnp.linalg.eig(x)[0], jnp.eye(2))
  Traceback (most recent call last):
  AssertionError: it does not lower for cuda: Cannot serialize code...
  """
  jitted: Any = f if hasattr(f, 'trace') else jax.jit(f)
  try:
    return _module(jitted, args, PLATFORMS)
  except Exception:
    # Of many kinds, and often not about what is missing: ask one by one.
    for platform in PLATFORMS:
      try:
        _module(jitted, args, (platform,))
      except Exception as error:
        line = ' '.join(str(error).split())[:300]
        raise AssertionError(
          f'it does not lower for {platform}: {line}'
        ) from error
    raise


def _module(jitted: Any, args: Any, platforms: tuple[str, ...]) -> str:
  return jax.export.export(jitted, platforms=platforms)(*args).mlir_module()
