"""Small jobs for the runner, and ways to run, stop and compare them."""

import numpy as np

from framework.run import results, runner
from framework.run.checkpoint import Checkpoints
from framework.run.job import Arm, Job
from framework.run.runner import Options
from tests import toy

TIMES = np.array([0, 1, 2, 5, 13, 40, 41, 42, 90, 91, 200, 400])
SEEDS = (4, 5, 9)
DIMS = (3, 2)
AXES = {'eta': (0.1, 0.3), 'scale': (0.5, 1.0, 2.0)}


def final(x, problem, hp):
  return {'last': x.sum(), 'scaled': hp.scale * x[:2]}


def grid_job(dims=DIMS, seeds=SEEDS, axes=AXES, times=TIMES, final=final):
  """A structural axis, two of hp, seeds."""
  hp = toy.typed(toy.LinearHp(), float)
  arms = [Arm(shortened(toy.linear(d)), hp, final=final) for d in dims]
  return Job(arms, results.Layout({'dim': dims}, axes, seeds, times))


def shortened(system):
  """Observations must have one shape in all settings: two entries of x."""

  def observe(state, problem, hp):
    return {**system.observe(state, problem, hp), 'x': state[:2]}

  return system._replace(observe=observe)


def small_job():
  """One setting, two blocks if asked for two lanes a call."""
  return grid_job((3,), (4, 5), {'eta': (0.1, 0.3)})


def two_process_job():
  """A seed for each of four devices."""
  return grid_job((3,), (1, 2, 3, 4), {'eta': (0.1, 0.3)}, final=None)


def go(job, where, **options):
  return runner.run(job, where, Options(**options))


def same(one, two):
  """Whether two datasets hold the same bits."""
  assert set(one.variables) == set(two.variables)
  for name in one.variables:
    assert one[name].dims == two[name].dims
    np.testing.assert_array_equal(
      one[name].values, two[name].values, err_msg=name
    )


def last_state(where) -> tuple[int, str]:
  """The newest checkpoint: its step and the digest of its state."""
  step = max(
    int(p.name) for p in (where / 'checkpoints').iterdir() if p.name.isdigit()
  )
  opened = Checkpoints(where / 'checkpoints')
  digest = opened.meta(step)['digest']
  opened.close()
  return step, digest


class Stop:
  """Asks to stop when it is asked for the k-th time."""

  def __init__(self, k):
    self.k = k

  def __call__(self):
    self.k -= 1
    return self.k == 0
