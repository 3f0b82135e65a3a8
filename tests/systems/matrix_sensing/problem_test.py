"""The closed form of a loss and its gradient is that of the definition."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.systems import matrix_sensing as dynamics
from framework.systems.matrix_sensing import (
  operators,
)
from tests.systems.matrix_sensing.problems import (
  FORMS,
  assert_close,
  measured,
)

ABSOLUTE = dynamics.residual_loss(lambda z: jnp.mean(jnp.abs(z)))


CASES = {
  # XXᵀ, symmetric A_i, kind
  **{f'XX-{k}': (True, True, k) for k in ('dense', 'svec', 'gram', 'blocks')},
  **{f'XX-general-{k}': (True, False, k) for k in ('dense', 'gram', 'blocks')},
  **{f'FG-{k}': (False, False, k) for k in ('dense', 'gram', 'blocks')},
  'XX-population': (True, False, None),
  'FG-population': (False, False, None),
}


@pytest.mark.parametrize('form', list(CASES))
def test_the_gradient_is_that_of_the_loss(form):
  """With outliers, but at population; stored runs have none."""
  symmetric, symmetric_A, kind = CASES[form]
  structure = dynamics.Structure(
    n1=5,
    n2=5 if symmetric else 4,
    r=2,
    k_max=3,
    m=kind and 21,
    operator=FORMS[kind or 'gram'],
    symmetric=symmetric,
    symmetric_truth=symmetric,
    symmetric_ensemble=symmetric_A,
  )
  problem, stack, y = measured(structure, noisy=kind is not None)
  rng, names = np.random.default_rng(4), 'X' if symmetric else 'FG'
  params = {
    name: jnp.array(rng.normal(size=(n, 3)))
    for name, n in zip(names, problem.M.shape, strict=False)
  }

  def loss(params):
    F, G = dynamics.factors(params)
    residual = jnp.einsum('mij,ij->m', stack, F @ G.T) - y
    return jnp.sum(residual**2) / (4 if symmetric else 2)

  @jax.jit
  def both(params, problem):
    autodiff = jax.value_and_grad(loss)(params)
    return autodiff, dynamics.value_and_grad(params, problem)

  (expected, gradient), (value, closed) = both(params, problem)
  np.testing.assert_allclose(value, expected, rtol=1e-12, atol=0)
  assert closed.keys() == params.keys()
  for name in names:
    assert_close(closed[name], gradient[name], 1e-12)


def huber(z):
  return jnp.sum(jnp.where(jnp.abs(z) < 1, z**2 / 2, jnp.abs(z) - 0.5))


HUBER = dynamics.residual_loss(lambda z: jnp.sum(optax.huber_loss(z)))


@pytest.mark.parametrize('symmetric', [True, False])
@pytest.mark.parametrize('loss', [ABSOLUTE, HUBER])
def test_the_gradient_of_any_loss_of_the_residual(loss, symmetric):
  structure = dynamics.Structure(
    n1=5,
    n2=5 if symmetric else 4,
    r=2,
    k_max=3,
    m=21,
    operator=operators.svec if symmetric else operators.blocks,
    symmetric=symmetric,
  )
  problem, stack, y = measured(structure, noisy=True)
  rng = np.random.default_rng(4)
  params = {
    name: jnp.array(rng.normal(size=(n, 3)))
    for name, n in zip('X' if symmetric else 'FG', (5, 4), strict=False)
  }

  def value(params):
    F, G = dynamics.factors(params)
    z = jnp.einsum('mij,ij->m', stack, F @ G.T) - y
    rho = jnp.mean(jnp.abs(z)) if loss is ABSOLUTE else huber(z)
    return rho / (2 if symmetric else 1)

  @jax.jit
  def both(params):
    autodiff = jax.value_and_grad(value)(params)
    return autodiff, dynamics.value_and_grad(params, problem, loss)

  (expected, gradient), (found, closed) = both(params)
  np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)
  for name in params:
    assert_close(closed[name], gradient[name], 1e-12)
