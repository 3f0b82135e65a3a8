"""Typed experiment configs: frozen dataclasses, checked field by field.

A config says what a run computes. It is a frozen dataclass whose fields carry
their meaning, unit and bounds; a config file returns one, the command line
overrides it, the results keep it as JSON, and its digest says whether two runs
are the same run. All problems are found before anything runs, a line each.

A field is an int, float, bool, str, a tuple of these, a `Literal`, another
config, any of them or None, or a `Mapping[str, tuple]`: a grid, {path of a
field: its values}. A method `check(self)` yields a `Problem`, with a path
relative to its dataclass, for each rule across fields that does not hold.

>>> @dataclasses.dataclass(frozen=True)
... class Config:
...   eta: float = field(0.1, 'step size', low=0, low_open=True)
...   k: int = field(4, 'rank of the model', low=1)
...   n: int = field(8, 'size of the matrix', low=1)
...
...   def check(self):
...     if self.k > self.n:
...       yield Problem('k', self.k, f'at most n = {self.n}')
>>> validate(override(Config(), [('k', '9'), ('eta', '1e-2')]))
Traceback (most recent call last):
framework.config.ConfigError: config.k: got 9, expected at most n = 8
"""

import collections
import contextlib
import copy
import dataclasses
import decimal
import difflib
import functools
import hashlib
import importlib.machinery
import importlib.util
import itertools
import json
import math
import pathlib
import re
import sys
import traceback
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

__all__ = [
  'ConfigError',
  'Problem',
  'check_grid',
  'describe',
  'diff',
  'digest',
  'field',
  'from_dict',
  'from_json',
  'load',
  'normalise',
  'normalise_grid',
  'override',
  'parse_grid',
  'to_dict',
  'to_json',
  'validate',
]

_C = TypeVar('_C')
_UNKNOWN = 'unknown field'
_WORDS = {int: 'an integer', float: 'a finite float', bool: 'true or false'}
_WORDS |= {str: 'a string', Any: 'a finite number, true, false or a string'}
_BOOLS = {'true': True, '1': True, 'yes': True}
_BOOLS |= {'false': False, '0': False, 'no': False}
_SPANS = {
  'linspace': 'linspace(FIRST, LAST, COUNT)',
  'logspace': 'logspace(FIRST_EXPONENT, LAST_EXPONENT, COUNT)',
  'range': 'range(START, STOP, STEP)',
}
_MOST_VALUES = 1_000_000  # a longer span is a slip of the finger


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
    if got == _UNKNOWN:
      line = f'{got}{hint or ";"} valid: {self.expected}'
    elif not self.expected:
      line = got + hint
    else:
      got = got if len(got) <= 80 else got[:77] + '...'
      line = f'got {got}, expected {self.expected}{hint}'
    return ' '.join(f'{self.path}: {line}'.split())


class ConfigError(ValueError):
  """Everything that is wrong with a config, one line a problem."""

  def __init__(self, problems: Iterable[Problem]):
    self.problems = tuple(problems)
    super().__init__(self.problems)  # as args, so that it pickles

  def __str__(self) -> str:
    return '\n'.join(map(str, self.problems))


# --- What a class declares ----------------------------------------------------


def field(
  default: Any,
  doc: str,
  *,
  unit: str = '',
  low: float | None = None,
  high: float | None = None,
  low_open: bool = False,
  high_open: bool = False,
  choices: Iterable[Any] | None = None,
) -> Any:
  """A dataclass field that knows its meaning, unit and allowed values.

  Bounds and choices hold for each element of a tuple. An infinite value is
  refused unless a closed bound is infinite.

  Args:
    default: The default; a mutable one is copied for each config.
    doc: What it means, in a few words.
    unit: Its unit, '' for a pure number.
    low: Lower bound.
    high: Upper bound.
    low_open: Whether `low` itself is refused.
    high_open: Whether `high` itself is refused.
    choices: The allowed values, None for no such limit.

  Returns:
    A `dataclasses.field` with all of these as its metadata.

  Raises:
    ValueError: If `doc` or `choices` is empty, or `low` is above `high`.

  >>> field(0.1, 'step size', low=0, high=-1)
  Traceback (most recent call last):
  ValueError: low is 0, expected at most high = -1 (step size)
  """
  choices = None if choices is None else tuple(choices)
  meta: dict[str, Any] = dict(doc=doc, unit=unit, low=low, high=high)
  meta |= dict(low_open=low_open, high_open=high_open, choices=choices)
  if not doc.strip():
    raise ValueError(f'doc is {doc!r}, expected what the field means')
  if choices == ():
    raise ValueError(f'choices is (), expected one at least ({doc})')
  if low is not None and high is not None and not low <= high:
    raise ValueError(f'low is {low}, expected at most high = {high} ({doc})')
  if type(default).__hash__ is None:
    fresh = functools.partial(copy.deepcopy, default)
    return dataclasses.field(default_factory=fresh, metadata=meta)
  return dataclasses.field(default=default, metadata=meta)


