import functools

import jax
import numpy as np
import pytest

from framework.run import results
from framework.run.job import Arm, Job
from framework.system import rollout
from tests import compiling, toy
from tests.run import jobs


@pytest.fixture(scope='module', autouse=True)
def compile_once(tmp_path_factory):
  """Most tests run the same programs again."""
  with compiling.cached(tmp_path_factory.mktemp('compiled')):
    yield


class TestDivergence:
  """η = 0.1 (tame) and 0.6 (wild), two seeds."""

  times = np.array([0, 2, 4, 6, 8, 10, 12, 20, 30])

  def job(self, etas=(0.1, 0.6)):
    hp = toy.typed(toy.CubicHp(), float)
    arm = Arm(toy.cubic(), hp, final=lambda x, problem, hp: {'last': x})
    return Job([arm], results.Layout({}, {'eta': etas}, (0, 1), self.times))

  @functools.cached_property
  def wild(self):
    """Records of the wild lane of each seed."""
    hp = toy.typed(toy.CubicHp(0.6), float)
    one = jax.jit(lambda k: rollout(toy.cubic(), k, hp, self.times)[1]['x'])
    return np.array([one(jax.random.key(s)) for s in (0, 1)])

  def first(self):
    return self.times[np.argmin(np.isfinite(self.wild), axis=-1)]

  def test_freeze(self, tmp_path):
    outcome = jobs.go(self.job(), tmp_path, batching='map', chunk_stops=2)
    assert outcome[:3] == ('done', 2, 4)
    found = results.open(tmp_path)
    want = np.where(np.isfinite(self.wild), self.wild, np.nan)
    np.testing.assert_array_equal(found['x'].sel(eta=0.6), want)
    np.testing.assert_array_equal(
      found['diverged_at'], [[np.nan] * 2, self.first()]
    )
    assert np.isfinite(found['x'].sel(eta=0.1)).all()
    np.testing.assert_array_equal(
      np.isfinite(found['last']), [[True] * 2, [False] * 2]
    )

  @pytest.mark.parametrize('batching', ['map', 'vmap'])
  def test_the_other_lanes_do_not_notice(self, tmp_path, batching):
    jobs.go(self.job(), tmp_path / 'a', batching=batching)
    jobs.go(self.job((0.1, 0.2)), tmp_path / 'b', batching=batching)
    a, b = (results.open(tmp_path / p)['x'].sel(eta=0.1) for p in 'ab')
    np.testing.assert_array_equal(a, b)

  def test_all_lanes_gone(self, tmp_path):
    """Nothing is left to compute, and the rest stays NaN."""
    seen = []
    outcome = jobs.go(
      self.job((0.6, 0.7)),
      tmp_path,
      chunk_stops=2,
      listener=lambda _, times, __: seen.extend(times),
    )
    assert outcome[:3] == ('diverged', 4, 4)
    assert seen[-1] < 20
    assert np.isnan(results.open(tmp_path)['x'].sel(time=30)).all()
    # And so it is when asked again.
    assert jobs.go(self.job((0.6, 0.7)), tmp_path)[:3] == ('diverged', 4, 4)

  def test_continue(self, tmp_path):
    outcome = jobs.go(self.job(), tmp_path, batching='map', on_nan='continue')
    assert outcome[:3] == ('done', 2, 4)
    found = results.open(tmp_path)
    np.testing.assert_array_equal(found['x'].sel(eta=0.6), self.wild)
    np.testing.assert_array_equal(found['diverged_at'][1], self.first())
    np.testing.assert_array_equal(found['last'][1], self.wild[:, -1])

  def test_stop(self, tmp_path):
    options = {'on_nan': 'stop', 'batching': 'map', 'chunk_stops': 2}
    outcome = jobs.go(self.job(), tmp_path, **options)
    stopped = results.open(tmp_path)
    where = stopped['diverged_at'].values
    dead = int(np.isfinite(where).sum())
    assert outcome[:3] == ('diverged', dead, 4) and dead > 0
    # At the end of the chunk in which the first lane diverged.
    assert np.nanmin(where) == self.first().min()
    assert np.isnan(stopped['x'].sel(time=30)).all()
    assert np.isnan(stopped['last']).all()
    # The same command again does not creep on,
    told = []
    again = jobs.go(self.job(), tmp_path, **options, listener=told.append)
    assert again == outcome and not told
    # and another policy goes on from there.
    assert jobs.go(self.job(), tmp_path)[:3] == ('done', 2, 4)
    jobs.go(self.job(), tmp_path / 'undisturbed', batching='map')
    jobs.same(results.open(tmp_path), results.open(tmp_path / 'undisturbed'))
