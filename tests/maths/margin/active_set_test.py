"""Pivoting finds what an independent active set does, or a Farkas ray."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from framework.maths.margin import active_set, constraints, svm
from framework.maths.margin import interior_point as ip
from framework.maths.margin.programs import frobenius
from tests.maths.margin import oracles


@pytest.fixture(scope='module')
def pivoted():
  return jax.jit(jax.vmap(active_set.pivot))


@pytest.mark.parametrize('shape', [(4, 5, 10), (4, 5, 2)])
def test_the_conditions_of_optimality_or_a_ray(pivoted, shape):
  """The second shape has four times as many rows as W has entries."""
  X, Z, tokens = oracles.instances(24, *shape)
  A = np.stack(
    [oracles.matrices(*one) for one in zip(X, Z, tokens, strict=True)]
  )
  G = A @ A.mT
  b = np.ones(G.shape[:2])
  found = pivoted(G, b, np.zeros(b.shape, bool))
  kinds = set()
  for Ai, Gi, lam, slack in zip(A, G, *found[:2], strict=True):
    w = oracles.least_distance(Ai)
    kinds.add(w is None)
    assert lam.min() >= 0
    if w is None:
      assert np.linalg.norm(lam @ Ai) < 1e-9 * lam.sum()
      continue
    np.testing.assert_allclose(lam @ Ai, w, rtol=0, atol=1e-8 * abs(w).max())
    np.testing.assert_allclose(Gi @ lam - 1, slack, rtol=0, atol=1e-9)
    assert np.all((slack == 0) | (np.asarray(lam) == 0))
  assert kinds == ({False} if shape[2] > 2 else {False, True})
  # About as many pivots as there are support vectors.
  supports = np.sum(np.asarray(found.multipliers) > 0, 1)
  assert np.median(found.pivots - supports) <= 4


def test_equations_are_free(pivoted):
  rng = np.random.default_rng(0)
  A = rng.standard_normal((20, 30))
  b, free = rng.random(20), np.arange(20) < 5
  b[free] -= 0.5
  found = pivoted((A @ A.T)[None], b[None], free[None])
  lam = np.asarray(found.multipliers[0])
  # min ‖Aᵀλ − e‖ with e of A e = b is the same problem.
  e = np.linalg.lstsq(A, b, rcond=None)[0]
  bounds = np.where(free, -np.inf, 0), np.full(20, np.inf)
  want = scipy.optimize.lsq_linear(A.T, e, bounds, tol=1e-14).x
  assert lam[free].min() < 0 <= lam[~free].min()
  np.testing.assert_allclose(lam, want, rtol=0, atol=1e-7)


def test_a_guess_is_measured():
  X, Z, tokens = oracles.instance(0, 4, 5, 10)
  A = oracles.matrices(X, Z, tokens)
  rows = constraints(
    jnp.asarray(A / np.linalg.norm(A[0]) / 2), jnp.ones((16, 1))
  )
  posed = frobenius(rows)

  solve = jax.jit(lambda guess: ip.solve(posed.program, posed.start, 60, guess))
  right, wrong = posed.guess, posed.guess._replace(y=1.001 * posed.guess.y)
  kept, mended = solve(right), solve(wrong)
  assert kept.iterations == right.iterations < mended.iterations
  np.testing.assert_array_equal(kept.y, right.y)
  largest = float(right.y.max())
  np.testing.assert_allclose(mended.y, right.y, rtol=0, atol=1e-7 * largest)


def test_rows_that_pivoting_cannot_order_are_solved_by_the_path():
  """Rows that nearly repeat: pivots of rounding alone."""
  rng = np.random.default_rng(0)
  A = np.repeat(rng.standard_normal((4, 12)), 3, 0)
  A += 1e-9 * rng.standard_normal(A.shape)
  found = svm(constraints(jnp.asarray(A), jnp.ones((12, 1))))
  w = oracles.least_distance(A)
  assert found.certificate.feasible and found.certificate.gap < 1e-6
  np.testing.assert_allclose(found.W[:, 0], w, rtol=0, atol=1e-5)
