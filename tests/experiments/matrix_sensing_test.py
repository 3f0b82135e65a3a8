"""The builder: what a config becomes."""

import dataclasses

import numpy as np
import pytest

from configs.matrix_sensing import get_config
from experiments.matrix_sensing.reading import Lanes
from experiments.matrix_sensing.runs import arm
from framework import config as config_lib
from framework.run import results
from framework.run.job import Job
from framework.systems.matrix_sensing import theory
from tests.run import jobs


def with_target(tmp_path, M, **fields):
  np.save(tmp_path / 'target.npy', M)
  return dataclasses.replace(
    get_config('symmetric'),
    sweep={},
    target=str(tmp_path / 'target.npy'),
    **fields,
  )


def test_laws_of_an_own_target_use_its_own_spectrum(tmp_path):
  """κ of the config says nothing about it: the rate is 2 ln(1 − ησ_r)."""
  M = np.diag([6.0, 3.0, 1.5, 0.0, 0.0])  # scaled to 1, 1/2, 1/4
  config = with_target(tmp_path, M, r=3, k=3, kappa=50.0, seeds=2, steps=600)
  made = arm(config)
  times = np.arange(0, 601, 10)
  layout = results.Layout({}, {}, (0, 1), times)
  jobs.go(Job([made], layout), tmp_path / 'run')
  lanes = Lanes(config, results.open(tmp_path / 'run'))
  np.testing.assert_allclose(lanes.seen('sigma_r'), 0.25, rtol=1e-14, atol=0)
  np.testing.assert_allclose(
    lanes.sigma, [[1, 0.5, 0.25]] * 2, rtol=1e-14, atol=0
  )
  assert lanes.shape == (5, 5)
  law = float(theory.linear_rate(config.eta, 0.25))
  np.testing.assert_allclose(lanes.rate / law, 1, atol=0.002, rtol=0)


@pytest.mark.parametrize('sweep', [{}, {'tied': (0.0, 1.0)}])
def test_a_rectangular_target_cannot_be_tied(tmp_path, sweep):
  config = dataclasses.replace(
    with_target(tmp_path, np.eye(4)[:3], parametrisation='asymmetric'),
    tied=0.0 if sweep else 1.0,
    sweep=sweep,
    setting='population',
  )
  with pytest.raises(config_lib.ConfigError, match=r'tied: got 1\.0'):
    arm(config)


def test_the_condition_number_of_a_target_is_no_axis(tmp_path):
  config = dataclasses.replace(
    with_target(tmp_path, np.eye(4)), sweep={'kappa': (2.0, 3.0)}
  )
  with pytest.raises(config_lib.ConfigError, match=r'sweep\.kappa'):
    config_lib.validate(config)
