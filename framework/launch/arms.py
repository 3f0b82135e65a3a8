"""From a config to what an arm is built of: fields of the same name."""

import dataclasses
from typing import Any, TypeVar

import numpy as np

__all__ = ['hp_of', 'structure_of']

_T = TypeVar('_T')


def hp_of(kind: type[_T], config: Any, **given: Any) -> _T:
  """The hyperparameters of a config: its fields, as numbers of its precision.

  Args:
    kind: A NamedTuple or dataclass of hyperparameters; each of its fields is a
      field of the config, or in `given`.
    config: A config with a precision.
    **given: Values of fields; a dtype stands for the config's value in that
      dtype (`k=np.int32`), a number is taken as it is, in the precision if it
      is a Python number.

  Returns:
    An instance of `kind` with numpy scalars.

  Raises:
    ValueError: If a field is in neither.

  >>> from typing import NamedTuple
  >>> from framework.config import Run, field
  >>> @dataclasses.dataclass(frozen=True)
  ... class Config(Run):
  ...   eta: float = field(0.1, 'step size')
  ...   k: int = field(3, 'rank')
  >>> class Hp(NamedTuple):
  ...   eta: float
  ...   k: int
  >>> hp_of(Hp, Config(), k=np.int32)
  Hp(eta=np.float32(0.1), k=np.int32(3))
  """
  own = np.dtype(config.precision).type

  def number(name: str) -> Any:
    value = given.get(name, own)
    if isinstance(value, type):
      return value(_field(kind, config, name))
    return own(value) if isinstance(value, (int, float)) else value

  return kind(**{name: number(name) for name in _names(kind)})


def structure_of(kind: type[_T], config: Any, **given: Any) -> _T:
  """The structure of a config's system: its fields, or what is given.

  Args:
    kind: A frozen dataclass; a field that is neither given nor a field of the
      config takes its default.
    config: A config.
    **given: Values of fields, such as the function that a name stands for.

  Returns:
    An instance of `kind`.

  Raises:
    ValueError: Whatever `kind` refuses.

  >>> from framework.config import Run, field
  >>> @dataclasses.dataclass(frozen=True)
  ... class Config(Run):
  ...   n: int = field(30, 'rows')
  ...   rule: str = field('gd', 'update rule')
  >>> @dataclasses.dataclass(frozen=True)
  ... class Structure:
  ...   n: int
  ...   rule: object
  ...   dtype: object = np.float32
  >>> structure_of(Structure, Config(), rule=np.sign).n
  30
  """
  values = {
    name: getattr(config, name)
    for name in _names(kind)
    if hasattr(config, name) and name not in given
  }
  return kind(**values, **given)


def _names(kind: Any) -> tuple[str, ...]:
  if dataclasses.is_dataclass(kind):
    return tuple(f.name for f in dataclasses.fields(kind) if f.init)
  return kind._fields


def _field(kind: Any, config: Any, name: str) -> Any:
  if not hasattr(config, name):
    raise ValueError(
      f'{kind.__name__}.{name}: no such field in {type(config).__name__}'
    )
  return getattr(config, name)


def built(make: Any, path: str = 'config') -> Any:
  """For experiments that have not moved yet: `job_of` does this for all."""
  del path
  return make()
