"""What a config class declares: typed fields with meaning, unit and bounds.

A field is an int, float, bool, str, `tuple[T, ...]` of these, another config,
any of them or None, or a `Mapping`: a grid, {path of a field: its values}.
"""

import copy
import dataclasses
import difflib
import functools
import operator
import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

SCALARS = {int: 'an integer', float: 'a finite float'}
SCALARS |= {bool: 'true or false', str: 'a string'}
_SIGNS = {'>': operator.gt, '>=': operator.ge}
_SIGNS |= {'<': operator.lt, '<=': operator.le}


class Problem(NamedTuple):
  """One thing that is wrong at one place; `str` gives the line to show.

  >>> print(Problem('config.k', 9, 'at most n = 8'))
  config.k: got 9, expected at most n = 8
  """

  path: str  # where, as a person would type it
  got: Any  # the value; a string is shown as it is, without quotes
  expected: str  # what is allowed; '' where `got` says it all
  nearest: str = ''  # what was probably meant

  def __str__(self) -> str:
    got = self.got if isinstance(self.got, str) else repr(self.got)
    hint = f'; did you mean {self.nearest}?' if self.nearest else ''
    if self.expected:
      got = got if len(got) <= 80 else got[:77] + '...'
      got = f'got {got}, expected {self.expected}'
    return ' '.join(f'{self.path}: {got}{hint}'.split())


class ConfigError(ValueError):
  """Everything that is wrong with a config, one line a problem."""

  def __init__(self, problems: Iterable[Problem]):
    self.problems = tuple(problems)
    super().__init__(self.problems)  # as args, so that it pickles

  def __str__(self) -> str:
    return '\n'.join(map(str, self.problems))


def raise_for(problems: Sequence[Problem]) -> None:
  """Raises `ConfigError` if there is a problem."""
  if problems:
    raise ConfigError(problems)


def nearest(word: str, words: Iterable[str]) -> str:
  """The word that was probably meant, or ''."""
  return next(iter(difflib.get_close_matches(word, list(words), 1)), '')


def unknown(path: str, name: str, places: Mapping[str, str]) -> Problem:
  """The problem of a name that is no field; `places` are {field: path}."""
  near = places.get(nearest(name, places))
  hint = f' did you mean {near}?' if near else ''
  got = f'unknown field;{hint} valid: {", ".join(places)}'
  return Problem(f'{path}.{name}', got, '')


def field(
  default: Any,
  doc: str,
  *,
  unit: str = '',
  low: float | None = None,
  high: float | None = None,
  low_open: bool = False,
  high_open: bool = False,
  choices: Iterable[Any] = (),
  file: bool = False,
) -> Any:
  """A dataclass field that knows its meaning, unit and allowed values.

  Args:
    default: The default; a mutable one is copied for each config.
    doc: What it means, in a few words.
    unit: Its unit, '' for a pure number.
    low: Lower bound, of each element if it is a tuple.
    high: Upper bound.
    low_open: Whether `low` itself is refused.
    high_open: Whether `high` itself is refused.
    choices: The allowed values; () for no such limit.
    file: Whether it is the path of a file, which must be there and whose
      content is part of what makes a run this run.

  Returns:
    A `dataclasses.field` with all of these as its metadata.

  Raises:
    ValueError: If `low` is above `high`.

  >>> field(0.1, 'step size', low=0, high=-1)
  Traceback (most recent call last):
  ValueError: low is 0, expected at most high = -1 (step size)
  """
  meta: dict[str, Any] = dict(doc=doc, unit=unit, low=low, high=high)
  meta |= dict(low_open=low_open, high_open=high_open, choices=tuple(choices))
  meta |= dict(file=file)
  if low is not None and high is not None and not low <= high:
    raise ValueError(f'low is {low}, expected at most high = {high} ({doc})')
  if type(default).__hash__ is None:
    fresh = functools.partial(copy.deepcopy, default)
    return dataclasses.field(default_factory=fresh, metadata=meta)
  return dataclasses.field(default=default, metadata=meta)


class Type(NamedTuple):
  """An annotation taken apart, with the metadata of its field."""

  base: Any  # int, float, bool, str, tuple, Mapping or a dataclass
  meta: Mapping[str, Any] = types.MappingProxyType({})
  none: bool = False  # None is a value, too
  item: 'Type | None' = None  # of a tuple


def _type(hint: Any, meta: Mapping[str, Any], where: str) -> Type:
  origin, args = typing.get_origin(hint) or hint, typing.get_args(hint)
  if origin in (typing.Union, types.UnionType):
    some = [arg for arg in args if arg is not types.NoneType]
    if len(some) == 1:
      return _type(some[0], meta, where)._replace(none=True)
  elif origin is tuple and args[1:] == (...,):
    return Type(tuple, meta, item=_type(args[0], meta, where))
  elif origin in (*SCALARS, Mapping) or dataclasses.is_dataclass(origin):
    return Type(origin, meta)
  allowed = 'int, float, bool, str, tuple[T, ...], Mapping, config, T | None'
  raise TypeError(f'{where}: annotation {hint}, expected one of {allowed}')


@functools.cache
def fields_of(cls: Any) -> dict[str, Type]:
  """The fields of a config class; raises TypeError if it cannot be one."""
  hints = typing.get_type_hints(cls)
  return {
    f.name: _type(hints[f.name], f.metadata, f'{cls.__name__}.{f.name}')
    for f in dataclasses.fields(cls)
  }


def fits(value: Any, t: Type) -> bool:
  """Whether a value is one of a scalar type and inside its bounds."""
  kind, meta = (int, float) if t.base is float else t.base, t.meta
  # True is an int to Python; where a number is declared it is a slip.
  if not isinstance(value, kind) or isinstance(value, bool) != (t.base is bool):
    return False
  if meta.get('choices') and value not in meta['choices']:
    return False
  if t.base in (bool, str):
    return True
  if t.base is float and not abs(value) <= sys.float_info.max:
    return False  # nan, infinite, or an int that no float can hold
  return all(_SIGNS[sign](value, bound) for sign, bound in _bounds(meta))


def _bounds(meta: Mapping[str, Any]) -> list[tuple[str, float]]:
  low = '>' if meta.get('low_open') else '>=', meta.get('low')
  high = '<' if meta.get('high_open') else '<=', meta.get('high')
  return [(sign, bound) for sign, bound in (low, high) if bound is not None]


def expected(t: Type) -> str:
  """What a value must be, in words."""
  if t.item:
    words = f'a tuple, each {expected(t.item)}'
  elif t.base is Mapping:
    words = 'a grid NAME=VALUE,VALUE,...;NAME=...'
  elif t.meta.get('choices'):
    words = 'one of ' + ', '.join(map(str, t.meta['choices']))
  elif t.base not in SCALARS:
    words = f'{t.base.__name__} with fields {", ".join(fields_of(t.base))}'
  else:
    bounds = [f' {sign} {bound}' for sign, bound in _bounds(t.meta)]
    words = SCALARS[t.base] + ' and'.join(bounds)
  return words + ' or none' * t.none
