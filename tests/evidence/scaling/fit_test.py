"""Fits against optima that an independent search found from 200 starts."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.evidence import scaling
from framework.evidence.scaling import forms

GOLDEN = np.load(
  pathlib.Path(__file__).parents[2] / 'golden' / 'spectrum' / 'fits.npz'
)
FORMS = {
  'powfloor': forms.POWER_FLOOR,
  'rising': forms.RISING,
  'equal': forms.EQUAL,
  'unequal': forms.UNEQUAL,
  'pmean': forms.POWER_MEAN,
  'overtrain': forms.OVERTRAIN,
  'errloss': forms.ERROR_OF_LOSS,
  'coverage': forms.COVERAGE,
}
CASES = sorted(
  {name.removesuffix('_y') for name in GOLDEN if name[-2:] == '_y'}
)
QUICK = 'powfloor0', 'coverage0', 'overtrain0'


def assert_optimum(case, distance):
  form = FORMS[str(GOLDEN[f'{case}_form'])]
  names = str(GOLDEN[f'{case}_cols']).split(',')
  tag = '' if distance is scaling.difference else 'log'
  columns = tuple(GOLDEN[f'{case}_X'].T)
  y = GOLDEN[f'{case}_y']
  search = jax.jit(
    lambda c, y: scaling.fit(form, c, y, distance=distance, starts=64)
  )
  found = search(columns, y)
  wanted = GOLDEN[f'{case}_sse{tag}']
  # Lower is as good: they are optima of the same problem.
  assert found.sse <= wanted * (1 + 1e-6), (float(found.sse), float(wanted))
  del names
  condition = GOLDEN[f'{case}_cond'][0 if not tag else 1]
  order = parameters_of(case)
  got = np.array([found.parameters[n] for n in order])
  tolerance = 1e-5 if condition < 1e4 else 2e-3
  if form is forms.POWER_MEAN:
    return  # flat along s
  np.testing.assert_allclose(
    got, GOLDEN[f'{case}_p{tag}'], rtol=tolerance, atol=tolerance * 1e-2
  )
  errors = np.array([found.stderr[n] for n in order])
  np.testing.assert_allclose(
    errors,
    np.sqrt(np.diagonal(GOLDEN[f'{case}_cov{tag}'])),
    rtol=10 * tolerance,
    atol=1e-9,
  )


def parameters_of(case):
  """Names in the order of the reference."""
  return {
    'powfloor': ('a', 'b', 'c'),
    'rising': ('a', 'b', 'c'),
    'equal': ('E', 'a', 'b', 'x'),
    'unequal': ('E', 'a', 'x', 'b', 'y'),
    'pmean': ('E', 'a', 'x', 'b', 'y', 's'),
    'overtrain': ('E', 'a', 'b', 'eta'),
    'errloss': ('eps', 'k', 'gamma'),
    'coverage': ('a', 'b'),
  }[str(GOLDEN[f'{case}_form'])]


@pytest.mark.parametrize(
  'case',
  [
    pytest.param(c, marks=() if c in QUICK else pytest.mark.slow) for c in CASES
  ],
)
@pytest.mark.parametrize(
  'distance',
  [
    scaling.difference,
    pytest.param(scaling.log_ratio, marks=pytest.mark.slow),
  ],
)
def test_optima_are_those_of_the_reference(case, distance):
  assert_optimum(case, distance)


def test_a_bootstrap_has_the_spread_of_new_data():
  """Standard errors, of the bootstrap and of the residuals, and the truth."""
  x = jnp.asarray(np.geomspace(1, 300, 60))
  truth = {'a': 2.0, 'b': 0.5}

  def noisy(key):
    noise = 0.02 * jax.random.normal(key, x.shape)
    return forms.POWER.model(truth, x) * jnp.exp(noise)

  def b_of(key):
    found = scaling.refit(
      forms.POWER,
      (x,),
      noisy(key),
      jnp.log(jnp.array([1.0, 1.0])),
      distance=scaling.log_ratio,
    )
    return found.parameters['b'], found.stderr['b'], found

  many, errors, fits = jax.jit(jax.vmap(b_of))(
    jax.random.split(jax.random.key(0), 200)
  )
  spread = many.std()
  assert abs(many.mean() - 0.5) < 4 * spread / 200**0.5
  np.testing.assert_allclose(errors.mean(), spread, rtol=0.15, atol=0)
  first = jax.tree.map(lambda v: v[0], fits)
  drawn = jax.jit(
    lambda y, found: scaling.bootstrap(
      forms.POWER, (x,), y, found, jax.random.key(1), 200,
      distance=scaling.log_ratio,
    )
  )(noisy(jax.random.split(jax.random.key(0), 200)[0]), first)  # fmt: skip
  np.testing.assert_allclose(drawn['b'].std(), spread, rtol=0.35, atol=0)


def test_a_planted_floor_of_zero_is_not_invented():
  x = np.geomspace(10, 1e4, 20)
  found = scaling.fit(
    forms.without_floor(forms.POWER_FLOOR, 'c'), (x,), 3 * x**-0.3, starts=4
  )
  assert set(found.parameters) == {'a', 'b'}
  np.testing.assert_allclose(found.parameters['b'], 0.3, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
  'columns, y, message',
  [
    ((np.ones(5), np.ones(5)), np.ones(5), 'got 2 columns, expected x'),
    ((np.ones(4),), np.ones(5), r'columns have shapes \[\(4,\)\]'),
    ((np.ones(3),), np.ones(3), '3 points for 3 parameters'),
  ],
)
def test_what_cannot_be_fitted_is_refused(columns, y, message):
  with pytest.raises(ValueError, match=message):
    scaling.fit(forms.POWER_FLOOR, columns, y)