class _Type(NamedTuple):
  """An annotation taken apart, with the metadata of its field."""

  base: Any  # int, float, bool, str, Any, tuple, Mapping or a dataclass
  meta: Mapping[str, Any]
  none: bool = False  # None is a value, too
  items: tuple['_Type', ...] = ()  # of a tuple, or the values of a mapping
  repeats: bool = False  # a tuple of any length, each element `items[0]`

  def elements(self, count: int) -> tuple['_Type', ...]:
    return self.items * count if self.repeats else self.items


def _type(hint: Any, meta: Mapping[str, Any]) -> _Type:
  origin, args = typing.get_origin(hint) or hint, typing.get_args(hint)
  if origin in (typing.Union, types.UnionType):
    some = [arg for arg in args if arg is not types.NoneType]
    if len(some) == 1:
      return _type(some[0], meta)._replace(none=True)
  elif origin is Literal and len({*map(type, args)}) == 1:
    return _type(type(args[0]), {**meta, 'choices': args})
  elif origin is tuple:
    repeats = not args or args[-1] is ...
    args = args[:1] or (Any,) if repeats else args
    items = tuple(_type(arg, meta) for arg in args)
    return _Type(tuple, meta, items=items, repeats=repeats)
  elif origin in (Mapping, dict):
    args = args or (str, tuple)
    return _Type(Mapping, meta, items=(_type(args[1], meta),))
  elif origin in _WORDS or dataclasses.is_dataclass(origin):
    return _Type(hint, meta)
  allowed = 'int, float, bool, str, tuple, Literal, Mapping, config, X | None'
  raise TypeError(f'annotation {hint}, expected one of {allowed}')


@functools.cache
def _fields(cls: Any) -> dict[str, _Type]:
  """The fields that the constructor takes."""
  hints = typing.get_type_hints(cls)
  fields = {}
  for known in dataclasses.fields(cls):
    try:
      if known.init:
        fields[known.name] = _type(hints[known.name], known.metadata)
    except TypeError as error:
      raise TypeError(f'{cls.__name__}.{known.name}: {error}') from None
  return fields


def _bounds(meta: Mapping[str, Any]) -> tuple[float, float, bool, bool]:
  """(low, high, low open, high open); no bound is an open infinite one."""
  low, high = meta.get('low'), meta.get('high')
  low_open = low is None or meta.get('low_open', False)
  high_open = high is None or meta.get('high_open', False)
  low = -math.inf if low is None else low
  return low, math.inf if high is None else high, low_open, high_open


def _expected(t: _Type) -> str:
  """What a value must be, in words."""
  low, high, low_open, high_open = _bounds(t.meta)
  if t.base is tuple:
    each = ', '.join(map(_expected, t.items))
    words = f'a tuple, each {each}' if t.repeats else f'a tuple ({each})'
  elif t.base is Mapping:
    words = 'a grid NAME=VALUE,VALUE,...;NAME=...'
  elif t.meta.get('choices'):
    words = 'one of ' + ', '.join(map(str, t.meta['choices']))
  elif t.base not in _WORDS:
    words = f'{t.base.__name__} with fields {", ".join(_fields(t.base))}'
  else:
    words = _WORDS[t.base]
    if (low, low_open) == (-math.inf, False) or (
      (high, high_open) == (math.inf, False)
    ):
      words = words.replace('finite ', '')
    if t.meta.get('low') is not None and t.meta.get('high') is not None:
      words += f' in {"[("[low_open]}{low}, {high}{"])"[high_open]}'
    elif t.meta.get('low') is not None:
      words += f' {">" if low_open else ">="} {low}'
    elif t.meta.get('high') is not None:
      words += f' {"<" if high_open else "<="} {high}'
  return words + ' or none' * t.none


