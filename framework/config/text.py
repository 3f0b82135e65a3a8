"""Configs as a person types and reads them: overrides, grids, a table."""

import contextlib
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from framework.config.fields import (
  ConfigError,
  Problem,
  Type,
  fields_of,
  raise_for,
)
from framework.config.values import locate, put, read

_C = TypeVar('_C')
_BOOLS = {'true': True, 'false': False}
_SPAN = 'linspace(FIRST, LAST, COUNT) or logspace(EXPONENT, EXPONENT, COUNT)'
_MOST_VALUES = 10_000  # a longer span is a slip of the finger


def override(config: _C, assignments: Sequence[tuple[str, str]]) -> _C:
  """The config with fields set from the text of a command line.

  The type of a field says how its text is read. Values are checked one by one;
  the axes of a grid and rules across fields are left to `validate`.

  Args:
    config: A config dataclass.
    assignments: Pairs (dotted path, text); a later one wins.

  Returns:
    A new config.

  Raises:
    ConfigError: With all unknown paths and refused values.

  >>> from framework.config import field
  >>> @dataclasses.dataclass(frozen=True)
  ... class Config:
  ...   alpha: float = field(0.1, 'scale of the start')
  ...   sigma: tuple[float, ...] = field((1.0,), 'singular values')
  >>> override(Config(), [('alpha', '1e-3'), ('sigma', '1,.75,.5')])
  Config(alpha=0.001, sigma=(1.0, 0.75, 0.5))
  """
  problems: list[Problem] = []
  for path, text in assignments:
    full = f'config.{path}'
    try:
      t = locate(config, path, 'config')
      value = read(_parse(text, t, full), t, full, problems)
      config = put(config, path.split('.'), value)
    except ConfigError as error:
      problems += error.problems
  raise_for(problems)
  return config


def _parse(text: str, t: Type, path: str) -> Any:
  """The value of a text, or what `read` will then refuse: often the text."""
  word = text.strip()
  if t.none and word.lower() == 'none':
    return None
  if t.base is Mapping:
    return parse_grid(word, path)
  if t.item:
    parts = word.split(',') if word else []
    return tuple(_parse(part.strip(), t.item, path) for part in parts)
  if t.base is bool:
    return _BOOLS.get(word.lower(), text)
  if t.base is float:
    with contextlib.suppress(ValueError):
      return float(word)
  return _number(word) if t.base is int else text


def _number(text: str) -> int | float | str:
  """The int of a text (also of 1e4), or else its float, or else the text."""
  with contextlib.suppress(ValueError):
    return int(text)
  try:
    value = float(text)
  except ValueError:
    return text
  # Beyond 2^53 a float does not say which integer was meant.
  return int(value) if value.is_integer() and abs(value) < 2**53 else value


def parse_grid(text: str, path: str = 'sweep') -> dict[str, tuple]:
  """Reads a grid: axes separated by `;`, the values of an axis by commas.

  A value is an int (1e4 and 2.0, too), float, bool (true, false) or str, the
  first that fits; `normalise` makes an int the float that a field wants.
  `linspace(a, b, n)` and `logspace(a, b, n)`, from 10^a to 10^b, include both
  ends and are rounded to 12 digits: 0.3 is the float 0.3, on every machine.

  Args:
    text: For example `alpha=0.1,0.3;k=4,5`; '' is the grid without axes.
    path: What to call it in an error.

  Returns:
    {path of a field: its values}, in the order given.

  Raises:
    ConfigError: If text is malformed, or an axis is repeated.

  >>> parse_grid('alpha=0,logspace(-2,0,3);k=linspace(3,5,3);on=full,sensing')
  {'alpha': (0, 0.01, 0.1, 1), 'k': (3, 4, 5), 'on': ('full', 'sensing')}
  """
  problems: list[Problem] = []
  grid: dict[str, tuple] = {}
  for part in text.split(';') if text.strip() else []:
    name, equals, values = (piece.strip() for piece in part.partition('='))
    at = f'{path}.{name}'
    if not equals or not all(map(str.isidentifier, name.split('.'))):
      form = 'NAME=VALUE,VALUE,...;NAME=...'
      problems.append(Problem(path, repr(part), form))
    elif name in grid:
      problems.append(Problem(at, 'this axis again', 'each axis once'))
    else:
      grid[name] = ()
      try:
        # At the commas that are not between brackets.
        entries = re.split(r',(?![^()]*\))', values)
        grid[name] = tuple(v for e in entries for v in _values(e.strip()))
      except ValueError as error:
        problems.append(Problem(at, repr(values), str(error)))
  raise_for(problems)
  return grid


def _values(text: str) -> Sequence[bool | int | float | str]:
  """The values that one entry of an axis stands for."""
  if not text:
    raise ValueError('a value before and after each comma')
  call = re.fullmatch(r'(lin|log)space\(([^()]*)\)', text)
  if not call and not {'(', ')'} & {*text}:
    return [_BOOLS.get(text.lower(), _number(text))]
  with contextlib.suppress(ArithmeticError, ValueError):
    kind, args = call.groups() if call else ('', '')
    *ends, count = args.split(',')
    first, last = map(float, ends)
    steps = range(int(count))[: _MOST_VALUES + 1]
    width = (last - first) / max(len(steps) - 1, 1)
    points = [first + width * i for i in steps]
    points = [10**x for x in points] if kind == 'log' else points
    if 1 <= len(steps) <= _MOST_VALUES and all(map(math.isfinite, points)):
      return [_number(f'{point:.12g}') for point in points]
  raise ValueError(f'a value, {_SPAN} of 1 to {_MOST_VALUES} values')


def describe(config: Any) -> str:
  """A table of all fields, nested ones by their dotted path.

  Args:
    config: A config dataclass.

  Returns:
    Aligned lines `path  value  unit  doc`, the values as `override` takes them
    and cut at 40 characters.

  >>> from framework.config import field
  >>> @dataclasses.dataclass(frozen=True)
  ... class Config:
  ...   eta: float = field(0.1, 'step size', unit='1/s')
  >>> print(describe(Config()))
  path  value  unit  doc
  eta   0.1    1/s   step size
  """
  rows = [('path', 'value', 'unit', 'doc')]
  for path, value, t in _leaves(config):
    text = _text(value)
    text = text if len(text) <= 40 else text[:37] + '...'
    rows.append((path, text, t.meta.get('unit', ''), t.meta.get('doc', '')))
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return '\n'.join(
    '  '.join(map(str.ljust, row, widths)).rstrip() for row in rows
  )


def _leaves(config: Any, prefix: str = '') -> Iterator[tuple[str, Any, Type]]:
  """(path, value, type) of every field that is not a config."""
  for name, t in fields_of(type(config)).items():
    value = getattr(config, name)
    if dataclasses.is_dataclass(value):
      yield from _leaves(value, f'{prefix}{name}.')
    else:
      yield f'{prefix}{name}', value, t


def _text(value: Any) -> str:
  if isinstance(value, Mapping):
    return ';'.join(f'{name}={_text(v)}' for name, v in value.items())
  if isinstance(value, tuple):
    return ','.join(map(_text, value))
  # As they are typed on a command line: true, none.
  plain = value is None or isinstance(value, bool)
  return str(value).lower() if plain else str(value)
