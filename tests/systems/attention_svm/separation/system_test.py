"""Solutions of random instances: dimensions in use, and what is counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.maths.margin import svm
from framework.systems.attention_svm import separation
from framework.systems.attention_svm.rows import margin_rows


@pytest.fixture(scope='module')
def seen():
  """{dims: observations of 40 instances of (5, 5)}, at most 5 dimensions."""
  run = separation.system(separation.Structure(n=5, T=5, d=5))

  @jax.jit
  @jax.vmap
  def look(key, dims):
    hp = separation.Hp(dims)
    problem = run.sample(key, hp)
    return problem, run.observe((), problem, hp)

  dims = np.repeat([1, 2, 4, 5], 40)
  keys = jax.random.split(jax.random.key(3), len(dims))
  problem, found = jax.device_get(look(keys, jnp.asarray(dims)))
  return dims, problem, found


def test_dimensions_that_are_not_in_use_change_nothing(seen):
  dims, problem, found = seen
  k = int(np.flatnonzero(dims == 4)[0])
  data = jax.tree.map(lambda x: jnp.asarray(x[k]), problem.data)
  assert not np.any(data.X[..., 4:]) and not np.any(data.Z[..., 4:])
  best = jnp.argmax(data.gamma, -1)
  small = svm(margin_rows(data.X[..., :4], data.Z[:, :4], best), 'nuclear')
  np.testing.assert_allclose(
    small.certificate.primal, found['norm_nuclear'][k], rtol=1e-7, atol=0
  )


def test_feasible_as_often_as_measured_elsewhere(seen):
  """0, 0.34, 1, 1 of 100 instances; 40 here, three standard errors."""
  dims, _, found = seen
  share = {d: found['feasible_nuclear'][dims == d].mean() for d in (1, 2, 4, 5)}
  assert share[1] == 0 and share[4] == share[5] == 1
  assert abs(share[2] - 0.34) < 3 * np.sqrt(0.34 * 0.66 * (1 / 40 + 1 / 100))
  every = found['feasible_nuclear'] | found['infeasible_nuclear']
  assert every.all()


def test_ranks(seen):
  dims, _, found = seen
  full, low = (found[f'rank_{x}'] for x in ('frobenius', 'nuclear'))
  assert np.isnan(full[dims == 1]).all()
  assert np.nanmean(full[dims == 5]) > 4.7  # min(n, d) but where λ vanishes
  assert abs(np.nanmean(low[dims == 5]) - 2.57) < 0.35  # 0.6/√40, thrice
  assert (low[dims == 5][:, 0] == low[dims == 5][:, 2]).mean() > 0.9
  # The published way of counting sees min(n, d), and 1 for what is infeasible.
  assert (found['rank_loose'][dims == 5] >= 4).all()
  assert (found['rank_loose'][dims == 1] == 1).all()
  assert np.nanmax(found['rows_nuclear']) < 1e-9


def test_bad_sizes_are_one_line():
  with pytest.raises(ValueError, match='T is 1, expected an integer >= 2'):
    separation.Structure(T=1)
