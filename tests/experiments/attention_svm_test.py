"""From a config to claims and figures, at sizes that take seconds."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from configs.attention_svm import EPS, VARIANTS, get_config
from experiments.attention_svm import EXPERIMENT
from experiments.attention_svm.layer import optimizer_geometry
from experiments.attention_svm.layer.arm import times
from framework import config as config_lib
from framework.data import attention, store
from framework.launch import job_of
from framework.run import results
from tests.run import jobs

ROOT = pathlib.Path(__file__).parents[2]
# Sizes at which every variant takes seconds; the claims need not hold.
TINY = {'n': 2, 'T': 3, 'd': 3, 'steps': 20, 'seeds': 2}
SMALL = {
  'quick': {'n': 3, 'T': 3, 'd': 4, 'seeds': 3, 'records': 3},
  'local': {'n': 3, 'T': 3, 'd': 4, 'seeds': 3, 'records': 3},
  'reg_path': TINY
  | {'d': 4, 'sweep': {'radius': (30.0, 100.0, 300.0), 'along': (1.0, 0.0)}},
  'graph': {'K': 3, 'd': 3, 'n': 4, 'T': 3, 'steps': 20, 'seeds': 3},
  'precursor': {
    'steps': 20,
    'seeds': 1,
    'sweep': {'setup': ('joint_loose', 'loss_linear'), 'p0': (0.0, -1.0)},
  },
  'pretrained': {
    'queries': 2,
    'steps': 5,
    'seeds': 1,
    'sweep': {'head_index': tuple(range(0, 72, 12)), 'null': (0.0, 1.0)},
  },
  'lambda_head': TINY | {'sweep': {'strength': (0.1, 1.0)}},
  'optimizer_geometry': TINY
  | {
    'seeds': 1,
    'norms': ('frobenius', 'linf'),
    'sweep': {'rule': ('sign', 'adam'), 'beta2': (0.999, 0.95)},
  },
  'multi_token': {'steps': 300, 'seeds': 60, 'sweep': {'d': (4,)}},
  'rank': {
    'seeds': 3,
    'largest': 4,
    'dims': 4,
    'sweep': {'size': ('2x3', '3x2'), 'dims': (2, 4)},
  },
  'trajectories': {
    'steps': 20,
    'seeds': 2,
    'sweep': {'data': ('opposed',), 'form': ('w',)},
  },
  'global': {
    'steps': 20,
    'seeds': 2,
    'sweep': {'form': ('w', 'kq'), 'size': ('2x3x3', '2x3x4')},
  },
  'horizon': TINY
  | {'sweep': {'form': ('w',), 'method': ('exact', 'exact32', 'autodiff')}},
  'kq_decay': TINY
  | {'sweep': {'m': (1, 3), 'lam': (0.0, EPS), 'init_scale': (1.0, 0.01)}},
}
FAST = (
  'quick',
  'precursor',
  'lambda_head',
  'multi_token',
  'rank',
  'trajectories',
)  # a small program or two each


def small(variant, **values):
  """A config of a variant, of small size."""
  return dataclasses.replace(get_config(variant), **SMALL[variant] | values)


def results_of(config, where):
  """What a run of a config records."""
  config_lib.validate(config)
  jobs.go(job_of(EXPERIMENT, config), where)
  return results.open(where)


@pytest.mark.parametrize('variant', VARIANTS)
def test_every_variant_is_valid(variant):
  config = config_lib.normalise(get_config(variant))
  config_lib.validate(config)
  recorded = EXPERIMENT.variant(config).times(config)
  assert VARIANTS[variant][0] and len(recorded) > 1
  assert (np.diff(recorded) > 0).all()


@pytest.mark.parametrize(
  'variant',
  [v if v in FAST else pytest.param(v, marks=pytest.mark.slow) for v in SMALL],
)
def test_every_variant_makes_claims_and_figures(variant, tmp_path):
  if variant == 'pretrained' and not store.there(attention.FILE):
    pytest.skip(f'no {attention.FILE.name} in {store.folder()}')
  config = small(variant)
  ds = results_of(config, tmp_path)
  made = EXPERIMENT.variant(config)
  claims = made.claims(config, ds)
  assert claims and len({c.id for c in claims}) == len(claims)
  figures = made.figures(config, ds)
  # Few short runs keep no clear set of tokens, and then there is none.
  assert figures or variant == 'multi_token'
  assert all(caption for _, caption in figures.values())
  for name in set(ds.data_vars) - {'diverged_at'}:
    assert ds[name].attrs['units'], name
  if variant == 'quick':
    # A wrong direction must not pass: W against the SVM of its opposite.
    turned = made.claims(config, ds.assign(W=-ds['W']))
    verdicts = {c.id: c.verdict for c in turned}
    assert verdicts['w.alignment'] == 'fails'


def test_times_are_round_ones_too():
  recorded = times(get_config('quick'))
  assert {0, 100, 200, 500, 1000, 2000} <= set(recorded.tolist())


@pytest.mark.parametrize(
  'variant, fields, line',
  [
    ('quick', {'T': 1}, 'config.T: got 1, expected an integer >= 2'),
    ('quick', {'m': 0}, 'config.m: got 0, expected an integer >= 1'),
    ('quick', {'loss': 'hinge'}, "config.loss: got 'hinge'"),
    ('quick', {'norms': ('l3',)}, 'config.norms: got l3'),
    ('quick', {'eta': -1.0}, 'config.eta: got -1.0'),
    ('quick', {'head': 'relu'}, 'config.head: got relu, expected relu if and'),
    ('quick', {'sweep': {'b1': (True,)}}, 'config.sweep.b1: got b1, expected'),
    ('reg_path', {'ball': 'l1'}, "config.ball: got 'l1', expected one"),
    ('reg_path', {'radius': 0.0}, 'config.radius: got 0.0, expected a finite'),
    ('reg_path', {'T': 1}, 'config.T: got 1, expected an integer >= 2'),
    ('rank', {'sweep': {'size': ('5',)}}, 'config.size: got 5, expected two'),
    ('rank', {'sweep': {'dims': (21,)}}, 'config.dims: got 21, expected at mo'),
    ('global', {'sweep': {'size': ('5x5',)}}, 'config.size: got 5x5, expected'),
    ('graph', {'d': 4}, 'config.d: got 4, expected at least K = 6'),
    ('graph', {'queries': 7}, 'config.queries: got 7, expected at most K = 6'),
    ('precursor', {'setup': 'many'}, "config.setup: got 'many', expec"),
    ('pretrained', {'head_index': 72}, 'config.head_index: got 72, expected'),
    ('pretrained', {'queries': 0}, 'config.queries: got 0, expected'),
    ('graph', {'sweep': {'steps': (3,)}}, 'config.sweep.steps: got steps'),
  ],
)
def test_bad_input_is_one_line(variant, fields, line):
  config = dataclasses.replace(get_config(variant), **fields)
  with pytest.raises(config_lib.ConfigError, match=line) as caught:
    config_lib.validate(config_lib.normalise(config))
  assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
  'variant, fields, line',
  [
    ('lambda_head', {'head': 'linear'}, 'got linear, orthonormal, expected la'),
    ('lambda_head', {'d': 4}, 'd is 4, expected at least n = 3 and T = 5'),
    ('quick', {'rule': 'polyak'}, 'polyak needs the least loss'),
    ('trajectories', {'T': 2}, 'T is 2, expected at least 3 tokens'),
    ('multi_token', {'form': 'kq'}, 'rank is 4, expected None'),
  ],
)
def test_what_cannot_be_built_is_one_line(variant, fields, line):
  config = dataclasses.replace(get_config(variant), **fields)
  with pytest.raises(config_lib.ConfigError, match=line) as caught:
    job_of(EXPERIMENT, config)
  assert len(str(caught.value).splitlines()) == 1


def test_a_data_folder_without_the_file_leaves_with_code_2(tmp_path):
  done = subprocess.run(
    [
      *(sys.executable, '-m', 'experiments.attention_svm'),
      *('--config=:pretrained', f'--data_dir={tmp_path}'),
      f'--workdir={tmp_path / "run"}',
    ],
    cwd=ROOT,
    env=os.environ | {'JAX_PLATFORMS': 'cpu'},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 2
  assert done.stderr.count('\n') == 1
  assert f'no minilm_attention.npz in {tmp_path}' in done.stderr
  assert not (tmp_path / 'run').exists()


def test_adam_takes_the_gradient_itself():
  config = get_config('optimizer_geometry')
  adam = dataclasses.replace(config, rule='adam', sweep={})
  hp = optimizer_geometry.VARIANT.arm(adam).hp
  np.testing.assert_allclose(hp.eta, 0.2 * config.eta, rtol=1e-12, atol=0)
  assert hp.adam_epsilon == 1e-150
