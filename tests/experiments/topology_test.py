"""Compiling for a TPU that is not there."""

import importlib
import importlib.util
import os
import re
import subprocess
import sys

import pytest

from experiments.__main__ import EXPERIMENTS
from framework import config as config_lib
from framework.launch import devices as machine
from tests.launch.process_test import ROOT

HAS_COMPILER = importlib.util.find_spec('libtpu') is not None


@pytest.mark.skipif(HAS_COMPILER, reason='the TPU compiler is installed')
def test_without_the_compiler_it_is_said():
  with pytest.raises(config_lib.ConfigError, match="--topology: got 'v5e:2x2'"):
    machine.topology('v5e:2x2')


def test_none_is_what_is_here():
  assert machine.topology(None) is None


def test_float64_on_a_tpu_is_refused_with_the_reason():
  class Device:
    platform = 'tpu'

  with pytest.raises(config_lib.ConfigError, match='TPUs emulate float64'):
    machine.check('float64', [Device()])
  machine.check('float32', [Device()])
  Device.platform = 'gpu'
  machine.check('float64', [Device()])


@pytest.mark.slow
@pytest.mark.skipif(not HAS_COMPILER, reason="pip install 'jax[tpu]' first")
@pytest.mark.parametrize('name', EXPERIMENTS)
@pytest.mark.parametrize('model', [1, 2])
def test_every_experiment_compiles_for_a_tpu(name, model):
  """Its default, in the precision that a TPU has; memory and cost are told."""
  fields = importlib.import_module(f'configs.{name}').get_config()
  words = ['--dry_run', '--topology=v5e:2x2', f'--model_devices={model}']
  if fields.precision == 'float64':
    words.append('--config.precision=float32')
  done = subprocess.run(
    [sys.executable, '-m', f'experiments.{name}', *words],
    cwd=ROOT,
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
    capture_output=True,
    text=True,
  )
  if name == 'scaling_law':  # fits of double precision, which a TPU has not
    assert done.returncode == 2
    assert "got 'float32', expected one of float64" in done.stderr
    return
  assert done.returncode == 0, done.stderr[-2000:]
  assert 'devices   4 x TPU v5 lite' in done.stdout
  assert re.search(r'arguments a device +[\d.]+ [KMG]?i?B', done.stdout)
  assert re.search(r'flops +[\d.e+]+ ', done.stdout)