# --- Checking -----------------------------------------------------------------


def validate(config: Any) -> None:
  """Checks every field and every rule across fields, nested ones too.

  The `check` of a dataclass is called once all fields in it are sound.

  Args:
    config: A config dataclass.

  Raises:
    ConfigError: With all problems.

  >>> @dataclasses.dataclass(frozen=True)
  ... class Config:
  ...   eta: float = field(0.1, 'step size', low=0, low_open=True)
  >>> validate(Config(eta=float('nan')))
  Traceback (most recent call last):
  framework.config.ConfigError: config.eta: got nan, expected a finite float
  > 0 (step size)
  """
  _require(config)
  fields, across = _inspect(config, 'config')
  _raise(fields + across)


def check_grid(config: Any, grid: Mapping[str, Sequence[Any]]) -> None:
  """Checks that every point of a grid is a valid config.

  Args:
    config: The config that the grid varies.
    grid: {path of a field: its values}.

  Raises:
    ConfigError: With each unknown axis, each refused or repeated value, and
      each rule across fields that a point of the grid breaks.
  """
  normalise_grid(config, grid)


def normalise_grid(
  config: Any, grid: Mapping[str, Sequence[Any]]
) -> dict[str, tuple]:
  """Checks a grid as `check_grid` does and gives each value its field's type.

  Args:
    config: The config that the grid varies.
    grid: {path of a field: its values}.

  Returns:
    The grid, axes in the order given, ints as floats for fields of floats.

  Raises:
    ConfigError: As `check_grid`.

  >>> @dataclasses.dataclass(frozen=True)
  ... class Config:
  ...   alpha: float = field(0.1, 'scale of the start', low=0)
  >>> normalise_grid(Config(), {'alpha': (1, 0.5)})
  {'alpha': (1.0, 0.5)}
  """
  _require(config)
  problems: list[Problem] = []
  axes: dict[str, tuple] = {}
  for axis, values in grid.items():
    path = f'sweep.{axis}'
    try:
      t = _locate(config, axis, 'sweep')
    except ConfigError as error:
      problems += error.problems
      continue
    if not isinstance(values, (tuple, list)):
      problems.append(Problem(path, _quoted(values), 'a tuple of values'))
      continue
    axes[axis] = tuple(_cast(value, t, path, problems) for value in values)
    for value in axes[axis]:
      problems += _check(value, t, path, [])
    problems += _check_axis(path, axes[axis])
  _raise(problems or _check_points(config, axes))
  return axes


def _check_axis(path: str, values: tuple) -> list[Problem]:
  # 1 and 1.0 are one value, 1 and True are two.
  count = collections.Counter(
    v if type(v) in (int, float) else repr(v) for v in values
  )
  if not values:
    return [Problem(path, 'no values', 'one at least')]
  return [
    Problem(path, f'{v} {n} times', 'each value once')
    for v, n in count.items()
    if n > 1
  ]


def _check_points(config: Any, axes: Mapping[str, tuple]) -> list[Problem]:
  """Breaches of rules across fields, each at the first point that has it."""
  found: dict[str, Problem] = {}
  for values in itertools.product(*axes.values()):
    point = dict(zip(axes, values, strict=True))
    placed = config
    try:
      for axis, value in point.items():
        placed = _put(placed, axis.split('.'), value)
      problems: Sequence[Problem] = _inspect(placed, 'config')[1]
    except ValueError as error:
      problems = _problems(error, 'config')
    at = ', '.join(f'{axis}={value}' for axis, value in point.items())
    for problem in problems:
      last = 'expected' if problem.expected else 'got'
      shown = f'{getattr(problem, last)} (at sweep point {at})'
      found.setdefault(str(problem), problem._replace(**{last: shown}))
  return list(found.values())


def _raise(problems: Sequence[Problem]) -> None:
  if problems:
    raise ConfigError(problems)


def _words(error: Exception) -> str:
  return '; '.join(str(error).splitlines()) or type(error).__name__


def _problems(error: ValueError, path: str) -> Sequence[Problem]:
  """What an error says, which a `__post_init__` may have raised."""
  return getattr(error, 'problems', [Problem(path, _words(error), '')])


def _require(config: Any) -> None:
  if isinstance(config, type) or not dataclasses.is_dataclass(config):
    raise ConfigError([Problem('config', _quoted(config), 'a dataclass')])


