"""Tails of quadratic forms against a contour and two million draws."""

import pathlib

import jax
import numpy as np
import pytest

from framework.systems.spectrum import inductive_bias as ib

GOLDEN = np.load(
  pathlib.Path(__file__).parents[3] / 'golden' / 'spectrum' / 'ib.npz'
)
CASES = sorted(x.removesuffix('_eps') for x in GOLDEN if x.endswith('_eps'))


@pytest.fixture(scope='module')
def tails():
  both = lambda w, m, e: (*ib.lugannani_rice(w, m, e), ib.exact(w, m, e))  # noqa: E731
  return jax.jit(jax.vmap(both, (None, None, 0)))


@pytest.mark.parametrize('case', CASES)
def test_tails_are_those_of_the_reference(case, tails):
  g = {
    x: GOLDEN[f'{case}_{x}']
    for x in (
      *('w', 'm', 'eps', 'shift', 'logp_exact', 'logp_lr'),
      *('logsf_exact', 'logsf_lr'),
    )
  }
  # Of one length, for one program: weights that are zero do nothing.
  w, m = (np.pad(g[x], (0, 60 - len(g[x]))) for x in 'wm')
  eps = np.pad(g['eps'], (0, 12 - len(g['eps'])), 'edge') - g['shift']
  lower, upper, exact = (
    np.asarray(x)[: len(g['eps'])] for x in tails(w, m, eps)
  )
  beyond = np.isfinite(g['logsf_exact'])
  for got, wanted, here in (
    (lower, g['logp_lr'], ~beyond),
    (upper, g['logsf_lr'], beyond),
  ):
    np.testing.assert_allclose(got[here], wanted[here], rtol=1e-6, atol=1e-6)
  # The saddle point is off by hundredths of a nat, as the reference's is.
  off = np.where(beyond, upper - g['logsf_exact'], lower - g['logp_exact'])
  assert np.max(np.abs(off)) < 0.13
  deep = g['logp_exact'] < -1e-6
  np.testing.assert_allclose(
    exact[deep], g['logp_exact'][deep], rtol=1e-7, atol=1e-8
  )


@pytest.mark.parametrize('case', ['d4', 'd8x'])
def test_a_gaussian_process_has_that_distribution(case):
  X, Xt = GOLDEN[f'{case}_X'], GOLDEN[f'{case}_Xt']
  d = float(GOLDEN[f'{case}_d'])
  y, yt = (np.sin(2 * x.sum(1) / d**0.5) for x in (X, Xt))

  @jax.jit
  def losses_of(X, Xt, y, yt):
    fit = ib.posterior(ib.rbf(X, X), ib.rbf(Xt, X), ib.rbf(Xt, Xt), y)
    return ib.loss_distribution(*fit, yt)

  losses = jax.device_get(losses_of(X, Xt, y, yt))
  total = losses.shift + np.sum(losses.w + losses.m)
  np.testing.assert_allclose(total, GOLDEN[f'{case}_mean'], rtol=1e-8, atol=0)
  np.testing.assert_allclose(
    np.sort(losses.w)[::-1][:20],
    np.sort(GOLDEN[f'{case}_w'])[::-1][:20],
    rtol=1e-7,
    atol=1e-12,
  )


def test_an_example_that_is_not_there_does_nothing():
  X = np.random.default_rng(0).uniform(-1, 1, (9, 2))
  y = X.sum(1)
  K = np.asarray(jax.jit(ib.rbf)(X, X))
  used = np.arange(6) < 4
  posterior = jax.jit(ib.posterior)
  part = posterior(K[:6, :6], K[6:, :6], K[6:, 6:], y[:6], used=used)
  whole = posterior(K[:4, :4], K[6:, :4], K[6:, 6:], y[:4])
  for one, other in zip(part, whole, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_losses_of_networks_are_extrapolated_by_two_moments():
  """Of χ² losses the extrapolation is exact, up to the moments."""
  seen = np.random.default_rng(0).chisquare(10, 40_000) / 10
  wanted = -ib.exact(np.full(10, 0.1), np.zeros(10), 0.1)
  np.testing.assert_allclose(
    jax.jit(ib.bias_of_losses)(seen, 0.1), wanted, rtol=0.03, atol=0
  )
