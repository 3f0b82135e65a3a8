"""The best ridge against an independent reference."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.spectrum import rf_risk, ridge, spectra

GOLDEN = np.load(
  pathlib.Path(__file__).parents[3] / 'golden' / 'spectrum' / 'rf.npz'
)


def test_the_best_ridge_is_that_of_the_reference():
  s = spectra.Spectrum(
    jnp.array(GOLDEN['opt_lam']), jnp.array(GOLDEN['opt_v2'])
  )
  rows = GOLDEN['opt_rows'][::5]
  n, k, s2 = rows.T
  best = jax.jit(jax.vmap(ridge.optimal_ridge, (None, 0, 0, 0)))
  delta, risk = best(s, s2, n, k)
  np.testing.assert_allclose(
    risk.test, GOLDEN['opt_test'][::5], rtol=1e-10, atol=0
  )
  # At a minimum half of the digits of its place are known.
  inner = GOLDEN['opt_interior'][::5] > 0
  np.testing.assert_allclose(
    np.log(delta[inner]), GOLDEN['opt_logdelta'][::5][inner], rtol=0, atol=1e-5
  )
  np.testing.assert_allclose(
    delta / (n * risk.kappa), GOLDEN['opt_r'][::5], rtol=1e-5, atol=1e-9
  )


def test_interpolation_is_best_where_the_target_is_smooth_enough():
  """β > α without noise: there is no best ridge above zero."""
  s = spectra.unit_power(spectra.power_law(1.3, 1.6, 400))
  delta, risk = jax.jit(ridge.optimal_ridge)(s, 0.0, 64, np.inf)
  assert delta == 0
  assert risk.train == 0
  assert risk.test < rf_risk(s, 0.0, 64, np.inf, 1e-4).test


def test_ratios_at_three_hundred_samples():
  """With the whole tail; the noise is relative to the bias without ridge."""
  search = ridge.search
  system = search.tuning(search.Structure(modes=1000, tail=True))
  rows = GOLDEN['ropt_rows']

  def found(alpha, beta, noise):
    hp = search.Hp(
      n=int(GOLDEN['ropt_n']), k=0, noise=0.0, relative_noise=noise,
      alpha=alpha, beta=beta,
    )  # fmt: skip
    hp = jax.tree.map(jnp.asarray, hp)
    problem = system.sample(None, hp)
    state = system.init(None, problem, hp)
    step = lambda i, s: system.step(None, s, problem, hp)  # noqa: E731
    state = jax.lax.fori_loop(0, 60, step, state)
    return system.observe(state, problem, hp)['ratio']

  got = np.sqrt(jax.jit(jax.vmap(found))(*rows.T))
  # At r = 0 the search ends at its lower end, ln δ = −30.
  np.testing.assert_allclose(got, GOLDEN['ropt_num_r'], rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_without_its_tail_a_spectrum_finds_another_ridge():
  """Two thousand modes are not an infinity: r is 0.12 where it is 0.40."""

  def ratio(tail):
    s = spectra.power_law(1.5, 1.25, 2000, tail=tail)
    delta, risk = ridge.optimal_ridge(s, 0.0, 300, np.inf)
    return delta / (300 * risk.kappa)

  whole, cut = jax.jit(lambda: (ratio(True), ratio(False)))()
  np.testing.assert_allclose(whole, 0.4, rtol=0, atol=0.005)
  assert cut < 2 / 3 * whole