def _quoted(value: Any) -> Any:
  return repr(value) if isinstance(value, str) else value


def _nearest(word: str, words: Iterable[str]) -> str:
  return next(iter(difflib.get_close_matches(word, list(words), 1)), '')


def _inspect(config: Any, path: str) -> tuple[list[Problem], list[Problem]]:
  """(problems of single fields, problems across fields)."""
  alone: list[Problem] = []
  across: list[Problem] = []
  for name, t in _fields(type(config)).items():
    alone += _check(getattr(config, name), t, f'{path}.{name}', across)
  check = getattr(type(config), 'check', None)
  if not alone and callable(check):
    for problem in check(config) or ():
      inner = f'{path}.{problem.path}' if problem.path else path
      across.append(problem._replace(path=inner))
  return alone, across


def _check(
  value: Any, t: _Type, path: str, across: list[Problem]
) -> list[Problem]:
  """Problems of one value; those across fields inside it go to `across`."""
  if value is None and t.none:
    return []
  if t.base is tuple and isinstance(value, tuple):
    items = t.elements(len(value))
    if len(items) == len(value):
      return [
        problem
        for i, (v, item) in enumerate(zip(value, items, strict=True))
        for problem in _check(v, item, f'{path}[{i}]', across)
      ]
  elif t.base is Mapping and isinstance(value, Mapping):
    if all(isinstance(name, str) for name in value):
      return [
        problem
        for name, v in value.items()
        for problem in _check(v, t.items[0], f'{path}.{name}', across)
      ]
  elif t.base not in _WORDS and type(value) is t.base:
    alone, more = _inspect(value, path)
    across += more
    return alone
  elif t.base in _WORDS and _fits(value, t):
    return []
  doc = t.meta.get('doc')
  expected = _expected(t) + (f' ({doc})' if doc else '')
  near = _nearest(str(value), map(str, t.meta.get('choices') or ()))
  return [Problem(path, _quoted(value), expected, near)]


def _fits(value: Any, t: _Type) -> bool:
  if t.base is Any and isinstance(value, tuple):
    return all(_fits(part, t) for part in value)
  kinds = {float: (int, float), Any: (int, float, str, types.NoneType)}
  if not isinstance(value, kinds.get(t.base, t.base)):
    return False
  if t.meta.get('choices') and value not in t.meta['choices']:
    return False
  if isinstance(value, (bool, str, types.NoneType)):
    # True is an int to Python; where a number is declared it is a slip.
    return t.base in (bool, Any) or not isinstance(value, bool)
  if t.base is float and sys.float_info.max < abs(value) < math.inf:
    return False  # an int that no float can hold
  low, high, low_open, high_open = _bounds(t.meta)
  above = value > low if low_open else value >= low
  return above and (value < high if high_open else value <= high)


# --- Text of a command line ---------------------------------------------------


def override(config: _C, assignments: Sequence[tuple[str, str]]) -> _C:
  """The config with fields set from the text of a command line.

  The type of a field says how its text is read. Values are checked one by one;
  rules across fields are left to `validate`.

  Args:
    config: A config dataclass.
    assignments: Pairs (dotted path, text); a later one wins.

  Returns:
    A new config.

  Raises:
    ConfigError: With all unknown paths and refused values.

  >>> @dataclasses.dataclass(frozen=True)
  ... class Config:
  ...   alpha: float = field(0.1, 'scale of the start')
  ...   sigma: tuple[float, ...] = field((1.0,), 'singular values')
  >>> override(Config(), [('alpha', '1e-3'), ('sigma', '1,.75,.5')])
  Config(alpha=0.001, sigma=(1.0, 0.75, 0.5))
  >>> override(Config(), [('alhpa', '1')])
  Traceback (most recent call last):
  framework.config.ConfigError: config.alhpa: unknown field; did you mean
  config.alpha? valid: alpha, sigma
  """
  _require(config)
  problems: list[Problem] = []
  for path, text in assignments:
    full = f'config.{path}'
    try:
      t = _locate(config, path, 'config')
      value = _cast(_parse(text, t, full), t, full, problems)
      _raise(_check(value, t, full, []))
      config = _put(config, path.split('.'), value)
    except ValueError as error:
      problems += _problems(error, full)
  _raise(problems)
  return config


