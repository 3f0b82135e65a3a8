"""docs/extending.md, as a stranger follows it: from a wheel, in her folder."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import types

import nbformat
import pytest
from nbclient import NotebookClient

from framework import launch
from framework.launch import devices

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'extending.md').read_text()


def code(mark: str) -> list[str]:
  """The blocks of the page after a mark."""
  block = rf'<!-- {re.escape(mark)} -->\n```\w+\n(.*?)```'
  return re.findall(block, PAGE, flags=re.DOTALL)


@pytest.fixture(scope='session')
def wheel(tmp_path_factory) -> pathlib.Path:
  """Where the package is installed, not as a link to its source."""
  made = tmp_path_factory.mktemp('wheel')
  source = made / 'source'
  source.mkdir()
  tracked = subprocess.run(
    [
      'git',
      'ls-files',
      '-co',
      '--exclude-standard',
      '-z',
      'framework',
      'experiments',
      'configs',
      '*.toml',
      'README.md',
      'LICENSE',
    ],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  ).stdout.split('\0')
  for name in filter(None, tracked):
    if (ROOT / name).exists():
      (source / name).parent.mkdir(parents=True, exist_ok=True)
      (source / name).write_bytes((ROOT / name).read_bytes())
  pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '-q']
  subprocess.run(
    [*pip, 'wheel', '--no-deps', '--no-build-isolation', '-w', made, source],
    check=True,
  )
  (built,) = made.glob('*.whl')
  where = made / 'installed'
  subprocess.run(
    [*pip, 'install', '--no-deps', '--no-compile', '--target', where, built],
    check=True,
  )
  return where


@pytest.fixture
def folder(tmp_path, wheel, monkeypatch) -> pathlib.Path:
  """A folder with the page's files, and folders of our names beside them."""
  for name in ('my_theorem.py', 'my_theorem_test.py'):
    (tmp_path / name).write_text('\n\n'.join(code(f'file {name}')))
  for name in ('experiments', 'configs'):
    (tmp_path / name).mkdir()
    (tmp_path / name / '__init__.py').write_text("OWN = 'her own'\n")
  monkeypatch.setenv('PYTHONPATH', f'{tmp_path}{os.pathsep}{wheel}')
  monkeypatch.setenv('JAX_PLATFORMS', 'cpu')
  return tmp_path


