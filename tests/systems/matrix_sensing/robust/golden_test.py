"""The sub-gradient method against stored trajectories of five schedules."""

import functools
import math
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.optimizers import subgradient
from framework.system import advance
from framework.systems import matrix_sensing as ms
from framework.systems.matrix_sensing import operators, probes, targets

GOLDEN = np.load(pathlib.Path(__file__).parents[3] / 'golden' / 'ms_subgm.npz')
C = float(GOLDEN['eta'])
RULES = {
  'geo': subgradient.geometric(4 * C, float(GOLDEN['rho'])),
  'normgeo': subgradient.normalised_geometric(4 * C, float(GOLDEN['rho'])),
  'med': subgradient.residual_scaled(C, subgradient.quantile(0.5)),
  'q25': subgradient.residual_scaled(C, subgradient.quantile(0.25)),
  'polyak': subgradient.polyak(),
}


class Hp(NamedTuple):
  alpha: float = 1e-4
  k: int = 6


@functools.cache
def problem():
  """Theirs has unit variance and 1/m before the sum; here both are in A_i."""
  m, n, _ = GOLDEN['A'].shape
  i, j = np.triu_indices(n)
  rows = GOLDEN['A'][:, i, j] * np.where(i == j, 1, 2**0.5) / m**0.5
  operator = operators.svec(jnp.array(rows), (n, n), True)
  truth = targets.from_matrix(GOLDEN['M'], 2)
  noise = jnp.array(GOLDEN['s'] / m**0.5)
  M, energy = jnp.array(GOLDEN['M']), jnp.array(np.sum(GOLDEN['y'] ** 2) / m)
  return ms.Problem(operator, truth, M, energy, noise=noise)


def structure(rule):
  return ms.Structure(
    n1=8,
    n2=8,
    r=2,
    k_max=6,
    m=240,
    operator=operators.svec,
    loss=ms.mean_residual(jnp.abs),
    start=ms.starts.spectral(),
    optimizer=rule,
  )


def follow(rule, times):
  """States and what is seen at `times`, from the spectral start."""
  system, given, hp = ms.system(structure(rule)), problem(), Hp()

  def observe(state, problem, hp):
    X = state.params['X']
    blocks = probes.recompose(X, problem.truth)
    error = probes.squared_error(X, X, problem.truth)
    norms = jnp.stack(blocks)
    return {'X': X, 'blocks': norms, 'error': error}

  system = system._replace(observe=observe)

  @jax.jit
  def run():
    key = jax.random.key(0)
    state = system.init(key, given, hp)
    return advance(system, key, given, hp, state, 0, times)[1]

  return {name: np.array(x) for name, x in run().items()}


@pytest.mark.parametrize('name', RULES)
def test_trajectories(name):
  steps = GOLDEN['steps']
  seen = follow(RULES[name], steps)
  stored = GOLDEN[f'U_{name}']
  for t, X, U in zip(steps, seen['X'], stored, strict=True):
    # The signs of eigenvectors are free; the products and the norms are not.
    scale = np.abs(U @ U.T).max()
    tolerance = 1e-10 if t <= 50 else 1e-8
    np.testing.assert_allclose(X @ X.T, U @ U.T, rtol=0, atol=tolerance * scale)
  np.testing.assert_allclose(
    seen['blocks'], GOLDEN[f'scr_{name}'], rtol=1e-7, atol=1e-12
  )
  signal, cross, residual = seen['blocks'].T
  np.testing.assert_allclose(
    signal**2 + 2 * cross**2 + residual**2,
    seen['error'],
    rtol=1e-8,
    atol=0,  # ε on entries of one, beside an error of 2e-7
  )


def test_the_spectral_start_is_the_stored_one():

  @jax.jit
  def start(given):
    F, G = ms.starts.spectral()(jax.random.key(0), given, 6, True)
    assert F is G
    return F

  F = start(problem())
  stored = GOLDEN['U0'] / 1e-4
  np.testing.assert_allclose(np.abs(F), np.abs(stored), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize('name', ['geo', 'normgeo', 'med', 'q25', 'polyak'])
def test_step_sizes(name):
  """The first of each, from the extra arguments that the system offers."""
  system, given, hp = ms.system(structure(RULES[name])), problem(), Hp()
  key = jax.random.key(0)
  state = system.init(key, given, hp)
  state = system.step(key, state, given, hp)
  np.testing.assert_allclose(
    state.opt_state.step_size, GOLDEN[f'eta_{name}'][0], rtol=1e-9, atol=0
  )


def test_polyak_from_a_tiny_start_needs_its_cap():
  capped = follow(subgradient.polyak(cap=1.0), np.array([0, 1]))
  free = follow(subgradient.polyak(), np.array([0, 1]))
  assert free['error'][1] > 1e14
  assert math.isclose(capped['error'][1], capped['error'][0], rel_tol=1e-6)


def test_measurements_that_are_not_used_do_not_count():
  """The first 100 of 240 are the problem of these 100, from start to step."""
  whole = problem()
  few = whole._replace(
    operator=operators.svec(whole.operator.A[:100] * 2.4**0.5, (8, 8), True),
    noise=whole.noise[:100] * 2.4**0.5,
  )
  masked = whole._replace(used=jnp.arange(240) < 100)
  system, hp = ms.system(structure(RULES['q25'])), Hp(alpha=0.3)

  @jax.jit
  def step(given):
    state = system.init(jax.random.key(0), given, hp)
    return system.step(jax.random.key(0), state, given, hp)

  one, other = step(few), step(masked)
  X, Y = (np.array(s.params['X']) for s in (one, other))
  np.testing.assert_allclose(X @ X.T, Y @ Y.T, rtol=1e-10, atol=1e-12)
  np.testing.assert_allclose(
    one.opt_state.step_size, other.opt_state.step_size, rtol=1e-12, atol=0
  )