def parse_grid(text: str) -> dict[str, tuple]:
  """Reads a grid: axes separated by `;`, the values of an axis by commas.

  A value is an int, float, bool (true, false) or str, the first that fits.
  `linspace(a, b, n)` and `logspace(a, b, n)`, from 10^a to 10^b, include both
  ends, `range(a, b)` stops before b. They are computed in decimal: 0.3 is the
  float 0.3, and a grid has the same bits on every machine.

  Args:
    text: For example `alpha=0.1,0.3;k=4,5`; '' is the grid without axes.

  Returns:
    {path of a field: its values}, in the order given.

  Raises:
    ConfigError: If text is malformed, or an axis or a value is repeated.

  >>> parse_grid('alpha=0,logspace(-2,0,3);k=range(3,6);on=full,sensing')
  {'alpha': (0, 0.01, 0.1, 1.0), 'k': (3, 4, 5), 'on': ('full', 'sensing')}
  """
  return _grid(text, 'sweep')


def _grid(text: str, root: str) -> dict[str, tuple]:
  form = 'NAME=VALUE,VALUE,...;NAME=...'
  problems: list[Problem] = []
  grid: dict[str, tuple] = {}
  try:
    parts = _split(text, ';') if text.strip() else []
  except ValueError as error:
    raise ConfigError([Problem(root, repr(text), str(error))]) from None
  for part in parts:
    name, equals, values = (piece.strip() for piece in part.partition('='))
    path = f'{root}.{name}'
    if not equals or not all(map(str.isidentifier, name.split('.'))):
      problems.append(Problem(root, repr(part), form))
    elif name in grid:
      problems.append(Problem(path, 'this axis again', 'each axis once'))
    else:
      grid[name] = ()
      try:
        grid[name] = tuple(v for p in _split(values, ',') for v in _values(p))
        problems += _check_axis(path, grid[name])
      except ValueError as error:
        problems.append(Problem(path, repr(values), str(error)))
  _raise(problems)
  return grid


def _split(text: str, separator: str) -> list[str]:
  """Splits a text at the separators that stand outside of brackets."""
  parts, depth = [''], 0
  for char in text:
    depth += (char in '([') - (char in ')]')
    if depth < 0:
      break
    if char == separator and depth == 0:
      parts.append('')
    else:
      parts[-1] += char
  if depth:
    raise ValueError('brackets that match')
  return [part.strip() for part in parts]


def _parts(text: str) -> list[str]:
  """The elements of a tuple: `1,2`, `(1, 2)`, `[1]`, `1,` or nothing."""
  text = text.strip()
  if text[:1] in ('(', '[') and text[-1:] in (')', ']'):
    with contextlib.suppress(ValueError):  # the brackets of (1,2),(3,4)
      _split(text[1:-1], ',')
      text = text[1:-1]
  parts = _split(text, ',')
  return parts[:-1] if not parts[-1] else parts


def _number(text: str, integral: bool = False) -> Any:
  """The int or else float of a text, or the text; 1e4 is an int.

  `integral` makes an int of 2.0, too.
  """
  with contextlib.suppress(ValueError):
    return int(text)
  try:
    value = float(text)
  except ValueError:
    return text
  # Beyond 2^53 a float does not say which integer was meant.
  whole = value.is_integer() and abs(value) < 2**53
  return int(value) if whole and (integral or '.' not in text) else value


def _values(text: str) -> Sequence[Any]:
  """The values that one entry of an axis stands for."""
  if not text:
    raise ValueError('a value before and after each comma')
  call = re.fullmatch(r'(\w+)\s*\((.*)\)', text)
  if call:
    return _span(call[1], _split(call[2], ','))
  if text[0] in '([':
    return [tuple(v for part in _parts(text) for v in _values(part))]
  return [{'true': True, 'false': False}.get(text.lower(), _number(text))]


def _span(name: str, args: Sequence[str]) -> Sequence[Any]:
  if name not in _SPANS:
    raise ValueError(f'a value or one of {", ".join(_SPANS.values())}')
  try:
    if name == 'range':
      values: Sequence[Any] = range(*(_number(a, integral=True) for a in args))
    else:
      first, last, count = args
      count = range(_number(count, integral=True))
      if len(count) > _MOST_VALUES:
        raise ValueError
      with decimal.localcontext(decimal.Context(prec=40)):
        low, high = decimal.Decimal(first), decimal.Decimal(last)
        gaps = max(len(count) - 1, 1)
        points = [low + (high - low) * i / gaps for i in count]
        points = [10**x for x in points] if name == 'logspace' else points
      values = [float(point) for point in points]
    if 1 <= len(values) <= _MOST_VALUES and all(map(math.isfinite, values)):
      return values
  except (ArithmeticError, TypeError, ValueError):
    pass  # whatever is wrong with it, the form is the answer
  raise ValueError(f'{_SPANS[name]}, 1 to {_MOST_VALUES} finite values')


