"""The bound on the isometry constant is a bound, and sharp where known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.matrix_sensing import operators
from tests.systems.matrix_sensing.probes_test import measure, rows

rip_lower_bound = jax.jit(operators.rip_lower_bound, static_argnums=(2, 3, 4))


@pytest.mark.parametrize('symmetric', [True, False])
def test_rip_bound_is_sharp_where_it_can_be_computed(symmetric):
  operator = measure(6, 6 if symmetric else 5, symmetric, 200)
  eigenvalues = np.linalg.eigvalsh(operator.H)
  full = max(eigenvalues[-1] - 1, 1 - eigenvalues[0])  # of any rank
  key, q_max = jax.random.key(0), operator.shape[1]
  low, high = (rip_lower_bound(key, operator, q, 200, 4) for q in (1, q_max))
  np.testing.assert_allclose(high, full, rtol=1e-2, atol=0)
  assert 0.3 * full < low < high <= full * (1 + 1e-12)


def test_rip_bound_sees_both_sides():
  # A shrinks one direction more than it stretches any other.
  H = jnp.diag(jnp.array([0.1, 1.2, 1.0, 1.0]))
  operator = operators.Gram((2, 2), False, H, 4)
  found = rip_lower_bound(jax.random.key(0), operator, 1, 50, 4)
  np.testing.assert_allclose(found, 0.9, rtol=1e-6, atol=0)


def test_rip_bound_refuses():
  operator = operators.Identity((3, 2))
  with pytest.raises(ValueError, match='rank is 3, expected 1 to 2'):
    operators.rip_lower_bound(jax.random.key(0), operator, 3)
  with pytest.raises(ValueError, match='0 iterations'):
    operators.rip_lower_bound(jax.random.key(0), operator, 1, 0)


def test_rip_bound_of_a_typical_operator():
  # A random matrix deviates by 0.04 to 0.15 only.
  operator = measure(50, 50, True, 3000)
  for q, expected in ((1, 0.29), (4, 0.63)):
    found = rip_lower_bound(jax.random.key(0), operator, q, 30, 2)
    assert abs(found - expected) < 0.08, (q, found)


def test_rip_bound_keeps_float32():
  A = jnp.array(rows(4, 4, True, 30), jnp.float32)
  operator = operators.gram(A, (4, 4))
  shape = jax.eval_shape(
    lambda key: operators.rip_lower_bound(key, operator, 1), jax.random.key(0)
  )
  assert shape.dtype == jnp.float32
