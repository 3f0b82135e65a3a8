"""What a linear classifier makes of XOR clusters: it fits and learns nothing.

After its first step the network on XOR clusters is nearly a linear classifier.
The exact risk of linear regression says what that one can do.
"""

import jax
import jax.numpy as jnp
import numpy as np

from framework import rollout
from framework.systems.clusters import xor
from framework.systems.spectrum import krr_risk, ridge


def test_a_linear_kernel_on_xor_clusters():
  points, n = 800, 100
  draw = jax.jit(xor.xor_cluster, static_argnums=(1, 2, 6))
  data = draw(jax.random.key(0), points, 500, 10.0, 0.0, 1.0, jnp.float64)
  x, y = np.asarray(data.x), np.asarray(data.labels.clean)
  both = ridge.parts.Data(x @ x.T, y[:, None])
  spectrum = jax.jit(ridge.parts.spectrum_of_data)(both)
  # What a pool of so many points in R^500 shows of its labels by chance is
  # spread over all directions: none of it is learnt from 100 of them.
  hp = ridge.parts.PartHp(jnp.int32(n), jnp.asarray(1e-3))
  system = ridge.parts.resampled(ridge.parts.PartStructure(n_max=n))
  seen = jax.jit(
    lambda key: rollout(system, key, hp, jnp.array([64]), both)[1]
  )(jax.random.key(1))
  assert seen['train'][0] < 1e-6  # it interpolates
  assert seen['test'][0] > 1.0  # and is worse than saying nothing
  # The spectrum is that of all points, and so is the risk: those that it has
  # seen count as well.
  whole = (1 - n / points) * seen['test'][0] + n / points * seen['train'][0]
  predicted = krr_risk(spectrum, 0.0, n, 1e-3).test
  four = 4 * float(seen['test_var'][0]) ** 0.5
  assert four < 0.05 * predicted
  np.testing.assert_allclose(whole, predicted, rtol=0, atol=four)
