"""The kernel of the linearisation against autodiff, its rates against a run."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.matrix_sensing import operators, probes
from tests.systems.matrix_sensing.probes_test import draw, measure, rows

# One program instead of one an operation: most of the time is compilation.
ntk = jax.jit(probes.ntk, static_argnames='symmetric')


ntk_edges = jax.jit(probes.ntk_edges)


noise_rate = jax.jit(probes.noise_rate, static_argnums=2)


@pytest.mark.parametrize('symmetric', [True, False])
def test_ntk_is_the_gauss_newton_matrix(symmetric):
  n2 = 5 if symmetric else 4
  F, G, _ = draw(5, n2, 3, 2, symmetric)
  A = rows(5, n2, symmetric, 40)
  single = (operators.svec if symmetric else operators.dense)(A, (5, n2))

  def residual(parameters):  # half its square is the loss
    if symmetric:
      X = parameters.reshape(5, 3)
      return single.forward_factors(X, X) / 2**0.5
    F, G = parameters[:15].reshape(5, 3), parameters[15:].reshape(n2, 3)
    return single.forward_factors(F, G)

  flat = [F] if symmetric else [F, G]
  J = jax.jit(jax.jacobian(residual))(
    np.concatenate([x.reshape(-1) for x in flat])
  )
  found = ntk(F, G, operators.gram(A, (5, n2)), symmetric)
  np.testing.assert_allclose(found, J.T @ J, atol=1e-12, rtol=0)


def test_ntk_of_a_symmetric_product_seen_by_general_measurements():
  """A_i that are not symmetric: only their symmetric part counts for XXᵀ."""
  X, _, _ = draw(5, 5, 3, 2, symmetric=True)
  A = np.random.default_rng(7).normal(size=(40, 25)) / 40**0.5
  dense = operators.dense(A, (5, 5), False)

  def residual(x):
    X = x.reshape(5, 3)
    return dense.forward_factors(X, X) / 2**0.5

  J = jax.jit(jax.jacobian(residual))(X.reshape(-1))
  found = ntk(X, X, operators.gram(A, (5, 5), False), True)
  np.testing.assert_allclose(found, J.T @ J, rtol=0, atol=1e-12)
  np.testing.assert_allclose(found, found.T, rtol=0, atol=1e-13)


def limit(n1, n2, k, r, symmetric, padding):
  """A point with FGᵀ of rank r: X, or F of full rank and G of rank r."""
  F, G, truth = draw(n1, n2, k, r, symmetric)
  if symmetric:
    W, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(k, r)))
    F = G = (truth.U * np.sqrt(truth.s)[None, :]) @ W.T
  else:
    G = truth.V @ (truth.V.T @ G)
  return [np.pad(x, ((0, 0), (0, padding))) for x in (F, G)]


@pytest.mark.parametrize('padding', [0, 2])
@pytest.mark.parametrize(
  'n1,n2,k,r,symmetric',
  [
    (7, 7, 3, 3, True),
    (7, 7, 5, 3, True),
    (7, 5, 4, 2, False),
    (5, 7, 2, 2, False),
  ],
)
def test_structural_zeros(n1, n2, k, r, symmetric, padding):
  F, G = limit(n1, n2, k, r, symmetric, padding)
  kernel = ntk(F, G, measure(n1, n2, symmetric, 120), symmetric)
  eigenvalues = np.linalg.eigvalsh(kernel)
  counted = int(np.sum(eigenvalues < 1e-12 * eigenvalues[-1]))
  count = functools.partial(
    probes.structural_zeros, n1, n2, r=r, symmetric=symmetric
  )
  assert counted == count(k=k, k_max=k + padding)
  if not padding:
    assert counted == count(k=k)

  # With k traced, as in a sweep.
  found = ntk_edges(kernel, count(k=jnp.int32(k), k_max=F.shape[1]))
  np.testing.assert_allclose(
    found, eigenvalues[[counted, -1]], rtol=1e-10, atol=0
  )
  assert found[0] > 1e-6


def test_padding_adds_exact_zeros_to_the_ntk():
  operator = measure(6, 5, False, 60)
  F, G = limit(6, 5, 3, 2, False, padding=0)
  wide = [np.pad(x, ((0, 0), (0, 1))) for x in (F, G)]
  plain = ntk(F, G, operator, False)
  padded = ntk(*wide, operator, False)
  used = np.tile([True, True, True, False], 11)
  assert np.all(padded[~used] == 0) and np.all(padded[:, ~used] == 0)
  np.testing.assert_allclose(padded[used][:, used], plain, atol=1e-13, rtol=0)


def test_noise_rate_ignores_padding_and_is_infinite_without_noise():
  F, G = limit(9, 7, 4, 2, False, padding=0)
  _, _, Vt = np.linalg.svd(G)
  N = Vt[2:].T
  expected = np.linalg.eigvalsh(N.T @ F.T @ F @ N)[0]
  np.testing.assert_allclose(noise_rate(F, G, 2), expected, rtol=1e-10, atol=0)
  wide = [np.pad(x, ((0, 0), (0, 3))) for x in (F, G)]
  np.testing.assert_allclose(
    noise_rate(*wide, 2, 4), expected, rtol=1e-10, atol=0
  )
  assert noise_rate(F[:, :2], G[:, :2], 2) == jnp.inf
  few = [x * (np.arange(7)[None, :] < 2) for x in wide]
  assert noise_rate(*few, 2, 2) == jnp.inf


@pytest.mark.parametrize('m,steps', [(None, 150), (100, 500)])
def test_rates_are_those_of_a_run(m, steps):
  eta, n, r, k = 0.2, 8, 2, 3
  F, G, truth = draw(n, n, k, r, symmetric=False)
  F, G = 0.5 * F / n**0.5, 0.5 * G / 3 / n**0.5
  operator = (
    operators.Identity((n, n)) if m is None else measure(n, n, False, m)
  )

  @jax.jit
  def run(F, G, steps):
    def step(_, FG):
      DG, DtF = operator.residual_products(*FG, truth)
      return FG[0] - eta * DG, FG[1] - eta * DtF

    return jax.lax.fori_loop(0, steps, step, (F, G))

  early = run(F, G, steps)
  late = run(*early, steps)
  slope = jnp.log(
    probes.squared_error(*late, truth) / probes.squared_error(*early, truth)
  )
  zeros = probes.structural_zeros(n, n, k, r, symmetric=False)
  lowest, highest = ntk_edges(ntk(*late, operator, symmetric=False), zeros)
  predicted = 2 * steps * jnp.log1p(-eta * lowest)
  np.testing.assert_allclose(
    slope, predicted, rtol=5e-2, atol=0
  )  # not yet the limit
  assert 0 < lowest < highest < 2 / eta


def test_noise_rate_is_a_rate_of_the_population():
  F, G = limit(9, 7, 4, 2, False, padding=0)
  population = operators.Identity((9, 7))
  exact = np.linalg.eigvalsh(F.T @ F)[0]
  kernel = np.linalg.eigvalsh(ntk(F, G, population, symmetric=False))
  # Noise G has n - r = 5 directions outside the signal.
  assert np.sum(np.abs(kernel - exact) < 1e-12) == 5
  assert noise_rate(F, G, 2) > exact

  # Where the noise columns of F are orthogonal to the others they agree.
  _, _, Vt = np.linalg.svd(G)
  F = np.linalg.qr(F)[0] @ np.diag([3.0, 2.0, 1.0, 0.5]) @ Vt
  np.testing.assert_allclose(noise_rate(F, G, 2), 0.25, rtol=1e-12, atol=0)
  np.testing.assert_allclose(
    np.linalg.eigvalsh(F.T @ F)[0], 0.25, rtol=1e-12, atol=0
  )
