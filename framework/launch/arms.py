"""From a config to what an arm is built of: shared by experiments."""

from collections.abc import Callable
from typing import Any

import numpy as np

from framework import config as config_lib

__all__ = ['built', 'hp_of']


def built(make: Callable[[], Any], path: str = 'config') -> Any:
  """What `make` returns; what it refuses is a problem of the config.

  Args:
    make: Builds a structure or reads data.
    path: The field that is to blame.

  Returns:
    Its result.

  Raises:
    ConfigError: In one line, for a ValueError of `make`.
  """
  try:
    return make()
  except ValueError as error:
    problem = config_lib.Problem(path, str(error), '')
    raise config_lib.ConfigError([problem]) from None


def hp_of(kind: Any, config: Any, **types: Any) -> Any:
  """The numbers of a config, of its precision.

  Args:
    kind: A NamedTuple of hyperparameters; its fields are fields of the config.
    config: A config with a precision.
    **types: Fields of another dtype.

  Returns:
    An instance of `kind`.
  """
  own = np.dtype(config.precision).type
  return kind(
    **{
      name: types.get(name, own)(getattr(config, name)) for name in kind._fields
    }
  )
