"""Measurements are isotropic; targets have the spectrum asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.matrix_sensing import ensembles
from framework.systems.matrix_sensing.operators.packing import unsvec


def test_gaussian_is_isotropic():
  A = ensembles.gaussian(jax.random.key(0), 20_000, 3, 2, jnp.float64)
  A = np.asarray(A)
  np.testing.assert_allclose(A.T @ A, np.eye(6), atol=0.05, rtol=0)
  assert A.dtype == jnp.float64


def test_symmetric_gaussian_has_the_law_of_a_symmetrised_one():
  m, n = 20_000, 3

  @jax.jit
  def drawn(key):
    A = ensembles.symmetric_gaussian(key, m, n, jnp.float64)
    return A, jax.vmap(lambda a: unsvec(a, n))(A)

  A, stack = jax.device_get(drawn(jax.random.key(0)))
  np.testing.assert_allclose(A.T @ A, np.eye(6), atol=0.05, rtol=0)
  B = np.random.default_rng(1).standard_normal((m, n, n))
  direct = (B + B.transpose(0, 2, 1)) / 2 / m**0.5
  np.testing.assert_allclose(
    m * np.var(stack, axis=0), m * np.var(direct, axis=0), atol=0.05, rtol=0
  )


def test_spectrum_takes_a_traced_condition_number():
  linear = jax.jit(lambda kappa: ensembles.linear_spectrum(3, kappa))(2.0)
  np.testing.assert_allclose(linear, [1, 0.75, 0.5], rtol=1e-15, atol=0)
  geometric = ensembles.geometric_spectrum(3, 100.0)
  np.testing.assert_allclose(geometric, [1, 0.1, 0.01], rtol=1e-14, atol=0)
  np.testing.assert_allclose(
    ensembles.linear_spectrum(1, 5.0), [1.0], rtol=1e-7, atol=0
  )


@pytest.mark.parametrize(
  'arguments,message',
  [
    ((0, 2.0), 'rank is 0'),
    ((3, 0.5), 'kappa is 0.5'),
  ],
)
def test_spectrum_refuses(arguments, message):
  for spectrum in (ensembles.linear_spectrum, ensembles.geometric_spectrum):
    with pytest.raises(ValueError, match=message):
      spectrum(*arguments)


@pytest.mark.parametrize('symmetric', [True, False])
def test_low_rank(symmetric):
  sigma = jnp.array([1.0, 0.75, 0.5])
  n2 = 8 if symmetric else 6
  truth = ensembles.low_rank(jax.random.key(0), 8, n2, sigma, symmetric)
  M = ensembles.matrix(truth)
  assert M.shape == (8, n2)
  found = np.linalg.svd(M, compute_uv=False)
  np.testing.assert_allclose(found[:3], sigma, rtol=1e-13, atol=0)
  assert np.all(found[3:] < 1e-14)
  np.testing.assert_allclose(truth.V.T @ truth.V, np.eye(3), atol=1e-14, rtol=0)
  if symmetric:
    np.testing.assert_allclose(M, M.T, atol=1e-15, rtol=0)
    assert truth.U is truth.V
  else:
    assert not np.allclose(truth.U[:6], truth.V)


def test_low_rank_is_haar():
  # E u u^T = I/n and no preferred sign.
  keys = jax.random.split(jax.random.key(0), 4000)
  one = np.ones(1)
  draw = jax.vmap(lambda k: ensembles.low_rank(k, 4, 4, one, True).U[:, 0])
  U = np.asarray(jax.jit(draw)(keys))
  np.testing.assert_allclose(U.T @ U / 4000, np.eye(4) / 4, atol=0.02, rtol=0)
  np.testing.assert_allclose(U.mean(0), 0, atol=0.03, rtol=0)


def test_low_rank_refuses():
  with pytest.raises(ValueError, match='rank is 3, expected at most 2'):
    ensembles.low_rank(jax.random.key(0), 4, 2, jnp.ones(3), False)
  with pytest.raises(ValueError, match='square, got 4 x 2'):
    ensembles.low_rank(jax.random.key(0), 4, 2, jnp.ones(1), True)
