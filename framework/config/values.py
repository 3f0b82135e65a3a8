"""Checking a config, and the one form that equal configs share.

`read` walks over the values of a config once and does both. Rules across fields
are asked when all values are sound, at each point of a grid when they hold.
"""

import collections
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from framework.config.fields import (
  SCALARS,
  ConfigError,
  Problem,
  Type,
  expected,
  fields_of,
  fits,
  nearest,
  raise_for,
  unknown,
)

_C = TypeVar('_C')


def validate(config: Any) -> None:
  """Checks every field, every rule across fields, every point of its grid.

  A method `check(self)` of a config yields a `Problem`, its path relative to
  that config, for each rule that does not hold. It is called when all fields
  are sound, and then once more at each point of the grid.

  Args:
    config: A config dataclass.

  Raises:
    ConfigError: With all problems of fields, or else of rules.
  """
  problems: list[Problem] = []
  read(config, Type(type(config)), 'config', problems)
  raise_for(problems or _rules(config, 'config') or _points(config))


def normalise(config: _C) -> _C:
  """The config in the one form that equal configs share.

  Results on disk depend on it: a grid has its axes in alphabetical order,
  whatever the order they were written in, and each axis its values as given.

  Args:
    config: A config dataclass; a value of a wrong type stays as it is.

  Returns:
    The same config with lists as tuples, ints as floats where floats are
    declared, also in a grid, and the axes of the grid in order.

  >>> from framework.config import field
  >>> @dataclasses.dataclass(frozen=True)
  ... class Config:
  ...   eta: float = field(1, 'step size')
  ...   alpha: float = field(1, 'scale of the start')
  ...   sweep: Mapping[str, tuple] = field({'eta': (2,), 'alpha': (3,)}, 'λ')
  >>> normalise(Config())
  Config(eta=1.0, alpha=1.0, sweep={'alpha': (3.0,), 'eta': (2.0,)})
  """
  return read(config, Type(type(config)), 'config', [])


def to_dict(config: Any) -> dict[str, Any]:
  """The normalised config as nested dicts, tuples as lists, ready for JSON."""
  return _encode(normalise(config))


def _encode(value: Any) -> Any:
  if dataclasses.is_dataclass(value):
    return {n: _encode(getattr(value, n)) for n in fields_of(type(value))}
  if isinstance(value, Mapping):
    return {name: _encode(v) for name, v in value.items()}
  return [*map(_encode, value)] if isinstance(value, tuple) else value


def from_dict(cls: type[_C], mapping: Mapping[str, Any]) -> _C:
  """The config that nested dicts describe, the inverse of `to_dict`.

  Values are checked one by one; rules across fields are left to `validate`.

  Args:
    cls: The config dataclass.
    mapping: {field: value}; an absent field takes its default.

  Returns:
    The config, normalised.

  Raises:
    ConfigError: With all unknown fields and refused values.
  """
  problems: list[Problem] = []
  config = _build(cls, mapping, 'config', problems)
  config = read(config, Type(cls), 'config', problems)
  raise_for(problems)
  return config


def _build(base: Any, value: Any, path: str, problems: list[Problem]) -> Any:
  """The config of a dict, anything else as it is; values are not checked."""
  if not (isinstance(value, Mapping) and dataclasses.is_dataclass(base)):
    return value
  fields = fields_of(base)
  places = {name: f'{path}.{name}' for name in fields}
  problems += [unknown(path, n, places) for n in value if n not in fields]
  known = {
    name: _build(t.base, value[name], places[name], problems)
    for name, t in fields.items()
    if name in value
  }
  return base(**known)


