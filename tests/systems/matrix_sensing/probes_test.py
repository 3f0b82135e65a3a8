"""Probes against identities that hold exactly."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.matrix_sensing import ensembles, operators, probes

GOLDEN = pathlib.Path(__file__).parents[2] / 'golden'


error_blocks = jax.jit(probes.error_blocks)


recompose = jax.jit(probes.recompose)


def draw(n1, n2, k, r, symmetric):
  """Two factors, the same one twice if symmetric, and a truth."""
  random = np.random.default_rng(0)
  F, G = random.normal(size=(n1, k)), random.normal(size=(n2, k))
  U, V = (np.linalg.qr(random.normal(size=(n, r)))[0] for n in (n1, n2))
  if symmetric:
    G, V = F, U
  s = np.linspace(1.0, 0.5, r)
  return F, G, ensembles.Truth(U, s, V)


def rows(n1, n2, symmetric, m):
  p = n1 * (n1 + 1) // 2 if symmetric else n1 * n2
  return np.random.default_rng(7).normal(size=(m, p)) / m**0.5


def measure(n1, n2, symmetric, m):
  return operators.gram(rows(n1, n2, symmetric, m), (n1, n2))


def test_recomposition():
  X, _, truth = draw(9, 9, 4, 2, symmetric=True)
  parts = recompose(X, truth)
  total = probes.squared_error(X, X, truth)
  whole = parts.signal**2 + 2 * parts.cross**2 + parts.residual**2
  np.testing.assert_allclose(whole, total, rtol=1e-12, atol=0)
  # The definition, with U_perp written out.
  Q, _ = np.linalg.qr(np.array(truth.U), mode='complete')
  S, E = Q[:, :2].T @ X, Q[:, 2:].T @ X
  np.testing.assert_allclose(
    parts.cross, np.linalg.norm(S @ E.T), rtol=1e-12, atol=0
  )
  np.testing.assert_allclose(
    parts.residual, np.linalg.norm(E @ E.T), rtol=1e-12, atol=0
  )


def test_error_blocks():
  F, G, truth = draw(9, 7, 4, 2, symmetric=False)
  blocks = error_blocks(F, G, truth)
  total = probes.squared_error(F, G, truth)
  np.testing.assert_allclose(
    sum(x**2 for x in blocks), total, rtol=1e-12, atol=0
  )
  # Noise in F alone shows on the left and in the residual.
  inside = truth.V @ (truth.V.T @ G)
  moved = error_blocks(F, inside, truth)
  assert moved.left > 0.1 and moved.right < 1e-13 and moved.residual < 1e-13


def test_error_blocks_agree_with_the_recomposition():
  X, _, truth = draw(9, 9, 4, 2, symmetric=True)
  signal, left, right, residual = error_blocks(X, X, truth)
  expected = recompose(X, truth)
  np.testing.assert_allclose(
    [signal, left, right, residual],
    [expected.signal, expected.cross, expected.cross, expected.residual],
    rtol=1e-12,
    atol=0,
  )


@pytest.mark.parametrize('eta', [0.01, 0.2, 3.0])
def test_imbalance_identity(eta):
  F, G, truth = draw(9, 7, 4, 2, symmetric=False)
  operator = measure(9, 7, False, 80)
  D = operator.normal(F @ G.T - ensembles.matrix(truth))
  DG, DtF = operator.residual_products(F, G, truth)
  after = probes.imbalance(F - eta * DG, G - eta * DtF)
  change = after - probes.imbalance(F, G)
  expected = probes.imbalance_step(F, G, D, eta)
  scale = float(jnp.max(jnp.abs(after))) + float(jnp.sum(F**2))
  np.testing.assert_allclose(change, expected, rtol=0, atol=1e-13 * scale)
  assert float(jnp.max(jnp.abs(expected))) > 1e-6 * scale


def test_imbalance_of_the_golden_run():
  data = np.load(GOLDEN / 'ms_asym_gd.npz')
  for F, G, wanted in zip(data['F'], data['G'], data['Delta'], strict=True):
    np.testing.assert_allclose(
      probes.imbalance(F, G), wanted, atol=1e-14, rtol=0
    )
  A = jnp.array(data['A'].reshape(80, -1))
  operator = operators.dense(A, (8, 6))
  F, G = data['F'][1], data['G'][1]
  D = operator.normal(F @ G.T - data['M'])
  step = probes.imbalance_step(F, G, D, data['eta'])
  np.testing.assert_allclose(
    step, data['Delta'][2] - data['Delta'][1], atol=1e-15, rtol=0
  )


def test_squared_error_of_the_golden_run():
  data = np.load(GOLDEN / 'ms_asym_gd.npz')
  truth = ensembles.Truth(data['U'], data['sigma'], data['V'])
  found = [
    probes.squared_error(F, G, truth)
    for F, G in zip(data['Fbal'], data['Gbal'], strict=True)
  ]
  # The last is rounding: 7e-30.
  np.testing.assert_allclose(found[:9], data['err2_bal'][:9], rtol=1e-6, atol=0)
  assert found[9] < 1e-28


def test_singular_values():
  F, G, _ = draw(9, 7, 4, 2, symmetric=False)
  expected = np.linalg.svd(F @ G.T, compute_uv=False)[:4]
  np.testing.assert_allclose(
    probes.singular_values(F, G), expected, rtol=1e-12, atol=0
  )
  wide = [np.pad(x, ((0, 0), (0, 2))) for x in (F, G)]
  padded = probes.singular_values(*wide)
  np.testing.assert_allclose(padded[:4], expected, rtol=1e-12, atol=0)
  np.testing.assert_allclose(padded[4:], 0, atol=1e-14, rtol=0)
  assert probes.singular_values(F[:2], G).shape == (2,)
