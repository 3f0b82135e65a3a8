"""Tasks that are drawn: their moments."""

import jax
import jax.numpy as jnp
import numpy as np

from framework.systems.infinite_width.few_shot import tasks


def test_points_have_the_moments_of_their_classes():
  """E‖x‖² = (signal² r + d − r)/d; in the subspace a class is one point."""
  d, rank, signal = 20, 5, 1.5
  basis = jax.jit(lambda key: tasks.basis(key, d, rank, jnp.float64))(
    jax.random.key(0)
  )
  drawn = tasks.gaussian_tasks(
    jax.random.key(1), basis, signal, tasks=400, ways=2, shots=3, queries=1
  )
  basis, drawn = jax.device_get((basis, drawn))
  inside = drawn.x @ basis
  size = np.mean(np.sum(drawn.x**2, -1))
  wanted = (signal**2 * rank + d - rank) / d
  # 800 classes: √2 signal² √rank/d of a square, over √800.
  error = 2**0.5 * signal**2 * rank**0.5 / d / 800**0.5
  np.testing.assert_allclose(size, wanted, rtol=0, atol=5 * error)
  same = inside.reshape(400, 2, 3, rank)
  np.testing.assert_allclose(same[:, :, 0], same[:, :, 2], rtol=0, atol=1e-13)
  deviation = np.std(same[:, :, 0]) * d**0.5
  np.testing.assert_allclose(deviation, signal, rtol=0.05, atol=0)
