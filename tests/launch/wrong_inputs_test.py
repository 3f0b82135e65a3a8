"""Wrong inputs of every experiment: one line, exit code 2, nothing written.

`wrong_inputs.tsv` is the table: what is typed, and how the line begins.
"""

import importlib
import pathlib

import jax
import numpy as np
import pytest
from absl.testing import flagsaver

from framework.launch import flags as arguments
from framework.launch import run

arguments.define()  # once: what is defined inside flagsaver is gone after it
TABLE = [
  line.split('\t')
  for line in pathlib.Path(__file__)
  .with_name('wrong_inputs.tsv')
  .read_text()
  .splitlines()
]


@pytest.fixture(autouse=True)
def process(monkeypatch):
  """The launcher sets the precision and the data folder of its process."""
  monkeypatch.setenv('TRAINING_DYNAMICS_DATA', '')  # and restores it
  yield
  jax.config.update('jax_enable_x64', True)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
  """A folder with files that are no good."""
  monkeypatch.chdir(tmp_path)
  np.save('bad.npy', np.array([1, np.nan]))
  np.save('cube.npy', np.zeros((2, 2, 2)))
  np.savez('shapes.npz', A=np.ones((6, 3, 2)), y=np.ones(5))
  np.savez('holes.npz', A=np.ones((6, 3, 2)), y=np.full(6, np.nan))
  for name, text in {
    'text.npy': 'hello',
    'text.png': 'hello',
    'broken.py': 'def get_config(variant=""):\n  return 1 / 0\n',
    'none.py': 'x = 1\n',
    'syntax.py': 'def f(:\n',
    'afile': '',
    'full/notes': 'mine',
  }.items():
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
  return tmp_path


@pytest.mark.parametrize(
  'command, begins', TABLE, ids=[command for command, _ in TABLE]
)
def test_it_is_one_line_and_nothing_is_written(folder, capsys, command, begins):
  name, *words = command.split(' ')
  experiment = importlib.import_module(f'experiments.{name}').EXPERIMENT
  before = sorted(folder.rglob('*'))
  with flagsaver.flagsaver():
    code = run(experiment, ['program', *words])
  said = capsys.readouterr()
  assert code == 2
  assert said.out == ''
  (line,) = said.err.splitlines()
  assert line.startswith(f'error: {begins}'), line
  assert sorted(folder.rglob('*')) == before


def test_the_table_is_long_and_has_every_kind():
  assert len(TABLE) >= 57
  named = {command.split(' ')[0] for command, _ in TABLE}
  assert len(named) >= 8
