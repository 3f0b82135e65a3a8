"""Certificates of solutions known by hand: every number of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.maths import margin
from framework.maths.margin import constraints

certify = jax.jit(margin.certify, static_argnums=3)

# w_1 ≥ 1 and w_2 ≥ 1 of a column; W_11 ≥ 1 and W_22 ≥ 1 of a matrix.
COLUMN = constraints(jnp.eye(2), jnp.ones((2, 1)))
MATRIX = constraints(jnp.eye(2), jnp.eye(2))
CLOSE = {'rtol': 1e-12, 'atol': 1e-14}


@pytest.mark.parametrize('scale', [1.0, 5.0])
def test_a_column_that_is_too_long(scale):
  """(1, 2) where (1, 1) would do: √5 against the bound 2/√2."""
  lam = scale * jnp.ones(2)
  W, lam, found = certify(jnp.array([[1.0], [2.0]]), lam, COLUMN, 'frobenius')
  np.testing.assert_allclose(found.primal, 5**0.5, **CLOSE)
  np.testing.assert_allclose(found.dual, 2**0.5, **CLOSE)
  np.testing.assert_allclose(found.gap, 1 - 0.4**0.5, **CLOSE)
  np.testing.assert_allclose(found.margin, 1, **CLOSE)
  np.testing.assert_allclose(lam, [1, 1], **CLOSE)  # bᵀλ is the bound squared
  assert found.violation == 0 and found.feasible and not found.infeasible
  np.testing.assert_allclose(W[:, 0], [1, 2], **CLOSE)


@pytest.mark.parametrize(
  'norm, primal, dual',
  [
    ('frobenius', 10**0.5, 2**0.5),
    ('nuclear', 4.0, 2.0),
    ('spectral', 3.0, 1.0),
    ('l1', 4.0, 2.0),
    ('linf', 3.0, 1.0),
  ],
)
def test_a_matrix_that_is_too_long(norm, primal, dual):
  """diag(1, 3) where diag(1, 1) would do, and twice that, in every norm."""
  W = jnp.diag(jnp.array([2.0, 6.0]))
  W, lam, found = certify(W, 7 * jnp.ones(2), MATRIX, norm)
  np.testing.assert_allclose(W, np.diag([1.0, 3.0]), **CLOSE)
  np.testing.assert_allclose(found.primal, primal, **CLOSE)
  np.testing.assert_allclose(found.dual, dual, **CLOSE)
  np.testing.assert_allclose(found.gap, 1 - dual / primal, **CLOSE)
  length = {'frobenius': 1.0, 'spectral': 0.5, 'linf': 0.5}.get(norm, 1.0)
  np.testing.assert_allclose(lam, [length, length], **CLOSE)


@pytest.mark.parametrize('off, feasible', [(5e-9, True), (2e-8, False)])
def test_an_equation_that_is_missed(off, feasible):
  equal = jnp.array([True, False])
  rows = constraints(jnp.eye(2), jnp.ones((2, 1)), jnp.array([0.0, 1.0]), equal)
  W, _, found = certify(jnp.array([[off], [1.0]]), jnp.ones(2), rows, 'l1')
  assert bool(found.feasible) == feasible and not found.infeasible
  np.testing.assert_allclose(found.violation, off, **CLOSE)
  assert np.isnan(W).all() == (not feasible)
  assert np.isinf(found.primal) == np.isinf(found.gap) == (not feasible)


@pytest.mark.parametrize(
  'lam, farkas, proved',
  [
    ((1.0, 1.0), 0.0, True),
    ((1.0, 0.5), 1 / 3, False),
    ((1.0, 1 + 1e-7), 0.5e-7, False),
    ((1.0, 1 + 1e-9), 0.5e-9, True),
  ],
)
def test_no_solution_is_proved_by_multipliers(lam, farkas, proved):
  """w ≥ 1 and −w ≥ 1, of lengths 1 and 1; ‖Σ λ A‖ over bᵀλ."""
  rows = constraints(jnp.array([[1.0], [-1.0]]), jnp.ones((2, 1)))
  _, _, found = certify(jnp.ones((1, 1)), jnp.array(lam), rows, 'frobenius')
  np.testing.assert_allclose(found.farkas, farkas, rtol=1e-6, atol=1e-14)
  assert bool(found.infeasible) == proved and not found.feasible
  np.testing.assert_allclose(found.violation, 2, **CLOSE)


def test_rows_that_are_long_prove_no_more():
  """The residual is measured against the longest row."""
  rows = constraints(jnp.array([[4.0], [-4.0]]), jnp.ones((2, 1)))
  lam = jnp.array([1.0, 0.5])
  _, _, found = certify(jnp.ones((1, 1)), lam, rows, 'frobenius')
  np.testing.assert_allclose(found.farkas, 1 / 3, **CLOSE)
