"""Usage errors: one clear line, exit code 2, nothing written."""

import os
import pathlib
import subprocess
import sys

import pytest
from absl import flags
from absl.testing import flagsaver

from experiments.matrix_sensing import EXPERIMENT
from framework import config as config_lib
from framework.launch import flags as arguments

ROOT = pathlib.Path(__file__).parents[2]
VALID = 'valid: variant, seeds, '


arguments.define()  # once: what is defined inside flagsaver is gone after it


def parse(*words):
  with flagsaver.flagsaver():
    return arguments.parse(['program', *words], EXPERIMENT)


@pytest.mark.parametrize(
  'word, wanted',
  [
    (
      '--config.alhpa=1',
      f'config.alhpa: unknown field; did you mean config.alpha? {VALID}',
    ),
    ('--config.eta=nan', 'config.eta: got nan, expected a finite float > 0'),
    ('--config.k=40', 'config.k: got 40, expected an integer <= n = 30'),
    ('--config.r=-1', 'config.r: got -1, expected an integer >= 1 (rank'),
    ('--config.r=31', 'config.r: got 31, expected an integer <= n = 30'),
    (
      '--config.target=/nonexistent.npy',
      "config.target: got '/nonexistent.npy', expected a file",
    ),
    ('--config.target=.', "config.target: got '.', expected a file"),
    ('--config=nofile.py', 'nofile.py: got no such file, expected a Python'),
    (
      '--config=:nosuch',
      "--config=:nosuch: no variant 'nosuch'; there are symmetric, asymmetric",
    ),
    (
      '--sweep=alpha=0.1;alhpa=3',
      'config.sweep.alhpa: unknown field; did you mean config.sweep.alpha? '
      f'{VALID}',
    ),
    (
      '--sweep=k=3,99',
      'config.k at sweep point k=99: got 99, expected an integer <= n = 30',
    ),
    ('--sweep=k=3,3', 'config.sweep.k: got 3 (2 times), expected each value'),
    ('--sweep=k', "config.sweep: got 'k', expected NAME=VALUE,VALUE,..."),
    ('--sweep=k=3,', "config.sweep.k: got '3,', expected a value before and"),
    ('--sweep=eta=0.1,-1', 'config.sweep.eta: got -1, expected a finite'),
    (
      '--sweep=optimizer=gd,balanced',
      'config.optimizer at sweep point optimizer=balanced: got balanced, '
      'expected asymmetric',
    ),
    ('--sweep=n=20,30', 'config.sweep.n: got n, expected an axis other than n'),
    ('--seeds=0', 'flag --seeds=0: 0 is not a positive integer'),
    ('--seeds=1.5', 'flag --seeds=1.5: '),
    ('--batching=foo', 'flag --batching=foo: value should be one of <auto|'),
    ('--wrkdir=x', "Unknown command line flag 'wrkdir'. Did you mean: workdir"),
    (
      '--config.setting=foo',
      "config.setting: got 'foo', expected one of population, sensing",
    ),
    ('--config.seeds=1.5', 'config.seeds: got 1.5, expected an integer >= 1'),
    ('--config.seeds', '--config.seeds needs a value: --config.seeds=VALUE'),
    ('--config.eta=', "config.eta: got '', expected a finite float > 0"),
    ('--config.eta.x=1', 'config.eta.x: got 0.2 at config.eta, expected a'),
    ('--profile=3', '--profile=3: expected START:STOP, e.g. 100:200'),
    ('--profile=9:3', '--profile=9:3: expected START:STOP'),
    ('--topology=v5e:2x2', '--topology goes with --dry_run: it compiles'),
    ('stray', "unexpected argument 'stray'; flags start with --"),
  ],
)
def test_a_slip_is_one_clear_line(tmp_path, monkeypatch, word, wanted):
  monkeypatch.chdir(tmp_path)
  with pytest.raises((flags.Error, config_lib.ConfigError)) as caught:
    parse(word)
  assert str(caught.value).startswith(wanted)
  assert len(str(caught.value).splitlines()) == 1
  assert not [*tmp_path.iterdir()]


def test_slips_in_several_fields_are_told_together():
  words = ['--config.alhpa=1', '--config.n=0', '--sweep=k', '--seeds=3']
  with pytest.raises(config_lib.ConfigError) as caught:
    parse(*words)
  starts = [problem.path for problem in caught.value.problems]
  assert starts == ['config.alhpa', 'config.n', 'config.sweep']


def test_what_is_right_arrives():
  config = parse(
    '--config=:asymmetric',
    '--config.eta=1',
    '--config.n',
    '20',
    '--sweep=kappa=2,4;alpha=1,2;k=linspace(3,5,3)',
    '--seeds=2',
  )
  assert (config.variant, config.n, config.seeds) == ('asymmetric', 20, 2)
  assert repr(config.eta) == '1.0'
  # Lanes of a float field are floats; axes are sorted, their values are not.
  assert repr(config.sweep) == repr(
    {'alpha': (1.0, 2.0), 'k': (3, 4, 5), 'kappa': (2.0, 4.0)}
  )
  again = parse(
    '--config=:asymmetric',
    '--config.n=20',
    '--config.eta=1.0',
    '--seeds=2',
    '--sweep=alpha=1.0,2e0;k=3,4,5;kappa=2,4',
  )
  assert config_lib.digest(again) == config_lib.digest(config)
  assert not flags.FLAGS['sweep'].present  # the flags are as they were


@pytest.mark.parametrize(
  'word, wanted',
  [
    ('--config.alhpa=1', 'did you mean config.alpha?'),
    ('--batching=foo', 'flag --batching=foo'),
    ('--config.target=/nonexistent.npy', "got '/nonexistent.npy'"),
    ('--config.n=99999 --sweep=k=3', 'a lane needs 74.5 GiB (problem 74.5'),
  ],
)
def test_a_process_says_it_and_exits_2(tmp_path, word, wanted):
  done = subprocess.run(
    [sys.executable, '-m', 'experiments.matrix_sensing', *word.split()],
    cwd=tmp_path,
    env={**os.environ, 'JAX_PLATFORMS': 'cpu', 'PYTHONPATH': str(ROOT)},
    capture_output=True,
    text=True,
  )
  (line,) = done.stderr.splitlines()
  assert line.startswith('error: ') and wanted in line
  assert (done.returncode, done.stdout) == (2, '')
  assert not [*tmp_path.iterdir()]
