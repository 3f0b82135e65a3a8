import dataclasses
import hashlib
import sys
import textwrap
import typing

import pytest

from framework import config as lib
from tests.config.example import Config, Inner, lines

FILE = 'a Python file that defines get_config'


def test_digest_does_not_depend_on_the_order_of_fields():
  one = dataclasses.make_dataclass('One', [('a', int, 1), ('b', float, 0.1)])
  two = dataclasses.make_dataclass('Two', [('b', float, 0.1), ('a', int, 1)])
  assert lib.digest(one()) == lib.digest(two()) != lib.digest(one(a=2))
  # The bytes are a promise: stored runs are found by them.
  canonical = b'{"a":1,"b":0.1}'
  assert lib.digest(one()) == hashlib.sha256(canonical).hexdigest()[:12]


def test_diff_names_what_changed():
  old = lib.to_dict(Config())
  new = lib.to_dict(Config(alpha=0.3, noisy=True, inner=Inner(k=5)))
  assert lib.diff(old, new) == [
    'alpha: 0.1 -> 0.3',
    'inner.k: 4 -> 5',
    'noisy: False -> True',
  ]
  assert lib.diff({'a': 1}, {'b': {}}) == ['a: 1 -> absent', 'b: absent -> {}']
  assert lib.diff({'a': 1, 'b': None}, {'a': True}) == [
    'a: 1 -> True',
    'b: None -> absent',
  ]
  assert lib.diff({'a': {'b': 1}}, {'a': None}) == ["a: {'b': 1} -> None"]


def write(path, text):
  path.write_text(textwrap.dedent(text))
  return str(path)


def test_load_calls_get_config(tmp_path, monkeypatch):
  monkeypatch.setattr(sys, 'dont_write_bytecode', False)
  file = write(
    tmp_path / 'good.py',
    """
    import dataclasses
    from framework.config import field

    @dataclasses.dataclass(frozen=True)
    class Inner:
      k: int = field(1, 'rank')

    @dataclasses.dataclass(frozen=True)
    class Config:
      inner: 'Inner' = field(Inner(), 'inner')
      name: str = field('none', 'name')

    def get_config(variant='default'):
      if variant == 'bad':
        raise ValueError("variant is 'bad',\\nexpected default or wide")
      return {'default': Config(), 'wide': Config(name='wide')}[variant]
    """,
  )
  config = lib.load(file)
  lib.validate(config)
  assert config.name == 'none' and lib.load(f'{file}:').name == 'none'
  assert lib.load(f'{file}:wide').name == 'wide'
  assert lib.override(config, [('inner.k', '7')]).inner.k == 7
  assert typing.get_type_hints(type(config))['inner'].__name__ == 'Inner'
  assert lines(lib.load, f'{file}:bad') == [
    f"{file}:bad: variant is 'bad',; expected default or wide"
  ]
  assert lines(lib.load, f'{file}:x') == [f"{file}:x: line 17: KeyError: 'x'"]
  assert not (tmp_path / '__pycache__').exists()


def test_load_reads_the_file_anew(tmp_path, monkeypatch):
  monkeypatch.setattr(sys, 'dont_write_bytecode', False)
  text = """
  import dataclasses
  @dataclasses.dataclass
  class C:
    x: int = {}
  get_config = C
  """
  for x in (1, 2):
    file = write(tmp_path / 'changing.py', text.format(x))
    assert lib.load(file).x == x


@pytest.mark.parametrize(
  'name, text, wanted',
  [
    (
      'absent.py',
      None,
      f'got no such file, expected {FILE}',
    ),
    (
      'confg',
      None,
      f'got no such file, expected {FILE}; did you mean ',
    ),
    (
      'config.py',
      'x = 1',
      "AttributeError: module 'config ",
    ),
    (
      'config.py',
      'import json\n1 / 0',
      'line 2: ZeroDivisionError: division by zero',
    ),
    ('config.py', 'def f(:', 'SyntaxError: invalid syntax (config.py, line 1)'),
    (
      'config.py',
      'import no_such_module',
      "line 1: ModuleNotFoundError: No module named 'no_such_module'",
    ),
    (
      'config.py',
      'def get_config():\n  return 3',
      'got 3, expected a config dataclass from get_config',
    ),
    (
      'config.py',
      'def get_config():\n  return x',
      "line 2: NameError: name 'x' is not defined",
    ),
  ],
)
def test_load_refuses_in_one_line(tmp_path, name, text, wanted):
  write(tmp_path / 'config.py', text or '')
  (line,) = lines(lib.load, str(tmp_path / name))
  assert line.startswith(f'{tmp_path / name}: {wanted}')


def test_load_passes_on_a_config_error(tmp_path):
  file = write(
    tmp_path / 'strict.py',
    """
    from framework.config import ConfigError, Problem
    def get_config(variant):
      raise ConfigError([Problem('a', 1, '2'), Problem('b', 3, '4')])
    """,
  )
  assert lines(lib.load, f'{file}:v') == [
    f'{file}:v: a: got 1, expected 2; b: got 3, expected 4'
  ]
