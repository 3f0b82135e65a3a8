"""Heads: the attention that is best for the penalised one."""

import jax
import jax.numpy as jnp
import numpy as np

from framework.systems.attention_svm.heads import penalised_attention


def test_no_other_attention_is_better_under_the_penalised_head():
  key = jax.random.key(5)
  gamma = jax.random.normal(key, (6,))
  others = np.random.default_rng(0).dirichlet(np.full(6, 0.5), 500)

  def value(s):
    return s @ gamma - 0.4 * jnp.sum(s**2, -1)

  best = penalised_attention(gamma, 0.4)
  assert jnp.max(value(others)) < value(best)
  sizes = [
    int((penalised_attention(gamma, lam) > 0).sum()) for lam in (0.01, 0.4, 1e3)
  ]
  assert sizes[0] == 1 < sizes[1] < sizes[2] == 6