def start(folder: pathlib.Path, *words: str) -> subprocess.Popen:
  return subprocess.Popen(
    [sys.executable, *words],
    cwd=folder,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def run(folder: pathlib.Path, *words: str) -> tuple[int, str]:
  process = start(folder, *words)
  out, _ = process.communicate(timeout=300)
  return process.returncode, out


def test_commands_of_the_page(folder, wheel):
  where = 'import framework, experiments; print(framework.__file__)'
  done, out = run(folder, '-c', where + '; print(experiments.OWN)')
  assert done == 0 and out.startswith(str(wheel)) and 'her own' in out
  (commands,) = code('shell')
  for line in commands.strip().splitlines():
    words = [word.strip("'") for word in line.split()[1:]]
    words = [w.replace("'", '') for w in words]
    done, out = run(folder, *words)
    assert done == 0, f'{line}: {out}'
    assert 'Traceback' not in out
    if '--help' not in line:
      assert re.search(r'[1-9]\d* hold, 0 fail', out), out
  for name in ('claims.json', 'results.csv', 'report.html', 'log.txt'):
    assert (folder / 'runs' / 'sweep' / name).stat().st_size


def test_a_killed_run_goes_on(folder):
  words = ('my_theorem.py', '--config.steps=400000', '--seeds=2')
  words += ('--progress=none', '--checkpoint_every_secs=0.2')
  done, out = run(folder, *words, '--workdir=runs/whole')
  assert done == 0, out
  process = start(folder, *words, '--workdir=runs/killed')
  checkpoints = folder / 'runs' / 'killed' / 'checkpoints'
  while not list(checkpoints.glob('[0-9]*')):
    assert process.poll() is None, process.communicate()[0]
    time.sleep(0.05)
  process.send_signal(signal.SIGKILL)
  process.communicate()
  done, out = run(folder, *words, '--workdir=runs/killed')
  assert done == 0 and 'resuming' in out, out
  for name in ('results.csv', 'claims.json'):
    whole, killed = (
      (folder / 'runs' / run / name).read_bytes() for run in ('whole', 'killed')
    )
    assert whole == killed


def test_the_notebook(folder):
  cell = '\n'.join(code('notebook'))
  again = 'study.run().status, Study.stored(EXPERIMENT, study.path).claims()'
  cells = [nbformat.v4.new_code_cell(text) for text in (cell, again)]
  notebook = nbformat.v4.new_notebook(cells=cells)
  client = NotebookClient(
    notebook, timeout=300, resources={'metadata': {'path': str(folder)}}
  )
  client.execute()
  told = ''.join(x.get('text', '') for x in notebook.cells[0].outputs)
  assert "('eta=0.5.variance', 'holds')" in told
  kinds = notebook.cells[0].outputs[-1]['data']
  assert 'image/png' in kinds or 'text/plain' in kinds
  last = notebook.cells[1].outputs[-1]['data']['text/plain']
  assert re.match(r"\('done',\s*\[Claim\(", last)


def test_the_laws_of_the_page(folder):
  done, out = run(folder, '-m', 'pytest', '-q', '-p', 'no:cacheprovider')
  assert done == 0, out
  assert re.search(r'\d+ passed', out)


@pytest.mark.parametrize(
  'old, new, wanted',
  [
    ('Hp(NamedTuple)', 'Hp(dict)', 'arm(config): AttributeError: '),
    ('x - hp.eta *', 'x - hp.etta *', 'system.step(key, state, problem, hp): '),
    ("{'squared': x**2}", 'x**2', 'system.observe: got '),
    ('lambda key, hp: ()', 'lambda key: ()', 'system.sample(key, hp): Type'),
    ('x - hp.eta *', 'jnp.ones(3) - hp.eta *', 'system.step: got state is flo'),
    ('Arm(SYSTEM, ', 'dict(system=SYSTEM, hp=', 'arm(config): got dict, exp'),
    ("'quick': (", "'fast': {}, 'quick': (", "Experiment.configs['fast']: got"),
    (
      'def make_claims(config, results)',
      'def make_claims(config)',
      'Experiment.variants.claims: got too many positional arguments, expected',
    ),
    ("name='my_theorem'", "name='my theorem'", "Experiment.name: got 'my th"),
    ('return linspaced(', 'return [3, 1]\n  print(', 'config: record times'),
    ('field(0.1,', 'field(-1.0,', 'config.eta: got -1.0, expected a finite'),
  ],
)
def test_a_mistake_is_one_line_before_anything_is_made(
  tmp_path, monkeypatch, capsys, old, new, wanted
):
  text = '\n\n'.join(code('file my_theorem.py'))
  assert old in text
  module = types.ModuleType('wrong_theorem')
  monkeypatch.setitem(sys.modules, module.__name__, module)
  monkeypatch.chdir(tmp_path)
  # It would set the precision of this process, of other tests as well.
  monkeypatch.setattr(devices, 'prepare', lambda flags, precision: None)
  exec(compile(text.replace(old, new), 'my_theorem.py', 'exec'), vars(module))
  assert launch.run(module.EXPERIMENT, ['my_theorem']) == 2
  told = capsys.readouterr()
  assert told.err.startswith(f'error: {wanted}'), told.err
  assert told.err.count('\n') == 1 and not told.out
  assert not [*tmp_path.iterdir()]


def test_a_bug_in_claims_loses_nothing(folder):
  file = folder / 'my_theorem.py'
  good = file.read_text()
  file.write_text(good.replace('eta=eta).mean(1)', 'eta=eta).mean(7)'))
  done, out = run(folder, 'my_theorem.py', '--workdir=runs/one')
  assert done == 1
  assert 'the records in runs/one are safe' in out.splitlines()[-1], out
  assert (folder / 'runs/one/results.csv').exists()
  file.write_text(good)
  done, out = run(
    folder, 'my_theorem.py', '--workdir=runs/one', '--mode=report'
  )
  assert done == 0 and '1 hold, 0 fail' in out, out
