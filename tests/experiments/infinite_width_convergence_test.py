"""Networks against limits, from a config to claims and the figure."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from configs.infinite_width import get_config
from configs.infinite_width_convergence import LIMITS
from experiments.infinite_width import EXPERIMENT
from experiments.infinite_width import convergence_claims as measure
from framework import config as config_lib
from framework.launch.experiment import job_of
from framework.run import results
from framework.systems.infinite_width import limits as convergence
from tests.run import jobs


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
  claims = EXPERIMENT.claims(config, ds)
  assert len({c.id for c in claims}) == len(claims) == 3
  assert [c.id for c in claims if c.verdict != 'holds'] == []
  figures = EXPERIMENT.figures(config, ds, claims)
  assert all(caption for _, caption in figures.values())
  # At the start the limit is zero, so the output is the error.
  start = ds.isel(time=0)
  np.testing.assert_allclose(start['error'], start['output'], atol=1e-12)
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
    get_config('convergence'), sweep={'limit': ('tanh_L2',), 'width': widths}
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
  claims = EXPERIMENT.claims(*synthetic(power, stderr))
  bad = {c.id.split('.')[1] for c in claims if c.verdict == 'fails'}
  assert bad == failing


@pytest.mark.slow
def test_every_limit_converges(tmp_path):
  config, ds = run(tmp_path, LIMITS, seeds=200)
  claims = EXPERIMENT.claims(config, ds)
  assert [c.id for c in claims if c.verdict != 'holds'] == []


def test_names_of_limits_are_the_library_s():
  assert tuple(convergence.LIMITS) == LIMITS


def test_two_widths_are_no_slope(tmp_path):
  config = dataclasses.replace(
    get_config('convergence'), sweep={'limit': ('tanh',), 'width': (4, 8)}
  )
  (claim,) = EXPERIMENT.claims(config, None)
  assert claim.verdict == 'not testable'


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


def test_a_structure_names_what_is_wrong():
  for fields, line in (
    ({'limit': 'swish'}, "limit is 'swish', expected one of linear_sgd"),
    ({'batches': 1}, 'batches is 1, expected an integer >= 2'),
  ):
    with pytest.raises(ValueError, match=line):
      convergence.Structure(**fields)
