"""Observations against the definitions, the linearisation against autodiff."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from framework.descent import DescentState
from framework.systems import matrix_sensing as dynamics
from tests.systems.matrix_sensing.problems import (
  GENERAL,
  measured,
)


@pytest.mark.parametrize('symmetric', [True, False])
def test_observations(symmetric):
  shape = {'n1': 7, 'n2': 7, 'r': 2, 'k_max': 4, 'm': 60}
  shape |= {} if symmetric else GENERAL | {'n2': 6}
  structure = dynamics.Structure(**shape)
  problem, stack, y = measured(structure, noisy=True)
  gd, hp = dynamics.system(structure), dynamics.Hp(k=3)
  state = jax.jit(gd.init)(jax.random.key(0), problem, hp)
  seen = jax.jit(gd.observe)(state, problem, hp)
  F, G = (np.array(x) for x in dynamics.factors(state.params))
  E = F @ G.T - np.array(problem.M)
  np.testing.assert_allclose(
    seen['squared_error'], np.sum(E**2), rtol=1e-12, atol=0
  )
  residual = np.einsum('mij,ij->m', stack, F @ G.T) - y
  loss = np.sum(residual**2) / (4 if symmetric else 2)
  np.testing.assert_allclose(seen['loss'], loss, rtol=1e-12, atol=0)
  U, _, V = (np.array(x) for x in problem.truth)
  blocks = (
    np.linalg.norm(U.T @ E @ V),
    np.linalg.norm((E - U @ (U.T @ E)) @ (np.eye(len(V)) - V @ V.T)),
  )
  np.testing.assert_allclose(
    (seen['signal'], seen['residual']), blocks, rtol=1e-12, atol=0
  )
  parts = seen['signal'] ** 2 + 2 * seen['cross'] ** 2 + seen['residual'] ** 2
  np.testing.assert_allclose(parts, np.sum(E**2), rtol=1e-12, atol=0)
  values = np.linalg.svd(F @ G.T, compute_uv=False)[:4]
  np.testing.assert_allclose(
    seen['singular_values'], values, atol=1e-14, rtol=0
  )
  share = values[:3] / np.sum(values)
  np.testing.assert_allclose(
    seen['effective_rank'],
    np.exp(-np.sum(share * np.log(share))),
    rtol=1e-10,
    atol=0,
  )
  if symmetric:
    assert 'imbalance_min' not in seen
  else:
    edges = np.linalg.eigvalsh(F.T @ F - G.T @ G)[[0, -1]]
    found = seen['imbalance_min'], seen['imbalance_max']
    np.testing.assert_allclose(found, edges, atol=1e-14, rtol=0)


@pytest.mark.parametrize(
  'form', ['XX', 'XX-general', 'FG', 'XX-population', 'FG-population']
)
def test_final_is_the_linearisation_of_the_step(form):
  """At the solution the Jacobian of the gradient is JᵀJ."""
  symmetric = form.startswith('XX')
  structure = dynamics.Structure(
    n1=7,
    n2=7,
    r=2,
    k_max=2 if symmetric else 3,
    m=None if 'population' in form else 60,
    symmetric=symmetric,
    symmetric_truth=symmetric,
    symmetric_ensemble=form == 'XX',
  )
  problem, *_ = measured(structure)
  U, s, V = (np.array(x) for x in problem.truth)
  if symmetric:
    params = {'X': jnp.array(U * s**0.5)}
  else:  # F of full rank, G of rank r
    extra = np.linalg.svd(U)[0][:, 2:]
    F = np.concatenate([U, 0.3 * extra[:, :1]], 1)
    G = np.pad(V * s, ((0, 0), (0, 1)))
    params = {'F': jnp.array(F), 'G': jnp.array(G)}

  @jax.jit
  def jacobian(params):
    flat, unflatten = jax.flatten_util.ravel_pytree(params)

    def gradient(flat):
      _, grads = dynamics.value_and_grad(unflatten(flat), problem)
      return jax.flatten_util.ravel_pytree(grads)[0]

    return jax.jacfwd(gradient)(flat)

  eigenvalues = np.linalg.eigvalsh(jacobian(params))
  zeros = int(np.sum(eigenvalues < 1e-12))
  final = jax.jit(dynamics.final)
  state = DescentState(params, ())
  seen = final(state, problem, dynamics.Hp(k=structure.k_max))
  np.testing.assert_allclose(
    [seen['ntk_min'], seen['ntk_max']],
    eigenvalues[[zeros, -1]],
    rtol=1e-10,
    atol=0,
  )
  if not symmetric:
    np.testing.assert_allclose(
      seen['noise_eigenvalue'], 0.09, rtol=1e-12, atol=0
    )
