"""Typed experiment configs: frozen dataclasses, checked field by field.

A config says what a run computes. It is a frozen dataclass whose fields carry
their meaning, unit and bounds; a config file returns one, the command line
overrides it, the results keep it as JSON, and its digest says whether two runs
are the same run. All problems are found before anything runs, a line each.

What a class declares is in `fields`, checking in `values`, the command line in
`text`, what all configs share in `base`; here is what lies on disk.

>>> from framework.config import field, override, validate
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
framework.config.fields.ConfigError: config.k: got 9, expected at most n = 8
"""

import dataclasses
import hashlib
import json
import pathlib
import sys
import traceback
import types
from collections.abc import Mapping
from typing import Any

from etils import epath

from framework.config.fields import (
  ConfigError,
  Problem,
  fields_of,
  nearest,
  raise_for,
)
from framework.config.values import quoted, to_dict

__all__ = ['check_files', 'diff', 'digest', 'identity', 'load']


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
  framework.config.fields.ConfigError: no/such/file.py: got no such file,
  expected a Python file that defines get_config
  """
  file, colon, variant = spec.partition('.py:')
  path = pathlib.Path(f'{file}.py' if colon else file)
  if path.suffix != '.py' or not path.is_file():
    wanted = 'a Python file that defines get_config'
    near = nearest(str(path), map(str, path.parent.glob('*.py')))
    raise ConfigError([Problem(str(path), 'no such file', wanted, near)])
  try:
    get_config = _import(path).get_config
    config = get_config(variant) if variant else get_config()
  except Exception as error:
    raise ConfigError([Problem(spec, _failure(error, path), '')]) from error
  if isinstance(config, type) or not dataclasses.is_dataclass(config):
    wanted = 'a config dataclass from get_config'
    raise ConfigError([Problem(spec, quoted(config), wanted)])
  return config


def _import(path: pathlib.Path) -> types.ModuleType:
  """Runs the source anew: cached bytecode may be a second too old."""
  module = types.ModuleType(f'config {path.absolute()}')
  module.__file__ = str(path.absolute())
  sys.modules[module.__name__] = module  # a dataclass looks its types up there
  try:
    code = compile(path.read_bytes(), module.__file__, 'exec')
    exec(code, module.__dict__)
  except BaseException:
    del sys.modules[module.__name__]
    raise
  return module


def _failure(error: Exception, path: pathlib.Path) -> str:
  """What happened and in which line; of a ValueError the words are enough."""
  if isinstance(error, ValueError):
    return '; '.join(str(error).splitlines())
  frames = traceback.extract_tb(error.__traceback__)
  file = str(path.absolute())
  lines = [frame.lineno for frame in frames if frame.filename == file]
  place = f'line {lines[-1]}: ' if lines else ''
  return f'{place}{type(error).__name__}: {error}'


def digest(config: Any) -> str:
  """Names a config by its contents: the SHA-256 of its canonical JSON.

  Args:
    config: A config dataclass; the order of fields and axes does not matter.

  Returns:
    The first 12 hexadecimal digits, the same in every process.
  """
  text = _canonical(to_dict(config))
  return hashlib.sha256(text.encode()).hexdigest()[:12]


def identity(config: Any) -> str:
  """The digest of a config and of the files that it names, by their content.

  Args:
    config: A config dataclass whose files are there.

  Returns:
    12 hexadecimal digits; `digest` itself where no file is named.
  """
  found = digest(config)
  for _, path in _named_files(config):
    content = _content_digest(epath.Path(path))
    found = hashlib.sha256(f'{found} {content}'.encode()).hexdigest()[:12]
  return found


def _content_digest(path: epath.Path) -> str:
  """SHA-256 of a file, which may be larger than the memory."""
  total = hashlib.sha256()
  with path.open('rb') as file:
    while part := file.read(1 << 24):
      total.update(part)
  return total.hexdigest()


def check_files(config: Any) -> None:
  """Refuses a config that names a file that is not there.

  Args:
    config: A config dataclass.

  Raises:
    ConfigError: Naming every such field.
  """
  raise_for(
    [
      Problem(f'config.{name}', quoted(path), 'a file')
      for name, path in _named_files(config)
      if not epath.Path(path).is_file()
    ]
  )


def _named_files(config: Any) -> list[tuple[str, str]]:
  """(field, path) of each file that a config names, by the field's name."""
  fields = fields_of(type(config))
  files = sorted(name for name, t in fields.items() if t.meta.get('file'))
  named = [(name, getattr(config, name)) for name in files]
  return [(name, path) for name, path in named if path is not None]


def _canonical(value: Any) -> str:
  return json.dumps(value, sort_keys=True, separators=(',', ':'))


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
    elif len(sides) < 2 or _canonical(sides[0]) != _canonical(sides[1]):
      shown = [repr(d[name]) if name in d else 'absent' for d in (old, new)]
      lines.append(f'{name}: {" -> ".join(shown)}')
  return lines
