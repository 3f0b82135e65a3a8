"""A product of L factors, against its eigenvalues one by one."""

import itertools

import jax
import numpy as np
import pytest

from framework import rollout
from framework.systems.matrix_sensing.deep import DeepHp, DeepStructure, deep


def test_eigenvalues_are_problems_of_their_own():
  structure = DeepStructure(n=4, r=2, depth=3)
  hp, steps = DeepHp(eta=0.05, alpha=0.6, kappa=2.0), 60

  @jax.jit
  def run():
    times = np.array([0, steps])
    return rollout(deep(structure), jax.random.key(0), hp, times)

  state, seen = run()
  found = np.array(seen['eigenvalues'][1])
  law = []
  for sigma in (1.0, 0.5, 0.0, 0.0):
    w = 0.6
    for _ in range(steps):
      w = w - 0.05 * (w**3 - sigma) * w**2
    law.append(w**3)
  np.testing.assert_allclose(found, law, rtol=1e-10, atol=0)
  # Balanced: the factors stay one another's transposes' squares.
  W = [np.array(x) for x in state.params]
  for one, other in itertools.pairwise(W):
    np.testing.assert_allclose(other.T @ other, one @ one.T, rtol=0, atol=1e-12)
  np.testing.assert_allclose(
    seen['squared_error'][1],
    np.sum((found - [1.0, 0.5, 0, 0]) ** 2),
    rtol=1e-9,
    atol=0,
  )


@pytest.mark.parametrize(
  'fields, match',
  [
    (dict(r=11), 'r is 11'),
    (dict(depth=1), 'depth is 1'),
    (dict(m=0), 'm is 0'),
  ],
)
def test_structures_that_cannot_be_built(fields, match):
  with pytest.raises(ValueError, match=match):
    DeepStructure(**fields)