def _parse(text: str, t: _Type, path: str) -> Any:
  """The value of a text, or what `_check` will then refuse: often the text."""
  word = text.strip()
  if t.none and word.lower() == 'none':
    return None
  if t.base is bool:
    return _BOOLS.get(word.lower(), text)
  if t.base is float:
    with contextlib.suppress(ValueError):
      return float(word)
  if t.base is tuple:
    with contextlib.suppress(ValueError):
      parts = _parts(word)
      items = t.elements(len(parts))
      if len(items) == len(parts) and '' not in parts:
        pairs = zip(parts, items, strict=True)
        return tuple(_parse(part, item, path) for part, item in pairs)
  if t.base is Mapping:
    return _grid(word, path)
  return _number(word, integral=True) if t.base in (int, Any) else text


def _unknown(
  path: str, name: str, fields: Iterable[str], others: Mapping[str, str] = {}
) -> Problem:
  places = {**others, **{field: f'{path}.{field}' for field in fields}}
  near = places.get(_nearest(str(name), places), '')
  return Problem(f'{path}.{name}', _UNKNOWN, ', '.join(fields), near)


def _locate(config: Any, path: str, root: str) -> _Type:
  """The type of the field at a dotted path."""
  owner, at, t = config, root, _Type(type(config), {})
  for name in path.split('.'):
    if not dataclasses.is_dataclass(owner):
      got = f'{owner!r} at {at}'
      raise ConfigError([Problem(f'{root}.{path}', got, 'a config there')])
    fields = _fields(type(owner))
    if name not in fields:
      leaves = [leaf for leaf, _, _ in _leaves(config)]
      deeper = {p.rpartition('.')[2]: f'{root}.{p}' for p in leaves}
      raise ConfigError([_unknown(at, name, fields, deeper)])
    owner, at, t = getattr(owner, name), f'{at}.{name}', fields[name]
  return t


def _put(config: Any, path: Sequence[str], value: Any) -> Any:
  head, *rest = path
  value = _put(getattr(config, head), rest, value) if rest else value
  return dataclasses.replace(config, **{head: value})


# --- Dicts, JSON, digest ------------------------------------------------------


def normalise(config: _C) -> _C:
  """The config in the one form that equal configs share.

  Args:
    config: A config dataclass; a value of a wrong type stays as it is.

  Returns:
    The same config with ints as floats where floats are declared, lists as
    tuples, and the axes of grids in alphabetical order.
  """
  _require(config)
  return _cast(config, _Type(type(config), {}), 'config', [])


def _cast(value: Any, t: _Type, path: str, problems: list[Problem]) -> Any:
  """The value as its type has it: what lists and dicts of JSON stand for."""
  if t.base in (tuple, Any) and isinstance(value, (list, tuple)):
    items = (t,) * len(value) if t.base is Any else t.elements(len(value))
    if len(items) != len(value):
      return tuple(value)
    return tuple(
      _cast(v, item, f'{path}[{i}]', problems)
      for i, (v, item) in enumerate(zip(value, items, strict=True))
    )
  if t.base is Mapping and isinstance(value, Mapping):
    return {
      name: _cast(value[name], t.items[0], f'{path}.{name}', problems)
      for name in sorted(value, key=str)
    }
  if t.base in _WORDS:
    # np.float64 is a float, too, but prints as something else.
    exact = float if t.base is Any else (int, float)
    number = t.base in (float, Any) and isinstance(value, exact)
    return float(value) if number and _fits(value, t) else value
  if isinstance(value, Mapping) and dataclasses.is_dataclass(t.base):
    return _build(t.base, value, path, problems)
  if type(value) is not t.base:
    return value
  cast = {
    name: _cast(getattr(value, name), inner, f'{path}.{name}', problems)
    for name, inner in _fields(t.base).items()
  }
  return dataclasses.replace(value, **cast)


