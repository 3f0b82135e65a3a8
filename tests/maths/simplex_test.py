"""Projections: against their optimality conditions."""

import numpy as np
import pytest

from framework.maths.margin.norms import norm_named
from framework.maths.simplex import (
  project_frobenius,
  project_nuclear,
  simplex_projection,
)


def test_the_projection_on_the_simplex_meets_its_conditions():
  y = 3 * np.random.default_rng(0).standard_normal((200, 6))
  s = np.asarray(simplex_projection(y))
  np.testing.assert_allclose(s.sum(-1), 1, atol=1e-5, rtol=1e-7)
  assert (s >= 0).all()
  # y − s is the same on the support and not larger off it.
  tau = np.max(np.asarray(y) - s, -1, keepdims=True)
  gap = tau - (np.asarray(y) - s)
  np.testing.assert_allclose(np.where(s > 0, gap, 0), 0, atol=1e-5, rtol=1e-7)
  sizes = (s > 0).sum(-1)
  assert sizes.min() == 1 and sizes.max() > 2


def test_points_of_the_simplex_stay():
  s = np.random.default_rng(1).dirichlet(np.ones(4), 50)
  np.testing.assert_allclose(simplex_projection(s), s, atol=1e-6, rtol=1e-7)


@pytest.mark.parametrize('total', [0.3, 1.0, 40.0])
def test_masked_entries_are_as_if_absent(total):
  y = np.random.default_rng(2).standard_normal((30, 5))
  mask = np.arange(5) < 3
  # What is masked may be anything.
  mask = np.broadcast_to(mask, y.shape)
  found = np.asarray(simplex_projection(np.where(mask, y, 1e6), mask, total))
  alone = simplex_projection(y[:, :3], total=total)
  np.testing.assert_allclose(found[:, :3], alone, rtol=1e-5, atol=1e-6)
  assert not found[:, 3:].any()


@pytest.mark.parametrize('norm', ['frobenius', 'nuclear'])
def test_projections_on_balls(norm):
  """‖P(W)‖ = R and ⟨W − P, P⟩ = R ‖W − P‖°: no point of the ball is nearer."""
  project = {'frobenius': project_frobenius, 'nuclear': project_nuclear}[norm]
  value, dual = norm_named(norm)
  W = 3 * np.random.default_rng(3).standard_normal((4, 5))
  P = np.asarray(project(W, 2.0))
  np.testing.assert_allclose(value(P), 2, rtol=1e-5, atol=0)
  np.testing.assert_allclose(
    np.sum((W - P) * P), 2 * dual(W - P), rtol=1e-4, atol=0
  )
  np.testing.assert_allclose(project(W, 1e3), W, rtol=1e-4, atol=1e-5)
