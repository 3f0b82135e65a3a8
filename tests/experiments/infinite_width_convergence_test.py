"""Networks against limits, from a config to claims and the figure."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from configs.infinite_width import LIMITS, get_config
from experiments.infinite_width import EXPERIMENT
from experiments.infinite_width import convergence as measure
from framework import config as config_lib
from framework.launch.experiment import job_of
from framework.run import results
from framework.systems.infinite_width.limits import Structure, ways
from tests.run import jobs


def claims_of(config, dataset):
  return EXPERIMENT.variant(config).claims(config, dataset)


def run(where, limits, **fields):
  sweep = {'limit': limits, 'width': (16, 50, 160)}
  config = dataclasses.replace(
    get_config('convergence'), sweep=sweep, steps=2, **fields
  )
  config_lib.validate(config)
  jobs.go(job_of(EXPERIMENT, config), where)
  return config, results.open(where)


def test_claims_and_figures(tmp_path):
  """One layer: the slopes themselves, which 400 seeds leave open by 0.02."""
  limits = ('tanh',)
  config, ds = run(tmp_path, limits, seeds=400)
  claims = claims_of(config, ds)
  assert len({c.id for c in claims}) == len(claims) == 3
  assert [c.id for c in claims if c.verdict != 'holds'] == []
  figures = EXPERIMENT.variant(config).figures(config, ds)
  assert all(caption for _, caption in figures.values())
  # At the start the limit is zero, so the output is the error.
  start = ds.isel(time=0)
  np.testing.assert_allclose(
    start['error'], start['output'], rtol=1e-7, atol=1e-12
  )
  assert not ds['stderr'].any()
  # A limit that is wrong is seen: errors that do not fall with the width.
  wrong = ds.assign(error=ds['error'] + 0.3)
  assert measure.curve(config, wrong, 'tanh', 1).slope > -0.3


def synthetic(power, stderr=0.0, seeds=4000):
  """Errors of Gaussian predictions, of deviation n^power, and of a limit."""
  rng = np.random.default_rng(0)
  widths = (16, 64, 256)
  shape = 1, 3, seeds, 3
  n = np.array(widths, float)[:, None, None]
  error = n**power * rng.standard_normal(shape)
  error = error + stderr * rng.standard_normal(shape)
  dims = 'limit', 'width', 'seed', 'time'
  whole = {'error': error, 'output': error, 'stderr': np.full(shape, stderr)}
  config = dataclasses.replace(
    get_config('convergence'),
    sweep={'limit': ('tanh_L2',), 'width': widths},
    steps=2,
  )
  coords = {'limit': ['tanh_L2'], 'width': list(widths)}
  ds = xr.Dataset({k: (dims, np.abs(v)) for k, v in whole.items()}, coords)
  return config, ds


def test_what_a_particle_limit_does_not_know_is_taken_off():
  """4000 seeds: a slope to ± 0.006, next to 3 % more at the widest if not."""
  config, ds = synthetic(-0.5, stderr=0.04)
  found = measure.curve(config, ds, 'tanh_L2', 2)
  assert found.stderr == pytest.approx(0.04)
  assert found.slope == pytest.approx(-0.5, abs=0.02)
  assert 0.003 < found.slope_stderr < 0.01
  exact = ds.assign(stderr=0 * ds['stderr'])
  assert measure.curve(config, exact, 'tanh_L2', 2).slope > -0.44


@pytest.mark.parametrize(
  'power, stderr, failing',
  [
    (-0.5, 0.01, set()),
    (-0.25, 0.01, {'f0', 'first', 'last'}),
    (-1.0, 0.0001, {'f0', 'first', 'last'}),
    (-0.5, 0.05, {'stderr'}),
  ],
)
def test_claims_can_fail(power, stderr, failing):
  claims = claims_of(*synthetic(power, stderr))
  bad = {c.id.split('.')[1] for c in claims if c.verdict == 'fails'}
  assert bad == failing


@pytest.mark.slow
def test_every_limit_converges(tmp_path):
  # As many as leave two standard errors in the narrowest band.
  config, ds = run(tmp_path, LIMITS, seeds=220)
  claims = claims_of(config, ds)
  assert [c.id for c in claims if c.verdict != 'holds'] == []


@pytest.mark.parametrize('limit', LIMITS)
def test_every_limit_has_a_way(limit):
  config = dataclasses.replace(get_config('convergence'), limit=limit)
  assert measure.way(config).limit


def test_two_widths_are_no_slope(tmp_path):
  config = dataclasses.replace(
    get_config('convergence'), sweep={'limit': ('tanh',), 'width': (4, 8)}
  )
  claims = claims_of(config, xr.Dataset())
  assert {c.verdict for c in claims} == {'not testable'}


@pytest.mark.parametrize(
  'fields, line',
  [
    ({'limit': 'relu'}, "config.limit: got '?relu'?, expected"),
    ({'nodes': 500}, 'config.nodes: got 500'),
    ({'batches': 1}, 'config.batches: got 1'),
    ({'sweep': {'steps': (1, 2)}}, 'config.sweep.steps'),
  ],
)
def test_bad_input_is_one_line(fields, line):
  config = dataclasses.replace(get_config('convergence'), **fields)
  with pytest.raises(config_lib.ConfigError, match=line) as caught:
    config_lib.validate(config_lib.normalise(config))
  assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
  'fields, reason',
  [
    ({}, ''),
    ({'seeds': 10}, 'needs 8'),
    ({'sweep': {'width': (16, 32)}}, 'needs three widths'),
    ({'sweep': {'width': (8, 64, 512)}}, 'needs widths of 16'),
    ({'sweep': {'width': (64, 256, 1024)}}, 'needs 145 seeds'),
    ({'lr': 1.0}, 'needs 0 <'),
    ({'lr': 0.0}, 'needs 0 <'),
    ({'inner_lr': 4.0}, 'needs 0 <'),
    ({'steps': 50}, 'needs 0 <'),
    ({'sigma_v': 0.0}, 'needs deviations'),
    ({'sigma1': 3.0}, 'needs deviations'),
    ({'sigma_w': 0.7}, ''),
  ],
)
def test_the_setting_says_what_it_cannot_show(fields, reason):
  config = dataclasses.replace(get_config('convergence'), **fields)
  found = measure.missing(config, 'linear_sgd')
  assert reason in found if reason else not found


@pytest.mark.slow
@pytest.mark.parametrize(
  'fields',
  [
    {'sigma1': 0.7},
    {'sigma1': 1.4},
    {'sigma_v': 0.6},
    {'lr': 0.1},
    {'lr': 0.6},
    {'inner_lr': 0.1},
    {'first_seed': 1000},
  ],
)
@pytest.mark.parametrize('limit', ['linear_maml2', 'erf', 'linear_L3'])
def test_no_false_alarm_over_settings(limit, fields, tmp_path):
  config, ds = run(tmp_path, (limit,), seeds=400, **fields)
  claims = claims_of(config, ds)
  assert [c for c in claims if c.verdict == 'fails'] == []
  if not measure.missing(config, limit):
    wrong = ds.assign(error=ds['error'] * ds['width'] ** 0.15)
    bad = {c.id for c in claims_of(config, wrong) if c.verdict == 'fails'}
    assert f'{limit}.last' in bad


def test_a_structure_names_what_is_wrong():
  for call, line in (
    (lambda: ways.particles(np.tanh, batches=1), 'batches is 1, expected an'),
    (lambda: ways.quadrature(np.tanh, 0), 'nodes is 0, expected an integer'),
    (lambda: ways.deep_linear(0), 'depth is 0, expected an integer'),
    (lambda: Structure(width=0), 'width is 0, expected an integer >= 1'),
  ):
    with pytest.raises(ValueError, match=line):
      call()
