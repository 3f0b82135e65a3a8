"""Problems made by numpy from a stack of measurement matrices.

So what the framework does with them is checked against the definitions.
"""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np

from framework.system import advance
from framework.systems import matrix_sensing as dynamics
from framework.systems.matrix_sensing import (
  ensembles,
  operators,
)

GENERAL = {'symmetric': False}


FORMS = {
  'dense': operators.dense,
  'svec': operators.svec,
  'gram': operators.gram,
  'blocks': operators.blocks,
}


def assert_close(actual, expected, tolerance):
  scale = float(np.max(np.abs(expected)))
  np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


def haar(rng, n, k):
  return np.linalg.qr(rng.normal(size=(n, k)))[0]


def measured(structure, sigma=(1.0, 0.5), noisy=False):
  """The problem of a structure, its A_i (m, n1, n2) and y."""
  rng, s = np.random.default_rng(3), structure
  n1, n2, sigma = s.n1, s.n2, np.array(sigma)
  U = haar(rng, n1, len(sigma))
  V = U if s.symmetric_truth else haar(rng, n2, len(sigma))
  truth = ensembles.Truth(*(jnp.array(x) for x in (U, sigma, V)))
  M = (U * sigma) @ V.T
  if s.m is None:
    stack, noise = np.eye(n1 * n2).reshape(-1, n1, n2), np.zeros(n1 * n2)
    operator = operators.Identity((n1, n2))
  else:
    stack = rng.normal(size=(s.m, n1, n2)) / s.m**0.5
    rows = stack.reshape(s.m, -1)
    if s.symmetric_ensemble:
      stack = (stack + stack.transpose(0, 2, 1)) / 2
      i, j = np.triu_indices(n1)
      rows = stack[:, i, j] * np.where(i == j, 1, 2**0.5)
    noise = noisy * (rng.random(s.m) < 0.3) * rng.normal(size=s.m)
    operator = s.operator(jnp.array(rows), (n1, n2), s.symmetric_ensemble)
  y = np.einsum('mij,ij->m', stack, M) + noise
  terms = ()
  if noisy:
    adjoint = np.einsum('m,mij->ij', noise, stack)
    terms = jnp.array(adjoint), jnp.sum(noise**2), jnp.array(noise)
  M, energy = jnp.array(M), jnp.array(np.sum(y**2))
  return dynamics.Problem(operator, truth, M, energy, *terms), stack, y


def follow(structure, problem, observe=None):
  """(hp, times) -> (last state, records); `observe` sees (state, hp)."""
  gd = dynamics.system(structure)._replace(
    observe=lambda state, problem, hp: observe(state, hp) if observe else {}
  )

  @jax.jit
  def run(hp, times):
    key = jax.random.key(0)
    state = gd.init(key, problem, hp)
    return advance(gd, key, problem, hp, state, 0, times)

  return run