def _build(
  cls: Any, mapping: Mapping[str, Any], path: str, problems: list[Problem]
) -> Any:
  fields = _fields(cls)
  found = [_unknown(path, n, fields) for n in mapping if n not in fields]
  values = {}
  for name in [name for name in fields if name in mapping]:
    inner: list[Problem] = []
    full, t = f'{path}.{name}', fields[name]
    values[name] = _cast(mapping[name], t, full, inner)
    found += inner or _check(values[name], t, full, [])
  if not found:
    try:
      return cls(**values)
    except (TypeError, ValueError) as error:  # its own __init__ refuses
      found = [Problem(path, str(error), '')]
  problems += found
  return None


def to_dict(config: Any) -> dict[str, Any]:
  """The normalised config as nested dicts, tuples as lists, ready for JSON."""
  return _encode(normalise(config))


def _encode(value: Any) -> Any:
  if dataclasses.is_dataclass(value):
    return {n: _encode(getattr(value, n)) for n in _fields(type(value))}
  if isinstance(value, Mapping):
    return {name: _encode(v) for name, v in value.items()}
  return [*map(_encode, value)] if isinstance(value, (tuple, list)) else value


def to_json(config: Any) -> str:
  """The config as indented JSON with sorted keys, floats to the last bit.

  >>> @dataclasses.dataclass(frozen=True)
  ... class Config:
  ...   sigma: tuple[float, ...] = field((1.0, 0.1), 'singular values')
  >>> from_json(Config, to_json(Config())) == Config()
  True
  """
  return json.dumps(to_dict(config), sort_keys=True, indent=2)


def from_dict(cls: type[_C], mapping: Mapping[str, Any]) -> _C:
  """The config that nested dicts describe, the inverse of `to_dict`.

  Values are checked one by one; rules across fields are left to `validate`.

  Args:
    cls: The config dataclass.
    mapping: {field: value}; an absent field takes its default.

  Returns:
    The config.

  Raises:
    ConfigError: With all unknown fields and refused values.
  """
  t, problems = _Type(cls, {}), list[Problem]()
  config = _cast(mapping, t, 'config', problems)
  _raise(problems or _check(config, t, 'config', []))
  return config


def from_json(cls: type[_C], text: str) -> _C:
  """The config that JSON describes, the inverse of `to_json`.

  Args:
    cls: The config dataclass.
    text: A JSON object.

  Returns:
    The config.

  Raises:
    ConfigError: As `from_dict`, and for text that is not JSON.
  """
  try:
    mapping = json.loads(text)
  except json.JSONDecodeError as error:
    raise ConfigError([Problem('config', f'not JSON: {error}', '')]) from None
  return from_dict(cls, mapping)


def _canonical(value: Any) -> str:
  return json.dumps(value, sort_keys=True, separators=(',', ':'))


def digest(config: Any, length: int = 12) -> str:
  """Names a config by its contents: the SHA-256 of its canonical JSON.

  Args:
    config: A config dataclass; the order of fields and axes does not matter.
    length: How many hexadecimal digits, 1 to 64.

  Returns:
    The first `length` digits, the same in every process.

  Raises:
    ValueError: If `length` is out of range.
  """
  if not 1 <= length <= 64:
    raise ValueError(f'length is {length}, expected 1 to 64')
  text = _canonical(to_dict(config))
  return hashlib.sha256(text.encode()).hexdigest()[:length]


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
  """What changed between two nested dicts; empty if their digests agree.

  Args:
    old: For example the stored config.
    new: For example `to_dict` of the present one.

  Returns:
    A line a change, ordered by path.

  >>> diff({'alpha': 0.1, 'inner': {'k': 4}}, {'alpha': 0.3, 'inner': {}})
  ['alpha: 0.1 -> 0.3', 'inner.k: 4 -> absent']
  """
  lines = []
  for name in sorted({*old, *new}):
    sides = [side[name] for side in (old, new) if name in side]
    if len(sides) == 2 and all(isinstance(side, Mapping) for side in sides):
      lines += [f'{name}.{line}' for line in diff(*sides)]
    elif len({*map(_canonical, sides)}) + (len(sides) < 2) > 1:
      shown = [repr(d[name]) if name in d else 'absent' for d in (old, new)]
      lines.append(f'{name}: {" -> ".join(shown)}')
  return lines


# --- Files and tables ---------------------------------------------------------


