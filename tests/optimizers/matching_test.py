import jax
import jax.numpy as jnp
import numpy as np
import optax

from framework.maths.norms import norm, ratio
from framework.optimizers import (
  grokfast_ema,
  match_norm,
  normalize_by_global_norm,
)


def test_direction_of_one_and_length_of_the_other_at_every_step():
  fast = optax.chain(grokfast_ema(0.9, 5.0), optax.sgd(0.3))
  slow = optax.adam(0.01)
  both = match_norm(fast, slow)
  w = {'a': np.ones(3), 'b': np.ones((2, 2))}
  states = [rule.init(w) for rule in (both, fast, slow)]
  steps = [jax.jit(rule.update) for rule in (both, fast, slow)]
  rng = np.random.default_rng(0)
  for _ in range(4):
    g = jax.tree.map(lambda x: rng.standard_normal(x.shape), w)
    found = []
    for i, step in enumerate(steps):
      u, states[i] = step(g, states[i], w)
      found.append(np.concatenate([x.ravel() for x in jax.tree.leaves(u)]))
    u, v, r = found
    np.testing.assert_allclose(
      np.linalg.norm(u), np.linalg.norm(r), rtol=1e-7, atol=0
    )
    np.testing.assert_allclose(
      u / np.linalg.norm(u), v / np.linalg.norm(v), rtol=1e-12, atol=0
    )


def test_no_step_where_there_is_no_direction():
  both = match_norm(optax.set_to_zero(), optax.sgd(1.0))
  u, _ = both.update(jnp.ones(2), both.init(jnp.ones(2)), jnp.ones(2))
  np.testing.assert_array_equal(u, 0)
  rule = normalize_by_global_norm()
  np.testing.assert_array_equal(rule.update(jnp.zeros(2), ())[0], 0)


def test_norms_of_numbers_whose_squares_do_not_fit():
  for size in (1e-30, 1.0, 1e30):
    x = [np.full(4, size, np.float32), np.full(5, size, np.float32)]
    np.testing.assert_allclose(norm(x), 3 * size, rtol=1e-6, atol=0)
  np.testing.assert_array_equal(jax.grad(norm)(jnp.zeros(3)), 0)
  np.testing.assert_allclose(
    jax.grad(norm)(jnp.array([3.0, 4.0])), [0.6, 0.8], rtol=1e-7, atol=0
  )
  assert ratio(jnp.float32(1), jnp.float32(0)) == 0
