"""Descent through the framework's own `advance` against stored trajectories."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.system import advance
from framework.systems import matrix_sensing as dynamics
from framework.systems.matrix_sensing import (
  ensembles,
  operators,
  optimizers,
  probes,
  targets,
)

GOLDEN = pathlib.Path(__file__).parents[2] / 'golden'
SYMMETRIC = np.load(GOLDEN / 'ms_sym_gd.npz')
ASYMMETRIC = np.load(GOLDEN / 'ms_asym_gd.npz')
FORMS = {
  'dense': operators.dense,
  'svec': operators.svec,
  'gram': operators.gram,
  'blocks': functools.partial(operators.blocks, block_rows=20),
}


def assert_close(actual, expected):
  scale = float(np.max(np.abs(expected)))
  np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-11 * scale)


def assert_norms_close(actual, expected):
  """Of squared norms: the norms differ by the rounding of unit entries."""
  np.testing.assert_allclose(
    np.sqrt(actual), np.sqrt(expected), rtol=1e-11, atol=5e-15
  )


def follow(structure, operator, data, starts, times, **hp):
  """Parameters and observations at `times` from stored starts (points, ...)."""
  if 'V' in data:
    factors = (data[name] for name in ('U', 'sigma', 'V'))
    truth = ensembles.Truth(*map(jnp.array, factors))
  else:
    truth = targets.from_matrix(data['M'], 2)
  energy = jnp.array(np.sum(data['y'] ** 2))
  M = jnp.array(data['M'])
  problem = dynamics.Problem(operator, truth, M, energy, None, None)
  hp = dynamics.Hp(eta=float(data['eta']), k=4, **hp)
  gd = dynamics.system(structure)

  def observe(state, problem, hp):
    F, G = dynamics.factors(state.params)
    loss, _ = dynamics.value_and_grad(state.params, problem)
    error = probes.squared_error(F, G, problem.truth)
    seen = state.params | {'loss': loss, 'squared_error': error}
    if structure.optimizer is optimizers.balanced:
      seen['balanced_at'] = state.opt_state.balanced_at
    return seen

  gd = gd._replace(observe=observe)

  def run(params):
    key = jax.random.key(0)
    state = gd.init(key, problem, hp)._replace(params=params)
    return advance(gd, key, problem, hp, state, 0, times)[1]

  starts = {name: jnp.array(x) for name, x in starts.items()}
  return {
    name: np.array(x) for name, x in jax.jit(jax.vmap(run))(starts).items()
  }


@pytest.mark.parametrize('kind', ['dense', 'svec', 'gram', 'blocks', None])
def test_symmetric(kind):
  data, shape = SYMMETRIC, {'n1': 8, 'n2': 8, 'r': 2, 'k_max': 4}
  if kind is None:
    name, operator = 'Xpop', operators.Identity((8, 8))
  else:
    name, rows = 'X', jnp.array(data['A_svec'])
    operator = FORMS[kind](rows, (8, 8))
    shape |= {'m': 48, 'operator': FORMS[kind]}
  # Both k side by side, the smaller one padded.
  wide = [np.pad(data[f'{name}_k{k}'][0], ((0, 0), (0, 4 - k))) for k in (2, 4)]
  seen = follow(
    dynamics.Structure(**shape), operator, data, {'X': wide}, data['steps']
  )
  for lane, k in enumerate((2, 4)):
    X = seen['X'][lane]
    assert np.all(X[..., k:] == 0)
    for found, expected in zip(X, data[f'{name}_k{k}'], strict=True):
      assert_close(found[:, :k], expected)
    if kind is not None:
      assert_norms_close(seen['squared_error'][lane], data[f'err2_k{k}'])
      assert_norms_close(seen['loss'][lane], data[f'loss_k{k}'])


def asymmetric(kind, optimizer, times, **hp):
  data = ASYMMETRIC
  structure = dynamics.Structure(
    n1=8,
    n2=6,
    r=2,
    k_max=4,
    m=80,
    symmetric=False,
    operator=FORMS[kind],
    optimizer=optimizer,
  )
  rows = jnp.array(data['A'].reshape(80, -1))
  operator = FORMS[kind](rows, (8, 6))
  starts = {name: data[name][:1] for name in 'FG'}
  seen = follow(structure, operator, data, starts, times, **hp)
  return {name: x[0] for name, x in seen.items()}


@pytest.mark.parametrize('kind', ['dense', 'gram', 'blocks'])
def test_asymmetric(kind):
  data = ASYMMETRIC
  seen = asymmetric(kind, optax.sgd, data['steps'])
  imbalance = [
    F.T @ F - G.T @ G for F, G in zip(seen['F'], seen['G'], strict=True)
  ]
  for j in range(len(data['steps'])):
    assert_close(seen['F'][j], data['F'][j])
    assert_close(seen['G'][j], data['G'][j])
    assert_close(imbalance[j], data['Delta'][j])
  assert_norms_close(seen['squared_error'], data['err2'])


def test_balanced():
  """Stored with the re-gauging *between* two steps; here it is a step."""
  data, at = ASYMMETRIC, int(ASYMMETRIC['t_balance'])
  around = asymmetric('gram', optax.sgd, np.array([at - 1, at]))
  relative = 2 * around['loss'] / np.sum(data['y'] ** 2)
  steps = data['steps']
  times = np.sort(np.r_[np.where(steps > at, steps + 1, steps), at, at + 1])
  kappa = data['sigma'][0] / data['sigma'][1]
  seen = asymmetric(
    'gram',
    optimizers.balanced,
    times,
    trigger=float(np.sqrt(np.prod(relative))),
    beta2=float(data['beta2'] / data['sigma'][1]),  # in units of σ_r
    kappa=float(kappa),
  )
  np.testing.assert_array_equal(
    seen['balanced_at'], np.where(times > at, at, -1)
  )
  kept = ~np.isin(times, [at, at + 1])
  for name in 'FG':
    for j, found in enumerate(seen[name][kept]):
      assert_close(found, data[f'{name}bal'][j])
    before, after = (int(np.argmax(times == t)) for t in (at, at + 1))
    assert_close(seen[name][before], data[f'bal_{name}_before'])
    assert_close(seen[name][after], data[f'bal_{name}_after'])
  assert_norms_close(seen['squared_error'][kept], data['err2_bal'])