def load(spec: str) -> Any:
  """The config that a file returns from `get_config()` or with a variant.

  Args:
    spec: `path/to/file.py`, or `path/to/file.py:variant` for
      `get_config('variant')`.

  Returns:
    The config dataclass, not yet validated.

  Raises:
    ConfigError: In one line that names the file, if it is missing, fails, has
      no `get_config`, knows no such variant, or returns something else.

  >>> load('no/such/file.py:variant')
  Traceback (most recent call last):
  framework.config.ConfigError: no/such/file.py: got no such file, expected a
  Python file that defines get_config
  """
  file, colon, variant = spec.partition('.py:')
  file = f'{file}.py' if colon else file
  wanted = 'a Python file that defines get_config'
  if not file.endswith('.py') or not pathlib.Path(file).is_file():
    near = _nearest(file, map(str, pathlib.Path(file).parent.glob('*.py')))
    raise ConfigError([Problem(file, 'no such file', wanted, near)])
  try:
    get_config = getattr(_import(file), 'get_config', None)
  except Exception as error:
    raise ConfigError([Problem(file, _failure(error, file), '')]) from error
  if get_config is None:
    raise ConfigError([Problem(file, 'a file without it', wanted)])
  try:
    config = get_config(variant) if variant else get_config()
  except ValueError as error:  # its words on a variant that it does not know
    raise ConfigError([Problem(spec, _words(error), '')]) from error
  except Exception as error:
    raise ConfigError([Problem(spec, _failure(error, file), '')]) from error
  if isinstance(config, type) or not dataclasses.is_dataclass(config):
    wanted = 'a config dataclass from get_config'
    raise ConfigError([Problem(spec, _quoted(config), wanted)])
  return config


def _import(file: str) -> types.ModuleType:
  path = str(pathlib.Path(file).absolute())
  name = f'_config_{hashlib.sha256(path.encode()).hexdigest()[:12]}'
  loader = importlib.machinery.SourceFileLoader(name, path)
  spec = importlib.util.spec_from_loader(name, loader)
  module = importlib.util.module_from_spec(typing.cast(Any, spec))
  sys.modules[name] = module  # where a dataclass looks up its annotations
  try:
    # Always the source: cached bytecode is stale if it changed in the second.
    code = loader.source_to_code(loader.get_data(path), path)
    exec(code, module.__dict__)
  except BaseException:
    del sys.modules[name]
    raise
  return module


def _failure(error: Exception, file: str) -> str:
  path = str(pathlib.Path(file).absolute())
  frames = traceback.extract_tb(error.__traceback__)
  lines = [frame.lineno for frame in frames if frame.filename == path]
  place = f'line {lines[-1]}: ' if lines else ''
  return f'{place}{type(error).__name__}: {error}'


def describe(config: Any) -> str:
  """A table of all fields, nested ones by their dotted path.

  Args:
    config: A config dataclass.

  Returns:
    Aligned lines `path  value  unit  doc`, the values as `override` takes them
    and cut at 40 characters.

  >>> @dataclasses.dataclass(frozen=True)
  ... class Config:
  ...   eta: float = field(0.1, 'step size', unit='1/s')
  >>> print(describe(Config()))
  path  value  unit  doc
  eta   0.1    1/s   step size
  """
  _require(config)
  rows = [('path', 'value', 'unit', 'doc')]
  for path, value, t in _leaves(config):
    text = _text(value)
    text = text if len(text) <= 40 else text[:37] + '...'
    rows.append((path, text, t.meta.get('unit', ''), t.meta.get('doc', '')))
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return '\n'.join(
    '  '.join(map(str.ljust, row, widths)).rstrip() for row in rows
  )


def _leaves(config: Any, prefix: str = '') -> Iterator[tuple[str, Any, _Type]]:
  for name, t in _fields(type(config)).items():
    value = getattr(config, name)
    if dataclasses.is_dataclass(value):
      yield from _leaves(value, f'{prefix}{name}.')
    else:
      yield f'{prefix}{name}', value, t


def _text(value: Any) -> str:
  if isinstance(value, Mapping):
    return ';'.join(f'{name}={_text(v)}' for name, v in value.items())
  if isinstance(value, (tuple, list)):
    return ','.join(
      f'({_text(v)})' if isinstance(v, (tuple, list)) else _text(v)
      for v in value
    )
  # As they are typed on a command line: true, none.
  plain = value is None or isinstance(value, bool)
  return str(value).lower() if plain else str(value)