def read(value: Any, t: Type, path: str, problems: list[Problem]) -> Any:
  """The value in normal form; what is wrong with it goes to `problems`."""
  if value is None and t.none:
    return None
  if t.item and isinstance(value, (tuple, list)):
    pairs = enumerate(value)
    return tuple(read(v, t.item, f'{path}[{i}]', problems) for i, v in pairs)
  if t.base is Mapping and isinstance(value, Mapping):
    return value  # its config knows the types of its axes
  if type(value) is t.base and dataclasses.is_dataclass(t.base):
    return _read_config(value, path, problems)
  if t.base in SCALARS and fits(value, t):
    # np.float64 is a float, too, but prints as something else.
    return float(value) if t.base is float else value
  words = expected(t) + (f' ({t.meta["doc"]})' if 'doc' in t.meta else '')
  near = nearest(str(value), map(str, t.meta.get('choices', ())))
  problems.append(Problem(path, quoted(value), words, near))
  return value


def quoted(value: Any) -> Any:
  """The value as a problem shows it: a string between quotes."""
  return repr(value) if isinstance(value, str) else value


def _read_config(config: Any, path: str, problems: list[Problem]) -> Any:
  values = {}
  for name, t in fields_of(type(config)).items():
    at = f'{path}.{name}'
    value = read(getattr(config, name), t, at, problems)
    if t.base is Mapping and isinstance(value, Mapping):
      value = {
        axis: _read_axis(config, axis, value[axis], at, problems)
        for axis in sorted(value, key=str)
      }
    values[name] = value
  return dataclasses.replace(config, **values)


def _read_axis(
  config: Any, axis: str, values: Any, path: str, problems: list[Problem]
) -> Any:
  at, found = f'{path}.{axis}', list[Problem]()
  try:
    t = locate(config, str(axis), path)
  except ConfigError as error:
    problems += error.problems
    return values
  if t.base not in SCALARS:
    found = [Problem(at, axis, 'a field that holds one number or word')]
  elif not isinstance(values, (tuple, list)) or not values:
    found = [Problem(at, quoted(values), 'a tuple of values, one at least')]
  else:
    values = tuple(read(value, t, at, found) for value in values)
    found = found or [
      Problem(at, f'{value} ({count} times)', 'each value once')
      for value, count in collections.Counter(values).items()
      if count > 1
    ]
  problems += found
  return values


def _rules(config: Any, path: str) -> list[Problem]:
  """Breaches of rules across fields, those of nested configs first."""
  found = []
  for name in fields_of(type(config)):
    if dataclasses.is_dataclass(value := getattr(config, name)):
      found += _rules(value, f'{path}.{name}')
  check = getattr(type(config), 'check', None)
  for problem in (check(config) or ()) if callable(check) else ():
    full = f'{path}.{problem.path}' if problem.path else path
    found.append(problem._replace(path=full))
  return found


def _points(config: Any) -> list[Problem]:
  """Breaches of rules at the points of a grid, the first at each path."""
  found: dict[str, Problem] = {}
  for name, t in fields_of(type(config)).items():
    grid = getattr(config, name) if t.base is Mapping else None
    for values in itertools.product(*(grid or {}).values()):
      point, placed = dict(zip(grid or {}, values, strict=True)), config
      for axis, value in point.items():
        placed = put(placed, axis.split('.'), value)
      at = ', '.join(f'{axis}={value}' for axis, value in point.items())
      for problem in _rules(placed, 'config'):
        full = f'{problem.path} at {name} point {at}'
        found.setdefault(problem.path, problem._replace(path=full))
  return [*found.values()]


def locate(config: Any, path: str, root: str) -> Type:
  """The type of the field at a dotted path; `root` is the config's name."""
  owner, at, t = config, root, Type(type(config))
  for name in path.split('.'):
    if not dataclasses.is_dataclass(owner):
      got = f'{owner!r} at {at}'
      raise ConfigError([Problem(f'{root}.{path}', got, 'a config there')])
    fields = fields_of(type(owner))
    if name not in fields:
      places = {field: f'{at}.{field}' for field in fields}
      raise ConfigError([unknown(at, name, places)])
    owner, at, t = getattr(owner, name), f'{at}.{name}', fields[name]
  return t


def put(config: Any, path: Sequence[str], value: Any) -> Any:
  """The config with another value at a path."""
  head, *rest = path
  value = put(getattr(config, head), rest, value) if rest else value
  return dataclasses.replace(config, **{head: value})
