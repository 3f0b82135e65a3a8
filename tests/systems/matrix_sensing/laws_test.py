"""The laws of matrix sensing on runs of the framework.

Runs are shared between tests; those at full size are slow.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework import linspaced, logspaced
from framework.evidence import fits
from framework.system import advance, keys, start
from framework.systems import matrix_sensing as dynamics
from framework.systems.matrix_sensing import (
  ensembles,
  operators,
  optimizers,
  probes,
  theory,
)

SIGMA = np.array([1.0, 0.75, 0.5])  # of every default truth
ENERGY = float(np.sum(SIGMA**2))  # ‖M‖²
GENERAL = {'symmetric': False}


def precgd(hp):
  return optimizers.precgd(hp.eta, hp.loss_damping)


def light(structure):
  """The system, observing what the laws are about and no more."""

  def observe(state, problem, hp):
    del hp
    F, G = dynamics.factors(state.params)
    loss, _ = dynamics.value_and_grad(state.params, problem)
    error = probes.squared_error(F, G, problem.truth)
    return {'squared_error': error, 'loss': loss}

  return dynamics.system(structure)._replace(observe=observe)


def descend(structure, times, seeds=1, final=False, **hp):
  """Records (seed, point, time) and last states; arrays in hp are points."""
  gd, last = light(structure), dynamics.final
  axes = dynamics.Hp(
    **{n: 0 if np.ndim(hp.get(n, 0)) else None for n in dynamics.Hp._fields}
  )
  hp = dynamics.Hp(**{n: jnp.asarray(x) for n, x in hp.items()})

  def one(key, hp):
    problem, state = start(gd, key, hp)
    step_key = keys(key).step
    state, seen = advance(gd, step_key, problem, hp, state, 0, times)
    return seen | (last(state, problem, hp) if final else {}), state

  @jax.jit
  def all_of(keys):
    return jax.lax.map(lambda key: jax.vmap(one, (None, axes))(key, hp), keys)

  seen, state = all_of(jax.vmap(jax.random.key)(jnp.arange(seeds)))
  return {name: np.array(x) for name, x in seen.items()}, state


def rates(times, error, floor=1e-22):
  """Slopes of ln(error) on the second half of the way to the floor."""
  reached = fits.first_passage(times, error, floor)
  end = np.where(np.isnan(reached), times[-1], reached)
  where = fits.after(times, end / 2) & (times <= end[..., None])
  return fits.exponential(times, error, where=where).slope


def assert_rates(slope, law, late):
  """The slowest mode takes over last: slopes tend to the law from above.

  How late depends on the gap to the next mode, which draws differ in.
  """
  ratio = slope / law
  assert np.all((ratio > 0.99) & (ratio < 1 + late)), ratio


# --- Laws, symmetric ----------------------------------------------------------

LATE = (2_000, 20_000)  # the last decade of 2e4 steps


@functools.cache
def population():
  times = np.unique(np.r_[np.arange(0, 300, 10), logspaced(20_000, 30)])
  ks = np.array([3, 4, 5, 8, 12])
  seen, _ = descend(dynamics.Structure(n1=50, n2=50, k_max=12), times, k=ks)
  return times, ks, seen['squared_error'][0]


def test_exact_rank_is_linear_at_population():
  times, _, error = population()
  slope = fits.exponential(times, error[0], window=(150, 250)).slope
  law = float(theory.linear_rate(0.2, SIGMA[-1]))
  assert abs(slope / law - 1) < 0.002
  assert np.sqrt(error[0, -1] / ENERGY) < 5e-15


def test_excess_rank_is_sublinear_at_population():
  times, ks, error = population()
  slope = fits.power_law(times, error[1:], window=LATE).slope
  np.testing.assert_allclose(slope, -2, atol=0.03, rtol=0)
  law = theory.sublinear(20_000.0, ks[1:], 3, 0.2)
  np.testing.assert_allclose(error[1:, -1] / law, 1, atol=0.02, rtol=0)


@functools.cache
def sensing(seeds=1, steps=20_000, ks=(3, 4, 5)):
  times = np.unique(np.r_[np.arange(0, 700, 10), logspaced(steps, 30)])
  structure = dynamics.Structure(n1=30, n2=30, k_max=5, m=600)
  seen, _ = descend(structure, times, seeds, final=True, k=np.array(ks))
  return times, seen


def check_excess_rank(times, seen):
  window = fits.last_decade(times)
  for name, low, high in (
    ('squared_error', -2.05, -1.80),
    ('loss', -2.05, -1.88),
  ):
    slope = fits.power_law(times, seen[name][:, 1:], window=window).slope
    assert np.all((slope > low) & (slope < high)), (name, slope)


def check_exact_rank(times, seen):
  slope = rates(times, seen['squared_error'][:, 0], 1e-26)
  law = np.array(theory.linear_rate(0.2, seen['ntk_min'][:, 0]))
  assert_rates(slope, law, 0.15)
  # Measurements slow it down, to about half of the population.
  assert np.all(np.abs(slope) < 0.8 * abs(theory.linear_rate(0.2, SIGMA[-1])))


def test_excess_rank_is_sublinear_with_measurements():
  check_excess_rank(*sensing())


def test_exact_rank_has_the_rate_of_its_linearisation():
  check_exact_rank(*sensing(steps=3000, ks=(3,)))


def test_floor_of_float64():
  _, seen = sensing(steps=3000, ks=(3,))
  assert np.sqrt(seen['squared_error'][0, 0, -1] / ENERGY) < 5e-15


def test_floor_of_float32():
  structure = dynamics.Structure(
    n1=30, n2=30, k_max=3, m=600, dtype=jnp.float32
  )
  seen, state = descend(structure, np.array([0, 600, 1200]), k=np.array([3]))
  error = seen['squared_error'][0, 0]
  assert error.dtype == state.params['X'].dtype == np.float32
  assert np.all(np.sqrt(error[1:] / ENERGY) < 2e-6)


@pytest.mark.slow
def test_symmetric_laws_at_full_size():
  times, seen = sensing(seeds=5, steps=100_000)
  check_excess_rank(times, seen)
  check_exact_rank(times, seen)


# --- Laws, asymmetric ---------------------------------------------------------


ALPHAS = (0.5, 0.35, 0.25, 0.18)


@functools.cache
def asymmetric_population():
  """Untied starts at each α and then a tied one, five seeds."""
  times = linspaced(4000, 20)
  structure = dynamics.Structure(n1=50, n2=50, k_max=5, **GENERAL)
  alpha, tied = np.array([*ALPHAS, 0.5]), np.array([0.0] * 4 + [1.0])
  seen, state = descend(structure, times, 5, alpha=alpha, tied=tied)
  F = np.array(state.params['F'])
  # At population and where G has died in the noise columns, an eigenvalue of
  # the linearisation, and of the noise block up to a relative O(α²).
  lowest = np.linalg.eigvalsh(F.transpose(0, 1, 3, 2) @ F)[..., 0]
  return times, seen['squared_error'], lowest


def exponents(alphas, slope):
  """Of -slope ~ α^x over α ≤ 0.5, for each seed."""
  small = np.array(alphas) <= 0.5
  return fits.power_law(np.array(alphas)[small], -slope[:, small]).slope


def test_asymmetric_rate_at_population():
  times, error, lowest = asymmetric_population()
  slope = rates(times, error[:, :4])
  law = np.array(theory.linear_rate(0.2, lowest[:, :4]))
  np.testing.assert_allclose(slope / law, 1, atol=1e-3, rtol=0)
  exponent = exponents(ALPHAS, slope)
  assert abs(np.mean(exponent) - 2) < 0.08, exponent
  assert np.all(np.abs(exponent - 2) < 0.2), exponent


def test_a_tied_start_is_not_linear():
  times, error, _ = asymmetric_population()
  tied = error[:, 4]
  slope = fits.power_law(times, tied, window=(400, 4000)).slope
  np.testing.assert_allclose(slope, -2, atol=0.06, rtol=0)
  law = float(theory.sublinear(4000.0, 5, 3, 0.2))
  np.testing.assert_allclose(tied[:, -1] / law, 1, atol=0.05, rtol=0)

  def halving(error):
    early = fits.exponential(times, error, window=(1000, 2000)).slope
    late = fits.exponential(times, error, window=(2000, 4000)).slope
    return late / early

  # The rate of a power law halves as t doubles; that of an exponential stays.
  np.testing.assert_allclose(halving(tied), 0.5, atol=0.03, rtol=0)
  assert np.all(halving(error[:, 3]) > 0.9)


def measured_rates(alphas, seeds, steps):
  """Slopes, checked against the linearisation at the limit."""
  times = linspaced(steps, 20)
  structure = dynamics.Structure(n1=30, n2=30, k_max=5, m=600, **GENERAL)
  seen, _ = descend(structure, times, seeds, True, alpha=np.array(alphas))
  slope = rates(times, seen['squared_error'])
  law = np.array(theory.linear_rate(0.2, seen['ntk_min']))
  assert_rates(slope, law, 0.15)
  np.testing.assert_allclose(np.mean(slope / law, 0), 1, atol=0.08, rtol=0)
  return slope


def test_asymmetric_rate_with_measurements():
  alphas = (0.5, 0.35, 0.25)
  exponent = exponents(alphas, measured_rates(alphas, 1, 4000))
  assert np.all(np.abs(exponent - 2) < 0.35), exponent


@pytest.mark.slow
def test_asymmetric_rate_with_measurements_at_full_size():
  alphas = (0.7, *ALPHAS)
  exponent = exponents(alphas, measured_rates(alphas, 5, 9000))
  assert abs(np.mean(exponent) - 2) < 0.2, exponent
  assert np.all(np.abs(exponent - 2) < 0.35), exponent


# --- One modified step --------------------------------------------------------


def check_balanced(alphas, m, seeds, steps, window):
  times = linspaced(steps, 10)
  structure = dynamics.Structure(
    n1=30, n2=30, k_max=5, m=m, optimizer=optimizers.balanced, **GENERAL
  )
  seen, state = descend(structure, times, seeds, alpha=np.array(alphas))
  error = seen['squared_error']
  where = fits.between_levels(error, 1e-8, 1e-22)
  slope = fits.exponential(times, error, where=where).slope
  assert np.all(np.min(slope, -1) / np.max(slope, -1) < 1.15), slope
  reached = fits.first_passage(times, error, 1e-20)
  low, high = window
  assert np.all((reached > low) & (reached < high)), reached
  assert np.all(state.opt_state.balanced_at > 0)
  return slope


def test_balancing_makes_the_rate_independent_of_the_start():
  alphas = (0.7, 0.25, 0.01)
  slope = check_balanced(alphas, None, 1, 400, (200, 300))
  law = float(theory.balanced_rate(0.2, 0.5, SIGMA[-1]))
  np.testing.assert_allclose(slope / law, 1, atol=0.1, rtol=0)


def test_balancing_with_measurements():
  check_balanced((0.7, 0.25, 0.01), 600, 1, 1300, (1000, 1300))


@pytest.mark.slow
def test_balancing_at_full_size():
  alphas = (0.7, *ALPHAS, 0.05, 0.01)
  check_balanced(alphas, 600, 5, 1400, (1000, 1300))


# --- Preconditioning and outliers ---------------------------------------------


def test_precgd_does_not_see_the_condition_number():
  times, kappa = linspaced(420, 5), np.array([2.0, 20.0])
  shape = {'n1': 30, 'n2': 30, 'k_max': 5, 'm': 600}
  seen, _ = descend(
    dynamics.Structure(optimizer=precgd, **shape), times, kappa=kappa
  )
  reached = fits.first_passage(times, seen['squared_error'][0], 1e-20)
  np.testing.assert_allclose(reached[1] / reached[0], 1, atol=0.05, rtol=0)


def test_squares_do_not_survive_outliers():
  structure = dynamics.Structure(
    n1=20, n2=20, k_max=20, m=1500, noise=ensembles.outliers
  )
  seen, _ = descend(
    structure,
    np.array([0, 600]),
    k=np.array([3, 5, 20, 3]),
    outliers=np.array([0.1, 0.1, 0.1, 0.0]),
  )
  relative = np.sqrt(seen['squared_error'][0, :, -1] / ENERGY)
  assert np.all(relative[:3] > 0.3)
  assert relative[3] < 1e-12  # no outliers, no error


def test_absolute_residuals_survive_outliers():
  """The sub-gradient method: one in ten spoilt, steps that shrink by 3 %."""
  shape = dict(n1=8, n2=8, r=2, k_max=2, m=300, noise=ensembles.outliers)
  absolute = dynamics.residual_loss(lambda z: jnp.mean(jnp.abs(z)))
  robust = dynamics.Structure(
    operator=operators.svec,
    loss=absolute,
    optimizer=lambda hp: optax.sgd(optax.exponential_decay(hp.eta, 1, 0.97)),
    **shape,
  )
  times, last = np.array([0, 600]), {}
  # Rows are divided by √m, and so is a step along the mean of their signs.
  for name, structure, eta in (
    ('absolute', robust, 0.3 * 300**0.5),
    ('squares', dynamics.Structure(**shape), 0.2),
  ):
    hp = dict(k=np.array([2]), outliers=0.1, eta=eta)
    seen, _ = descend(structure, times, **hp)
    last[name] = np.sqrt(seen['squared_error'][0, 0, -1] / 1.25)
  assert last['absolute'] < 1e-6
  assert last['squares'] > 0.1
