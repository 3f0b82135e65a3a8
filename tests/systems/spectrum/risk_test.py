"""Exact risks against an independent reference of 40 to 60 digits."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.spectrum import risk, spectra

GOLDEN = np.load(
  pathlib.Path(__file__).parents[2] / 'golden' / 'spectrum' / 'rf.npz'
)


@functools.cache
def table():
  """Risks of one spectrum over (noise, n, k, ridge), as one program."""
  f = risk.rf_risk
  axes = (0, None, None, None), (None, 0, None, None)
  axes += (None, None, 0, None), (None, None, None, 0)
  # Innermost first; the last axis comes out last.
  for one in reversed(axes):
    f = jax.vmap(f, (None, *one))
  return jax.jit(f)


def spectrum(name):
  lam, v2 = GOLDEN[f'{name}_lam'], GOLDEN[f'{name}_v2']
  return spectra.Spectrum(jnp.array(lam), jnp.array(v2))


def grid(name, *axes):
  return [GOLDEN[f'{name}_{axis}'] for axis in axes]


def assert_same(got, wanted, rtol):
  """Where the reference is defined."""
  here = np.isfinite(wanted)
  np.testing.assert_allclose(got[here], wanted[here], rtol=rtol, atol=1e-90)
  assert not np.isfinite(got[wanted == np.inf]).any()


@pytest.mark.parametrize('name', ['power', 'expo', 'spiked', 'ident', 'dead'])
def test_risks_are_those_of_the_reference(name):
  s2, n, k, delta = grid(name, 's2', 'n', 'k', 'delta')
  got = jax.device_get(table()(spectrum(name), s2, n, k, delta))
  test, train = (np.moveaxis(x, 0, -1) for x in (got.test, got.train))
  rank = np.sum(GOLDEN[f'{name}_lam'] > 0)
  # Without ridge, as many modes as samples or features: not defined.
  undefined = (
    ((n[:, None, None] == rank) | (k[None, :, None] == rank))
    & (delta == 0)[None, None]
  )  # fmt: skip
  keep = ~undefined[..., None] & np.ones(len(s2), bool)
  assert_same(test[keep], GOLDEN[f'{name}_test'][keep], 1e-10)
  assert_same(train[keep], GOLDEN[f'{name}_train'][keep], 1e-10)
  np.testing.assert_allclose(
    got.gamma[0][~undefined],
    GOLDEN[f'{name}_gamma'][~undefined],
    rtol=1e-10,
    atol=1e-90,
  )
  np.testing.assert_allclose(
    got.kappa[0][~undefined],
    GOLDEN[f'{name}_kappa'][~undefined],
    rtol=1e-10,
    atol=1e-90,
  )


def test_nothing_cancels():
  """Rounding alone, at k = n and near it, down to a ridge of 1e-12."""
  s = spectra.Spectrum(
    jnp.array(GOLDEN['grad_lam']), jnp.array(GOLDEN['grad_v2'])
  )
  n, k, delta, s2 = GOLDEN['grad_rows'].T
  rows = jax.jit(jax.vmap(risk.rf_risk, (None, 0, 0, 0, 0)))
  got = jax.device_get(rows(s, s2, n, k, delta))
  worst = {
    name: np.max(np.abs(getattr(got, name) / GOLDEN[f'grad_{name}'] - 1))
    for name in ('test', 'train', 'kappa', 'gamma')
  }
  assert max(worst.values()) < 4e-15, worst


def test_derivatives_are_those_of_the_reference():
  s = spectra.Spectrum(
    jnp.array(GOLDEN['grad_lam']), jnp.array(GOLDEN['grad_v2'])
  )
  n, k, delta, s2 = GOLDEN['grad_rows'].T

  def test_risk(log_delta, s2, n, k):
    out = risk.rf_risk(s, s2, n, k, jnp.exp(log_delta))
    return out.test, out.train

  slopes = jax.vmap(jax.jacrev(test_risk), (0, 0, 0, 0))
  test, train = jax.device_get(jax.jit(slopes)(np.log(delta), s2, n, k))
  for got, name in ((test, 'test'), (train, 'train')):
    wanted = GOLDEN[f'grad_{name}_dlogdelta']
    scale = np.abs(GOLDEN[f'grad_{name}'])
    assert np.max(np.abs(got - wanted) / scale) < 1e-9


def test_an_infinite_spectrum_is_summed_whole():
  """The rows with α = 1.1 and δ = 0 need more modes, and are no exception."""
  rows = GOLDEN['tail_rows']

  def of(alpha, beta, s2, n, k, delta):
    spectrum = spectra.power_law(alpha, beta, 1000)
    return risk.rf_risk(spectrum, s2, n, k, delta)

  got = jax.device_get(jax.jit(jax.vmap(of))(*rows.T))
  for name in ('test', 'train', 'kappa', 'gamma'):
    np.testing.assert_allclose(
      getattr(got, name), GOLDEN[f'tail_{name}'], rtol=1e-10, atol=0
    )
  np.testing.assert_allclose(got.learned, GOLDEN['tail_z'], rtol=1e-10, atol=0)
  # Too few modes are kept: not known, and not a number.
  few = spectra.power_law(1.5, 1.25, 100)
  assert np.isnan(risk.rf_risk(few, 0.0, 200, np.inf, 0.0).test)


def test_samples_and_features_change_places_where_the_target_is_the_kernel():
  """v² ∝ λ and no noise: E_test is symmetric in (n, k) at equal δ n k."""
  lam = jnp.arange(1.0, 101) ** -1.4
  s = spectra.Spectrum(lam, lam)
  n, k = np.array([20.0, 50.0]), np.array([50.0, 20.0])
  ridge = np.array([0.03, 0.03])
  first, second = jax.vmap(risk.rf_risk, (None, None, 0, 0, 0))(
    s, 0.0, n, k, ridge / k
  ).test
  np.testing.assert_allclose(first, second, rtol=1e-13, atol=0)


def test_the_ratio_at_the_best_ridge_is_that_of_the_closed_form():
  alpha, beta, noise = GOLDEN['ropt_rows'].T
  got = risk.optimal_ratio(alpha, beta, noise)
  np.testing.assert_allclose(
    np.sqrt(got), GOLDEN['ropt_closed_r'], rtol=1e-12, atol=1e-15
  )
