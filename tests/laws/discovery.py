"""Finds the builders of Systems and the entries of the laws."""

import ast
import functools
import importlib
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.laws.entry import Entry

ROOT = pathlib.Path(__file__).parents[2]
SYSTEMS = ROOT / 'framework' / 'systems'
ENTRIES = pathlib.Path(__file__).parent / 'entries'


@functools.cache
def functions(file: pathlib.Path) -> dict[str, str]:
  """The public functions of a module, and what they are annotated to return."""
  return {
    node.name: ast.unparse(node.returns) if node.returns else ''
    for node in ast.parse(file.read_text()).body
    if isinstance(node, ast.FunctionDef) and not node.name.startswith('_')
  }


def found(wanted: Callable[[str, str], bool]) -> set[str]:
  """The functions below framework/systems for which wanted(name, returns)."""
  return {
    f'{_module(file)}.{name}'
    for file in SYSTEMS.rglob('*.py')
    for name, returns in functions(file).items()
    if wanted(name, returns)
  }


def builders() -> set[str]:
  """Public functions that return a `System`."""
  return found(lambda name, returns: returns.split('.')[-1] == 'System')


def finals() -> set[str]:
  """What is observed once, at the end of a run."""
  return found(lambda name, returns: name == 'final')


def packages() -> set[str]:
  """Packages with a `system.py`."""
  return {_module(file) for file in SYSTEMS.rglob('system.py')}


def full_name(function: Callable[..., Any]) -> str:
  """As `found` has it; of a function within another that of the outer one."""
  return f'{function.__module__}.{function.__qualname__.split(".")[0]}'


def entries(marked: bool = True) -> list[Any]:
  """Parameters (file, place in its `ENTRIES`), slow ones marked if asked for.

  A file that cannot be imported is one parameter, whose tests fail: what a
  family breaks does not stop the laws of others.
  """
  params = []
  for file in sorted(ENTRIES.glob('*.py')):
    try:
      names = [(e.name, e.slow) for e in module(file.stem).ENTRIES]
    except Exception:  # whatever an import may raise
      names = [('cannot be imported', False)]
    for i, (name, slow) in enumerate(names):
      marks = [pytest.mark.slow] if slow and marked else []
      params.append(
        pytest.param((file.stem, i), id=f'{file.stem}: {name}', marks=marks)
      )
  return params


def entry(param: tuple[str, int]) -> Entry:
  """The entry that a parameter is of."""
  stem, i = param
  return module(stem).ENTRIES[i]


def module(stem: str) -> Any:
  """A file of entries."""
  return importlib.import_module(f'tests.laws.entries.{stem}')


def _module(file: pathlib.Path) -> str:
  return '.'.join(file.relative_to(ROOT).with_suffix('').parts)
