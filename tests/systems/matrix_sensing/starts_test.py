"""Spectral starts against the matrix that they are the spectrum of."""

import jax
import jax.numpy as jnp
import numpy as np

from framework.systems.matrix_sensing import Problem, operators, starts

RNG = np.random.default_rng(0)


def test_the_start_of_two_factors_is_the_best_of_its_rank():
  m, shape = 30, (4, 3)
  stack = RNG.normal(size=(m, *shape))
  y, used = RNG.normal(size=m), np.arange(m) < 20
  A = operators.dense(jnp.array(stack.reshape(m, -1)) / m**0.5, shape, False)
  problem = Problem(
    A, None, None, jnp.sum(y**2), y=jnp.array(y), used=jnp.array(used)
  )
  F, G = starts.spectral()(jax.random.key(0), problem, 2, False)
  C = np.einsum('m,mij->ij', np.sign(y[:20]), stack[:20]) / 20
  U, s, Vt = np.linalg.svd(C)
  best = (U[:, :2] * s[:2]) @ Vt[:2]
  np.testing.assert_allclose(F @ G.T, best, rtol=0, atol=1e-10)
  np.testing.assert_allclose(F.T @ F, G.T @ G, rtol=0, atol=1e-10)
