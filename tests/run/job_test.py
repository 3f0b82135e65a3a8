"""Jobs: what is observed, and how blocks cover the lanes."""

import numpy as np
import pytest

from framework.run import job as job_lib
from framework.run.plan import Plan
from tests import toy
from tests.run import jobs


@pytest.mark.parametrize('size', [(1, 1), (2, 4), (3, 6), (4, 5), (8, 8)])
def test_blocks_cover_every_lane_once(size):
  job = jobs.grid_job()  # 2 settings, 3 seeds, 6 points
  plans = [Plan(*size, 1, 1, 1, 'seed'), Plan(3, 6, 1, 1, 1, 'seed')]
  seen = np.zeros((2, 3, 6), int)
  lanes = 0
  for unit in job_lib.units(job.layout, plans):
    seen[unit.structure, unit.seeds, unit.points] += 1
    lanes += unit.lanes
    block = np.arange(size[0] * size[1]).reshape(size)
    if unit.structure == 0:
      assert unit.real(block).size == unit.lanes
  assert (seen == 1).all() and lanes == seen.size


def test_variables_are_the_observations_of_all_settings():
  found = job_lib.variables(jobs.grid_job())
  assert found['diverged_at'].timed is False and found['last'].timed is False
  assert found['x'].timed and found['x'].shape == (2,)
  assert found['scaled'].shape == (2,)


def test_settings_with_different_observations_are_refused():
  job = jobs.grid_job()
  arms = [
    a._replace(system=toy.linear(d))
    for a, d in zip(job.arms, jobs.DIMS, strict=True)
  ]
  with pytest.raises(ValueError, match=r'observation x is .* in another'):
    job_lib.variables(job._replace(arms=arms))


def test_every_setting_needs_an_arm():
  job = jobs.grid_job()
  with pytest.raises(ValueError, match='1 arms for 2 structures'):
    job_lib.check(job._replace(arms=job.arms[:1]))
