"""The config and the command line of modular grokking; a run in small."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from configs import modular_grokking as configs
from experiments.modular_grokking import EXPERIMENT, drawing, runs
from framework import config as config_lib
from framework.data import mnist, store
from framework.launch.experiment import job_of
from framework.run import results
from framework.systems import grokking
from tests.run import jobs

ROOT = pathlib.Path(__file__).parents[2]
SPLITS = ROOT / 'tests' / 'golden' / 'grok_splits_seed42.npz'


def configured(variant='quick', **values):
  config = config_lib.override(
    configs.get_config(variant), [(k, str(v)) for k, v in values.items()]
  )
  config_lib.validate(config)
  return config


@pytest.mark.parametrize('variant', configs.VARIANTS)
def test_every_variant_is_valid(variant):
  config = config_lib.normalise(configs.get_config(variant))
  config_lib.validate(config)
  times = EXPERIMENT.variant(config).times(config)
  assert configs.VARIANTS[variant][0] and len(times) > 9
  labels = [drawing.LABELS[m] for m in config.axis('method')]
  assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
  'values, wanted',
  [
    ({'modulus': 1}, 'config.modulus: got 1, expected an integer >= 2'),
    ({'operation': 'divide'}, 'config.operation: got'),
    (
      {'train_fraction': 0},
      'config.train_fraction: got 0.0, expected a finite',
    ),
    ({'loss': 'stablemax'}, 'config.loss: got stablemax, expected method cust'),
    ({'encoding': 'token'}, 'config.encoding: got token, expected one_hot or'),
    (
      {'task': 'parity', 'parity_k': 50},
      'config.parity_k: got 50, expected at most parity_bits = 43',
    ),
    (
      {'method': 'ce64', 'sweep': 'lr=0.1'},
      'config.precision: got float32, expected float64, which a float64 loss',
    ),
    (
      {'method': 'hot', 'sweep': 'temperature=1,2'},
      'config.sweep.temperature: got temperature, expected an axis that no',
    ),
  ],
)
def test_a_config_that_makes_no_sense_is_one_line(values, wanted):
  with pytest.raises(config_lib.ConfigError) as caught:
    configured(**values)
  assert wanted in str(caught.value)
  assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
  'values, wanted',
  [
    ({'train_fraction': 1.0}, 'leaves 1681 to train on and 0 to test'),
    ({'train_fraction': 1e-5}, 'leaves 0 to train on and 1681 to test'),
    ({'lowest': 40}, 'lowest is 40, expected 0 <= lowest < modulus - 1'),
    ({'task': 'parity', 'rows': 2, 'train_fraction': 0.1}, 'leaves 0 to tra'),
    ({'split': str(SPLITS)}, 'split add_mod does not fit 1681 rows'),
  ],
)
def test_what_cannot_be_built_is_one_line(values, wanted):
  config = configured(**values, sweep='lr=0.1')
  with pytest.raises(config_lib.ConfigError) as caught:
    job_of(EXPERIMENT, config)
  assert wanted in str(caught.value)
  assert len(str(caught.value).splitlines()) == 1


def test_a_data_folder_without_the_file_is_one_line(tmp_path, monkeypatch):
  monkeypatch.setenv('TRAINING_DYNAMICS_DATA', str(tmp_path))
  with pytest.raises(config_lib.ConfigError) as caught:
    job_of(EXPERIMENT, configured('mnist', sweep='lr=0.1'))
  assert f'no mnist.npz in {tmp_path}' in str(caught.value)
  assert len(str(caught.value).splitlines()) == 1


def test_usage_errors_leave_with_code_2_and_nothing_written(tmp_path):
  done = subprocess.run(
    [
      *(sys.executable, '-m', 'experiments.modular_grokking'),
      *('--config.train_fraction=1', f'--workdir={tmp_path / "run"}'),
    ],
    cwd=ROOT,
    env=os.environ | {'JAX_PLATFORMS': 'cpu'},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 2
  assert done.stderr.count('\n') == 1 and 'to test' in done.stderr
  assert not (tmp_path / 'run').exists()


def test_methods_set_what_they_say():
  config = configured('paper', sweep='lr=0.1', method='stablemax')
  s = runs.structure(config)
  assert s.loss == grokking.stablemax('float64') and s.net.modulus == 113
  perp = runs.resolved(configured(sweep='lr=0.1', method='perp_unscaled'))
  assert perp.gradient == 'perp' and not perp.rescale


def test_a_stored_split_reaches_the_run():
  config = configured(
    modulus=113, train_fraction=0.4, split=SPLITS, sweep='lr=0.1'
  )
  arm = EXPERIMENT.variant(config).arm(config)
  assert len(arm.data.split.train) == 5107


FAST = ('quick',)


@pytest.mark.parametrize(
  'variant',
  [
    v if v in FAST else pytest.param(v, marks=pytest.mark.slow)
    for v in configs.VARIANTS
  ],
)
def test_every_variant_makes_claims_and_figures(variant, tmp_path):
  config = dataclasses.replace(
    configs.get_config(variant),
    modulus=5,
    train_fraction=0.6,
    width=6,
    rows=60,
    steps=6,
    records=3,
    seeds=2,
    intervene_at=2,
    mnist_train=20,
    mnist_test=50,
    precision='float64',  # what tests run in
  )
  if config.task == 'mnist' and not store.there(mnist.FILE):
    pytest.skip(f'no {mnist.FILE.name} in {store.folder()}')
  config_lib.validate(config)
  jobs.go(job_of(EXPERIMENT, config), tmp_path)
  data = results.open(tmp_path)
  variant = EXPERIMENT.variant(config)
  made = variant.claims(config, data)
  assert made and len({claim.id for claim in made}) == len(made)
  figures = variant.figures(config, data)
  assert figures and all(caption for _, caption in figures.values())
  assert np.isfinite(data['test_accuracy']).all()


# Held-back settings, none of them that of a variant: what is claimed of them
# are laws, and those hold.
TINY = dict(
  modulus=5,
  train_fraction=0.6,
  width=16,
  lr=0.02,
  steps=40,
  records=8,
  seeds=1,
  precision='float64',
)
SETTINGS = {
  'lanes of rates and temperatures': (
    'quick',
    dict(sweep='method=ce32,perp;lr=0.005,0.1;temperature=0.5,3'),
  ),
  'rows that collapse': (
    'collapse',
    dict(
      steps=300,
      lr=0.05,
      sweep='method=ce16,ce32,ce64;logit_scale=1,4;temperature=0.25,1',
    ),
  ),
  'interventions at odd steps': (
    'interventions',
    dict(
      steps=300,
      lr=0.05,
      intervene_at=13,
      sweep='method=ce64,stopped,hot,smoothed;intervene_at=13,201',
    ),
  ),
  'biases': ('quick', dict(bias=True, layers=1, sweep='method=ce32,perp')),
  'product in binary': (
    'quick',
    dict(
      operation='product',
      encoding='binary',
      lowest=1,
      sweep='method=ce32,perp',
    ),
  ),
  'decay and a large start': (
    'weight_decay',
    dict(sweep='weight_decay=0,3;init_scale=1,8'),
  ),
  'fractions of the table': (
    'perp_grad',
    dict(sweep='method=perp_stablemax,grokfast_ma;train_fraction=0.2,0.9'),
  ),
  'a few bits': (
    'sparse_parity',
    dict(parity_bits=8, rows=60, sweep='method=ce32,stablemax'),
  ),
  'the layer of the authors': (
    'transformer',
    dict(model='transformer', dropout=0.5, sweep='method=ce32,perp'),
  ),
}


CHEAP = ('decay and a large start',)


@pytest.mark.parametrize(
  'name',
  [
    n if n in CHEAP else pytest.param(n, marks=pytest.mark.slow)
    for n in SETTINGS
  ],
)
def test_no_setting_raises_a_false_alarm(name, tmp_path):
  variant, fields = SETTINGS[name]
  config = configured(variant, **TINY | fields)
  jobs.go(job_of(EXPERIMENT, config), tmp_path)
  data = results.open(tmp_path)
  made = EXPERIMENT.variant(config).claims(config, data)
  assert not [c for c in made if c.verdict == 'fails']
  assert all(c.kind == 'theorem' for c in made if c.verdict == 'holds')
  assert all(c.reason for c in made if c.verdict == 'not testable')
  if name == 'rows that collapse':
    for method in ('ce16', 'ce32'):
      assert data['collapse'].sel(method=method).max() > 0.9
