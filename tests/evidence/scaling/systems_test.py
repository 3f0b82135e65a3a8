"""Fits, tries and growing curves are Systems."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import rollout
from framework.evidence import scaling
from framework.evidence.scaling import attempts, forms, growing, searching
from framework.testing import laws


def table(key, hp):
  x = jnp.asarray(np.geomspace(1, 64, 12))
  noise = 0.01 * jax.random.normal(key, x.shape)
  y = 2 * x ** -hp['b'] * jnp.exp(noise)
  return searching.Table((x[:8],), y[:8], (x[8:],), y[8:])


def curve(key, hp):
  x = jnp.arange(1.0, 11.0)
  return growing.Curve(
    x, hp['c'] - 3 / x + 0.01 * jax.random.normal(key, (10,))
  )


SUBJECTS = {
  'searching': lambda: laws.Subject(
    searching.searching(
      searching.Structure((('power', forms.POWER),), table, starts=2)
    ),
    {'b': np.float64(0.5)},
    looser=1e4,
  ),
  'attempts': lambda: laws.Subject(
    attempts.attempts(attempts.Structure(problems=4, answers=3)),
    attempts.Hp(*map(np.float64, (0.4, 1.2, 1.0)), np.int32(2)),
    other=attempts.Hp(*map(np.float64, (0.6, 1.0, 2.0)), np.int32(3)),
  ),
  'growing': lambda: laws.Subject(
    growing.growing(growing.Structure(curve, searches=2)),
    {'c': np.float64(9.0)},
    looser=1e4,
  ),
}


@pytest.fixture(scope='module', params=sorted(SUBJECTS))
def subject(request):
  return SUBJECTS[request.param]()


@pytest.mark.slow
@pytest.mark.parametrize('law', laws.ALL)
def test_law(subject, law):
  law(subject)


def test_a_search_ends_where_the_fit_does():
  system = searching.searching(
    searching.Structure((('power', forms.POWER),), table, starts=4)
  )
  key, hp = jax.random.key(2), {'b': jnp.array(0.5)}
  run = jax.jit(lambda key: rollout(system, key, hp, jnp.array([40])))
  state, seen = run(key)
  data = table(jax.random.split(key, 3)[0], hp)
  found = jax.jit(
    lambda c, y: scaling.fit(
      forms.POWER, c, y, distance=scaling.log_ratio, starts=4
    )
  )(data.columns, data.y)
  np.testing.assert_allclose(
    seen['power_b'][0], found.parameters['b'], rtol=1e-7, atol=0
  )
  np.testing.assert_allclose(
    seen['power_b_error'][0], found.stderr['b'], rtol=1e-6, atol=0
  )
  far = scaling.extrapolation(forms.POWER, found, data.far_columns, data.far_y)
  np.testing.assert_allclose(
    seen['power_median'][0], np.median(far), rtol=1e-6, atol=0
  )
  del state


def test_votes_are_what_is_estimated_from():
  system = attempts.attempts(attempts.Structure(problems=50, answers=3))
  hp = attempts.Hp(*map(jnp.asarray, (0.4, 1.2, 1.0)), jnp.int32(5))
  run = jax.jit(lambda key: rollout(system, key, hp, jnp.array([0, 30])))
  state, seen = run(jax.random.key(0))
  votes = np.asarray(state.votes)
  assert (votes.sum(1) == 30).all() and state.tries == 30
  assert seen['solved'][1] == np.mean(votes[:, 0] > 0)
  wanted = [scaling.coverage.pass_at_k(30, c, 5) for c in votes[:, 0]]
  np.testing.assert_allclose(
    seen['unbiased'][1], np.mean(wanted), rtol=1e-12, atol=0
  )
  top = votes.max(1)
  won = (votes[:, 0] == top) / (votes == top[:, None]).sum(1)
  np.testing.assert_allclose(
    seen['majority'][1], won.mean(), rtol=1e-12, atol=0
  )


def test_a_growing_curve_is_fitted_as_a_whole_one():
  system = growing.growing(growing.Structure(curve, searches=60))
  hp = {'c': jnp.array(9.0)}
  seen = jax.jit(lambda k: rollout(system, k, hp, jnp.array([6, 10])))(
    jax.random.key(1)
  )[1]
  data = curve(jax.random.split(jax.random.key(1), 3)[0], hp)
  for i, c in zip((6, 10), seen['asymptote'], strict=True):
    found = scaling.fit(forms.RISING, (data.x[:i],), data.y[:i], starts=8)
    np.testing.assert_allclose(c, found.parameters['c'], rtol=1e-5, atol=0)
