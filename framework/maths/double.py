"""Theory in double precision, whatever a run was computed in."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax

__all__ = ['in_double']

_P = ParamSpec('_P')
_R = TypeVar('_R')


def in_double(f: Callable[_P, _R]) -> Callable[_P, _R]:
  """A function whose jax arrays are float64, and which returns none of them.

  A law that claims are judged by is no less exact because the run was in
  float32, nor because it is asked for in a notebook.

  Args:
    f: A function that returns numpy arrays or numbers.

  Returns:
    The same function.

  >>> import jax.numpy as jnp
  >>> in_double(lambda: str(jnp.ones(1).dtype))()
  'float64'
  """

  @functools.wraps(f)
  def inside(*args: _P.args, **kwargs: _P.kwargs) -> _R:
    with jax.enable_x64(True):
      return f(*args, **kwargs)

  return inside
