"""The exact recursion against an independent reference and simulations."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.spectrum import sgd, spectra
from framework.systems.spectrum.sgd.expected import Problem

GOLDEN = np.load(
  pathlib.Path(__file__).parents[3] / 'golden' / 'spectrum' / 'sgd.npz'
)


def problem(case):
  """A stored case as a problem, modes beyond N as noise."""
  g = {x: GOLDEN[f'{case}_{x}'] for x in ('lam', 'w2', 's2', 'eta', 'N', 'wd')}
  own = np.arange(1, len(g['lam']) + 1) <= g['N']
  missing = np.sum(np.where(own, 0, g['lam'] * g['w2']))
  made = Problem(
    np.where(own, g['lam'], 0),
    np.sqrt(np.where(own, g['w2'], 0)),
    missing,
    g['s2'] + missing,
    g['eta'],
    g['wd'],
  )
  return jax.tree.map(lambda x: jnp.asarray(x, float), made)


@functools.cache
def curve():
  return jax.jit(sgd.one_pass_risk)


@pytest.mark.parametrize(
  'case',
  [
    *('b1', 'b8', 'b1wd', 'b8n20wd', 'n10', 'expo'),
    *(pytest.param(x, marks=pytest.mark.slow) for x in ('big', 'big0')),
  ],
)
def test_curves_are_those_of_the_reference(case):
  wanted = GOLDEN[f'{case}_curve']
  steps = np.unique(np.linspace(0, len(wanted) - 1, 12).astype(np.int32))
  got = curve()(problem(case), steps, GOLDEN[f'{case}_B'])
  np.testing.assert_allclose(got, wanted[steps], rtol=1e-10, atol=0)


def test_the_infinite_spectrum_is_that_of_the_reference():
  """Modes beyond the kept ones stay as they are, and make noise."""
  alpha, beta, steps = (
    float(GOLDEN['inf_alpha']),
    float(GOLDEN['inf_beta']),
    GOLDEN['inf_steps'][:3].astype(np.int32),
  )
  s = spectra.power_law(alpha, beta, 20_000)
  made = sgd.problem_of(s, sgd.Hp(noise=float(GOLDEN['inf_s2'])))
  np.testing.assert_allclose(made.eta, GOLDEN['inf_eta'], rtol=1e-12, atol=0)
  got = curve()(made, steps)
  np.testing.assert_allclose(got, GOLDEN['inf_excess'][:3], rtol=1e-10, atol=0)


def test_the_width_of_the_least_risk():
  s = spectra.power_law(
    float(GOLDEN['width_alpha']), float(GOLDEN['width_beta']), 32
  )
  widths = GOLDEN['width_Ngrid'][GOLDEN['width_Ngrid'] <= 32]
  budgets = GOLDEN['width_C'][:5]
  hp = sgd.Hp(noise=float(GOLDEN['width_s2']))
  got = sgd.compute_optimal_width(s, hp, budgets, widths)
  assert got.width.tolist() == GOLDEN['width_Nopt'][:5].tolist()
  assert got.steps.tolist() == GOLDEN['width_Topt'][:5].tolist()
  np.testing.assert_allclose(
    got.excess, GOLDEN['width_risk'][:5], rtol=1e-10, atol=0
  )
  with pytest.raises(ValueError, match='a budget is 1, expected at least'):
    sgd.compute_optimal_width(s, hp, [1], widths)


@pytest.mark.slow
def test_losses_over_width_and_data():
  s = spectra.power_law(
    float(GOLDEN['loss_alpha']), float(GOLDEN['loss_beta']), 512
  )
  hp = sgd.Hp(noise=0.0)
  widths, steps = GOLDEN['loss_N'], GOLDEN['loss_D'].astype(np.int32)
  steps = np.broadcast_to(steps, (len(widths), len(steps)))
  got = jax.jit(sgd.loss_table)(s, hp, widths, steps)
  np.testing.assert_allclose(got, GOLDEN['loss_tab'], rtol=1e-10, atol=0)


def test_simulations_agree_with_their_expectation():
  """All stored simulations, at four standard errors; they are not ours."""
  for case in ('b1', 'b8', 'b1wd', 'b8n20wd', 'n10', 'expo'):
    steps = GOLDEN[f'sim_{case}_steps']
    off = GOLDEN[f'sim_{case}_mean'] - GOLDEN[f'{case}_curve'][steps]
    assert np.all(np.abs(off) <= 4 * GOLDEN[f'sim_{case}_se'] + 1e-12)


def test_weight_decay_helps_where_noise_dominates():
  """And slows down where bias is left to be removed."""
  s = spectra.power_law(1.5, 1.8, 1000, tail=False)

  def ratio(noise, eta, decay):
    with_it, without = (
      curve()(
        sgd.problem_of(s, sgd.Hp(eta=eta, noise=noise, decay=d)),
        np.array([7000]),
        1.0,
      )[0]
      for d in (decay, 0.0)
    )
    return float(with_it / without)

  np.testing.assert_allclose(ratio(5.0, 1.0, 0.03), 0.62, rtol=0, atol=0.01)
  assert ratio(0.25, 0.5, 1e-3) > 1


@pytest.mark.parametrize('batch', [1, 4])
def test_where_it_ends(batch):
  s = spectra.power_law(1.5, 1.5, 10, tail=False)
  made = sgd.problem_of(s, sgd.Hp(eta=0.8, noise=0.3))
  late = curve()(made, np.array([20_000]), float(batch))[0]
  np.testing.assert_allclose(
    late, sgd.stationary(made, batch), rtol=1e-9, atol=0
  )
  assert np.isinf(sgd.stationary(made._replace(eta=jnp.array(3.0)), batch))
