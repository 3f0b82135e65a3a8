"""The project as a package: built, checked, and run from elsewhere."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def dist(tmp_path_factory):
  """Wheel and sdist, of a copy of the files that git has."""
  for name in ('build', 'twine'):
    if importlib.util.find_spec(name) is None:
      pytest.skip(f'no {name}: it comes with the extra "site"')
  source, target = (
    tmp_path_factory.mktemp('source'),
    tmp_path_factory.mktemp('d'),
  )
  subprocess.run(
    f'git archive HEAD | tar x -C {source}', shell=True, check=True, cwd=ROOT
  )
  subprocess.run(
    [sys.executable, '-m', 'build', '--no-isolation', '-o', target, source],
    check=True,
    capture_output=True,
  )
  return target


def test_wheel_and_sdist_are_fit_for_the_index(dist):
  files = sorted(dist.iterdir())
  assert [file.suffix for file in files] == ['.gz', '.whl'] or [
    file.suffix for file in files
  ] == ['.whl', '.gz']
  subprocess.run(
    [sys.executable, '-m', 'twine', 'check', '--strict', *files], check=True
  )


def test_an_installed_copy_runs_from_another_directory(dist, tmp_path):
  """Unpacked where pip would put it, before everything else on the path."""
  wheel = next(dist.glob('*.whl'))
  with zipfile.ZipFile(wheel) as archive:
    archive.extractall(tmp_path / 'installed')
    entries = next(n for n in archive.namelist() if n.endswith('points.txt'))
    text = archive.read(entries).decode()
  assert 'training-dynamics = experiments.__main__:main' in text
  for arguments in (['experiments'], ['experiments.matrix_sensing', '--cite']):
    code = (
      'import runpy, sys; '
      f'sys.path.insert(0, {str(tmp_path / "installed")!r}); '
      f'sys.argv = {arguments!r}; '
      f'runpy.run_module({arguments[0]!r}, run_name="__main__", '
      'alter_sys=True)'
    )
    done = subprocess.run(
      [sys.executable, '-P', '-c', code],
      capture_output=True,
      text=True,
      cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert 'matrix_sensing' in done.stdout or 'xiong2023' in done.stdout


def interpreter(version):
  """A Python of that version: on the path or of pyenv, else None."""
  pyenv = pathlib.Path(os.environ.get('PYENV_ROOT', '~/.pyenv')).expanduser()
  found = [shutil.which(f'python{version}')]
  found += sorted(pyenv.glob(f'versions/{version}.*/bin/python'))
  code = 'import sys; print(*sys.version_info[:2], sep=".")'
  for path in filter(None, found):
    told = subprocess.run([path, '-c', code], capture_output=True, text=True)
    if told.stdout.strip() == version:  # a shim of pyenv may tell nothing
      return path
  return None


@pytest.mark.parametrize('version', ['3.11', '3.12', '3.13'])
def test_it_installs_on(version, dist, tmp_path):
  """With what the index has now for that Python, from another directory."""
  uv, python = shutil.which('uv'), interpreter(version)
  if uv is None or python is None:
    pytest.skip(f'no {"uv" if uv is None else f"Python {version}"}')
  place = tmp_path / 'environment'
  there = {'cwd': tmp_path, 'capture_output': True, 'text': True}
  environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
  there['env'] = environment | {'VIRTUAL_ENV': f'{place}'}
  wheel = next(dist.glob('*.whl'))
  for command in (
    [uv, 'venv', '--quiet', f'--python={python}', place],
    [uv, 'pip', 'install', '--quiet', wheel],
  ):
    done = subprocess.run(command, **there)
    assert done.returncode == 0, done.stderr
  launch = 'matrix_sensing --config.steps=300 --seeds=1 --progress=none'
  for command in (
    [place / 'bin/training-dynamics'],
    [place / 'bin/training-dynamics', *launch.split(), '--workdir=run'],
  ):
    done = subprocess.run(command, **there)
    assert done.returncode == 0, done.stderr
  assert '<script>' in (tmp_path / 'run/report.html').read_text()
