"""SGD on fresh measurements, against its step by definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.system import keys, start
from framework.systems.matrix_sensing import ensembles
from framework.systems.matrix_sensing.streaming import (
  StreamingHp,
  StreamingStructure,
  streaming,
)


def test_a_step_is_that_of_its_measurements():
  structure = StreamingStructure(n=4, r=1, k_max=3, batch=5)
  system, hp = streaming(structure), StreamingHp(k=2, noise=0.3)
  key = jax.random.key(1)
  problem, state = start(system, key, hp)
  F, G = (np.array(state.params[name]) for name in 'FG')
  assert np.all(F[:, 2] == 0) and np.all(G[:, 2] == 0)
  step = jax.random.fold_in(keys(key).step, 0)
  after = jax.jit(system.step)(step, state, problem, hp)
  rows, noise = jax.random.split(step)
  A = np.array(jax.random.normal(rows, (5, 16), jnp.float64)).reshape(5, 4, 4)
  xi = np.array(jax.random.normal(noise, (5,), jnp.float64))
  y = np.einsum('bij,ij->b', A, ensembles.matrix(problem)) + 0.3 * xi
  z = np.einsum('bij,ij->b', A, F @ G.T) - y
  D = np.einsum('b,bij->ij', z, A) / 5
  np.testing.assert_allclose(
    after.params['F'], F - hp.eta * D @ G, rtol=1e-10, atol=1e-14
  )
  np.testing.assert_allclose(
    after.params['G'], G - hp.eta * D.T @ F, rtol=1e-10, atol=1e-14
  )


@pytest.mark.parametrize(
  'fields, match',
  [
    (dict(r=0), 'r is 0'),
    (dict(k_max=11), 'k_max is 11'),
    (dict(batch=0), 'batch is 0'),
  ],
)
def test_structures_that_cannot_be_built(fields, match):
  with pytest.raises(ValueError, match=match):
    StreamingStructure(**fields)
