"""pass@k, coverage and majority against exact integers and 40 digits."""

import pathlib

import jax
import numpy as np

from framework.evidence.scaling import coverage

GOLDEN = np.load(
  pathlib.Path(__file__).parents[2] / 'golden' / 'spectrum' / 'passk.npz'
)


def test_the_estimate_is_that_of_exact_integers():
  n, c, k = (GOLDEN[f'passk_{x}'] for x in 'nck')
  got = jax.jit(jax.vmap(coverage.pass_at_k))(n, c, k)
  np.testing.assert_allclose(got, GOLDEN['passk_unbiased'], rtol=1e-14, atol=0)


def test_coverage_of_beta_problems():
  a, b, k = GOLDEN['beta_rows'].T
  got = jax.vmap(coverage.beta_coverage)(a, b, k)
  np.testing.assert_allclose(got, GOLDEN['beta_log1m'], rtol=1e-10, atol=1e-10)


def test_the_plug_in_is_too_low():
  """n = 200, k = 100 of problems with p ~ Beta: .807, .786 and .802."""
  p = np.random.default_rng(0).beta(0.4, 2.0, 4000)
  c = np.random.default_rng(1).binomial(200, p)
  k = np.full_like(c, 100)
  n = np.full_like(c, 200)
  unbiased = jax.vmap(coverage.pass_at_k)(n, c, k)
  plug = jax.vmap(coverage.plug_in)(n, c, k)
  truth = 1 - (1 - p) ** 100
  error = np.std(unbiased - truth) / len(p) ** 0.5
  assert abs(np.mean(unbiased - truth)) < 4 * error
  assert np.mean(plug - truth) < -4 * error


def test_where_a_majority_ends():
  np.testing.assert_allclose(
    coverage.majority_limit(GOLDEN['maj_P']),
    GOLDEN['maj_limit'],
    rtol=1e-14,
    atol=0,
  )
