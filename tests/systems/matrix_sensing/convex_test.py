"""The primal-dual method, against known solutions and another solver."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import rollout
from framework.systems.matrix_sensing import Problem, convex
from framework.systems.matrix_sensing.operators import structured


def given(known, M, wrong=0.0):
  rows, columns = np.nonzero(known)
  op = structured.entries(rows, columns, M.shape)
  y = jnp.array(op.scale * (M + wrong)[rows, columns])
  return Problem(op, None, jnp.array(M), jnp.sum(y**2), y=y)


def solve(problem, dual, hp, steps):
  system = convex.nuclear_norm(dual)

  @jax.jit
  def run(problem):
    key = jax.random.key(0)
    return rollout(system, key, hp, np.array([0, steps]), problem)

  state, seen = run(problem)
  return np.array(state.Z), {n: np.array(x) for n, x in seen.items()}


def test_all_known_is_the_matrix():
  M = np.outer([1.0, -2.0, 0.5], [1.0, 3.0])
  hp = convex.ConvexHp(np.inf, 0.2, 4.0)
  Z, seen = solve(given(np.ones((3, 2)), M), convex.squares, hp, 300)
  np.testing.assert_allclose(Z, M, rtol=0, atol=1e-6)
  np.testing.assert_allclose(
    seen['objective'][1], np.linalg.norm(M), rtol=1e-6, atol=0
  )
  assert seen['squared_error'][1] < 1e-10 and seen['misfit'][1] < 1e-5


def test_errors_in_a_few_entries_are_left_out():
  """Robust principal component analysis: exact, though errors are large."""
  n, rng = 12, np.random.default_rng(0)
  M = np.outer(*np.sign(rng.normal(size=(2, n))))  # spread over all entries
  wrong = np.where(rng.random((n, n)) < 0.05, 5 * rng.normal(size=(n, n)), 0)
  hp = convex.ConvexHp(1 / n**0.5, 0.3, 3.0)
  Z, _ = solve(given(np.ones((n, n)), M, wrong), convex.absolute, hp, 2000)
  assert np.linalg.norm(Z - M) < 1e-3 * np.linalg.norm(M)


@pytest.mark.slow
@pytest.mark.parametrize('absolute', [False, True])
def test_another_solver_finds_the_same(absolute):
  cvxpy = pytest.importorskip('cvxpy')
  rng = np.random.default_rng(0)
  M, known = rng.normal(size=(5, 4)), rng.random((5, 4)) < 0.7
  weight = 0.5
  problem = given(known, M)
  dual = convex.absolute if absolute else convex.squares
  share = known.mean()
  hp = convex.ConvexHp(weight, 0.3, 0.99 * share / 0.3)
  Z, _ = solve(problem, dual, hp, 20_000)
  X = cvxpy.Variable(M.shape)
  scale = problem.operator.scale
  z = scale * (X - M)[np.nonzero(known)]
  fit = cvxpy.norm1(z) if absolute else cvxpy.sum_squares(z) / 2
  goal = cvxpy.normNuc(X) + weight * fit
  best = cvxpy.Problem(cvxpy.Minimize(goal)).solve()
  e = scale * (Z - M)[known]
  fit = np.abs(e).sum() if absolute else e @ e / 2
  found = np.linalg.norm(Z, 'nuc') + weight * fit
  np.testing.assert_allclose(found, best, rtol=1e-3, atol=0)


@pytest.mark.parametrize('shape', [(4, 4), (5, 3), (3, 5)])
def test_singular_values_are_lowered_with_a_derivative(shape):
  """Against central differences; finite where singular values are equal."""
  one, two = np.random.default_rng(0).normal(size=(2, *shape))
  h = 1e-6

  @jax.jit
  def along(x):
    return convex.lowered(one + x * two, 0.8 + x)

  _, slope = jax.jvp(along, (0.0,), (1.0,))
  near = (along(h) - along(-h)) / (2 * h)
  np.testing.assert_allclose(slope, near, rtol=0, atol=1e-7)
  for V in (np.zeros(shape), 2 * np.eye(*shape)):
    _, slope = jax.jvp(convex.lowered, (V, 0.5), (two, 0.0))
    assert np.isfinite(slope).all()
