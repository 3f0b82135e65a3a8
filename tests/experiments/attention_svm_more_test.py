"""Variants with systems of their own: from a config to claims and figures."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import xarray

from configs import attention_svm as configs
from configs import attention_svm_more as more
from experiments.attention_svm import EXPERIMENT
from experiments.attention_svm import more as modules
from framework import config as config_lib
from framework.data import attention, store
from framework.launch import arms as build
from framework.launch.experiment import job_of
from framework.run import results
from tests.run import jobs

ROOT = pathlib.Path(__file__).parents[2]
# Sizes at which every variant takes seconds; the claims need not hold.
SMALL = {
  'reg_path': {
    'n': 2,
    'T': 3,
    'd': 4,
    'steps': 20,
    'seeds': 2,
    'sweep': {'radius': (30.0, 100.0, 300.0), 'along': (1.0, 0.0)},
  },
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
  'lambda_head': {
    'n': 2,
    'T': 3,
    'd': 3,
    'steps': 20,
    'seeds': 2,
    'sweep': {'strength': (0.1, 1.0)},
  },
  'optimizer_geometry': {
    'n': 2,
    'T': 3,
    'd': 3,
    'steps': 20,
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
  'horizon': {
    'n': 2,
    'T': 3,
    'd': 3,
    'steps': 20,
    'seeds': 2,
    'sweep': {'form': ('w',), 'method': ('exact', 'exact32', 'autodiff')},
  },
  'kq_decay': {
    'n': 2,
    'T': 3,
    'd': 3,
    'steps': 20,
    'seeds': 2,
    'sweep': {'m': (1, 3), 'lam': (0.0, more.EPS), 'init_scale': (1.0, 0.01)},
  },
}
FAST = (
  'precursor',
  'lambda_head',
  'multi_token',
  'rank',
  'trajectories',
)  # a small program or two each


def small(variant, **values):
  """A config of a variant, of small size."""
  config = configs.get_config(variant)
  return dataclasses.replace(config, **SMALL[variant] | values)


@pytest.mark.parametrize('variant', SMALL)
def test_every_variant_is_valid(variant):
  config = config_lib.normalise(configs.get_config(variant))
  config_lib.validate(config)
  assert configs.VARIANTS[variant][0] and len(EXPERIMENT.times(config)) > 1
  assert variant in modules.MODULES


def test_all_of_them_are_here():
  assert set(SMALL) == set(more.VARIANTS) | set(more.STANDARD)


@pytest.mark.parametrize(
  'variant',
  [v if v in FAST else pytest.param(v, marks=pytest.mark.slow) for v in SMALL],
)
def test_every_variant_makes_claims_and_figures(variant, tmp_path):
  if variant == 'pretrained' and not store.there(attention.FILE):
    pytest.skip(f'no {attention.FILE.name} in {store.folder()}')
  config = small(variant)
  config_lib.validate(config)
  jobs.go(job_of(EXPERIMENT, config), tmp_path)
  dataset = results.open(tmp_path)
  claims = EXPERIMENT.claims(config, dataset)
  assert claims and len({c.id for c in claims}) == len(claims)
  figures = EXPERIMENT.figures(config, dataset, claims)
  # Few short runs keep no clear set of tokens, and then there is none.
  assert figures or variant == 'multi_token'
  assert all(caption for _, caption in figures.values())


def test_axes_of_lanes_are_no_axes_of_structure():
  """A field that is a lane in one config may not be structure in another."""
  for variant in SMALL:
    config = configs.get_config(variant)
    numbers = set(modules.MODULES[variant].HP_FIELDS)
    for name in set(EXPERIMENT.hp_fields) & set(vars(config)):
      assert name in numbers, (variant, name)


@pytest.mark.parametrize(
  'variant, fields, line',
  [
    ('reg_path', {'ball': 'l1'}, "config.ball: got 'l1', expected one"),
    ('reg_path', {'radius': 0.0}, 'config.radius: got 0.0, expected a finite'),
    ('reg_path', {'T': 1}, 'config.T: got 1, expected an integer >= 2'),
    ('rank', {'size': '5'}, 'config.size: got 5, expected two integers nxT'),
    ('rank', {'dims': 21}, 'config.dims: got 21, expected at most largest'),
    ('global', {'size': '5x5'}, 'config.size: got 5x5, expected three'),
    ('graph', {'d': 4}, 'config.d: got 4, expected at least K = 6'),
    ('graph', {'queries': 7}, 'config.queries: got 7, expected at most K = 6'),
    ('precursor', {'setup': 'many'}, "config.setup: got 'many', expec"),
    ('pretrained', {'head_index': 72}, 'config.head_index: got 72, expected'),
    ('pretrained', {'queries': 0}, 'config.queries: got 0, expected'),
    ('graph', {'sweep': {'steps': (3,)}}, 'config.sweep.steps: got steps'),
    ('kq_decay', {'m': 0}, 'config.m: got 0, expected an integer >= 1'),
    ('lambda_head', {'T': 1}, 'config.T: got 1, expected an integer >= 2'),
  ],
)
def test_bad_input_is_one_line(variant, fields, line):
  config = dataclasses.replace(configs.get_config(variant), **fields)
  with pytest.raises(config_lib.ConfigError, match=line) as caught:
    config_lib.validate(config_lib.normalise(config))
  assert len(str(caught.value).splitlines()) == 1


def test_whole_sizes_make_claims_of_every_kind():
  """On made-up results: what should hold does, what is turned does not."""
  config = configs.get_config('horizon')
  rng = np.random.default_rng(0)
  times = EXPERIMENT.times(config)
  V = rng.standard_normal((4, 3, 3))
  E = rng.standard_normal((4, 3, 3)) - V
  angle = 1 / np.maximum(times, 1)
  W = V[:, None] + angle[None, :, None, None] * 30 * E[:, None] / 30
  coords = {
    'form': ['w'],
    'method': ['exact', 'exact32', 'autodiff'],
    'seed': range(4),
    'time': times,
  }
  lanes = ('form', 'method', 'seed')

  def spread(x, *dims):
    x = np.broadcast_to(x, (1, 3, *x.shape))
    return (*lanes, *dims), x

  data = xarray.Dataset(
    {
      'W': spread(W, 'time', 'W_0', 'W_1'),
      'svm_frobenius': spread(V, 'svm_frobenius_0', 'svm_frobenius_1'),
      'switched': spread(np.full((4, len(times)), 7), 'time'),
      'outcome': spread(np.zeros(4)),
      'log_gradient': spread(np.zeros((4, len(times))), 'time'),
    },
    coords,
  )
  found = {c.id: c for c in EXPERIMENT.claims(config, data)}
  assert abs(found['w.rate'].measured + 2) < 0.01
  assert found['w.local'].verdict == found['w.settled'].verdict == 'holds'
  assert found['w.float32'].measured == 0
  assert found['autodiff.error'].verdict == 'fails'  # it is as good here
  late = data.assign(
    switched=data['switched'] + 19_000, outcome=2 + data.outcome
  )
  found = {c.id: c.verdict for c in EXPERIMENT.claims(config, late)}
  assert found['w.local'] == found['w.settled'] == 'fails'


@pytest.mark.parametrize(
  'fields, line',
  [
    ({'head': 'linear'}, 'got linear, orthonormal, expected lambda and'),
    ({'d': 4}, 'd is 4, expected at least n = 3 and T = 5'),
  ],
)
def test_what_cannot_be_built_is_one_line(fields, line):
  config = dataclasses.replace(configs.get_config('lambda_head'), **fields)
  with pytest.raises(config_lib.ConfigError, match=line) as caught:
    EXPERIMENT.arm(config)
  assert len(str(caught.value).splitlines()) == 1


def test_what_a_structure_refuses_is_a_problem_of_the_config():
  def refuse():
    raise ValueError('d is 1, expected 2')

  with pytest.raises(config_lib.ConfigError, match='d is 1, expected 2'):
    build.built(refuse)


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
  config = configs.get_config('optimizer_geometry')
  arm = EXPERIMENT.arm(dataclasses.replace(config, rule='adam', sweep={}))
  np.testing.assert_allclose(arm.hp.eta, 0.2 * config.eta)
  assert arm.hp.adam_epsilon == 1e-150
