"""Nothing that is read from a work directory is ever executed."""

import ast
import pathlib

import numpy as np
import pytest

from framework.evidence import page as report

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = sorted(
  p
  for room in ('framework', 'experiments', 'configs')
  for p in (ROOT / room).rglob('*.py')
)
# Loading a config file, which is code and said to be, is the one exception.
LOADERS = {'framework/config/files.py', 'framework/config/text.py'}
EXECUTES = {'eval', 'exec', 'compile', '__import__'}
UNPICKLES = {'pickle', 'cPickle', 'dill', 'cloudpickle', 'joblib', 'shelve'}


def names(tree: ast.AST):
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      yield from (alias.name.split('.')[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
      yield node.module.split('.')[0]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
      yield node.func.id
    elif isinstance(node, ast.keyword) and node.arg == 'allow_pickle':
      assert isinstance(node.value, ast.Constant) and node.value.value is False


@pytest.mark.parametrize(
  'path', SOURCES, ids=lambda p: str(p.relative_to(ROOT))
)
def test_no_source_unpickles_or_executes(path):
  found = set(names(ast.parse(path.read_text())))
  assert not found & UNPICKLES
  if str(path.relative_to(ROOT)) not in LOADERS:
    assert not found & EXECUTES


class Bomb:
  """Unpickled, it would leave a file."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return pathlib.Path.touch, (self.path,)


def test_a_pickle_in_the_place_of_an_array_is_refused(tmp_path):
  from framework.systems.matrix_sensing import targets

  array = np.array([[Bomb(tmp_path / 'exploded')]], dtype=object)
  np.save(tmp_path / 'target.npy', array, allow_pickle=True)
  with pytest.raises(ValueError):
    targets.read(tmp_path / 'target.npy')
  assert not (tmp_path / 'exploded').exists()


def test_the_page_shows_text_as_text(tmp_path):
  script = '<script>alert(1)</script>'
  page = report.write(
    tmp_path,
    title=script,
    summary=script,
    claims=[],
    figures={},
    config_text=script,
    run={'status': script, script: script},
  )
  text = (tmp_path / 'report.html').read_text()
  assert script not in text and '&lt;script&gt;' in text
  del page
