"""How deviations depend on shapes, found from what is drawn."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.mup import laws

RNG = jax.random.key(0)


@pytest.mark.parametrize(
  'initializer, law',
  [
    (nn.initializers.zeros, 'constant'),
    (nn.initializers.normal(0.3), 'constant'),
    (nn.initializers.lecun_uniform(), 'fan_in'),
    (nn.initializers.he_normal(), 'fan_in'),
    (nn.initializers.xavier_normal(), 'fan_avg'),
    (nn.initializers.variance_scaling(3.0, 'fan_out', 'uniform'), 'fan_out'),
    (nn.initializers.variance_scaling(1.0, 'fan_geo_avg', 'normal'), 'unknown'),
    (lambda key, n, dtype: jax.random.uniform(key, n) ** n[0], 'unknown'),
  ],
)  # fmt: skip
def test_the_law_of_an_initialiser_is_found_exactly(initializer, law):
  assert laws.law_of(initializer) == law
  # While something is being traced, too.
  jax.jit(lambda: laws.law_of(initializer) == law or 1 / 0)()


@pytest.mark.parametrize(
  'initializer, rank, law',
  [
    (nn.initializers.lecun_normal(), 3, 'fan_in'),
    (nn.initializers.lecun_normal(in_axis=0, out_axis=1), 2, 'fan_in'),
    (nn.initializers.lecun_normal(in_axis=0, out_axis=1), 3, 'fan_out'),
    (nn.initializers.lecun_normal(), 4, 'fan_in'),
    (nn.initializers.he_normal(in_axis=-1, out_axis=-2), 4, 'fan_out'),
    (nn.initializers.glorot_uniform(), 4, 'fan_avg'),
    (nn.initializers.normal(), 5, 'constant'),
    # Others than the last two axes: its own of a convolution, or of one axis.
    (nn.initializers.lecun_normal(in_axis=1, out_axis=0), 4, 'unknown'),
    (nn.initializers.ones, 1, 'constant'),
    (nn.initializers.lecun_normal(), 1, 'unknown'),
    (nn.initializers.delta_orthogonal(), 2, 'unknown'),
    (
      nn.with_partitioning(nn.initializers.lecun_normal(), (None, 'm')),
      2,
      'fan_in',
    ),
  ],
)
def test_a_law_is_of_tensors_of_one_rank(initializer, rank, law):
  assert laws.law_of(initializer, rank) == law
  if rank == 2:
    assert laws.law_of(initializer) == law


def test_a_law_says_how_deviations_go_together():
  """Standard deviations of many entries, over those of other shapes."""
  shapes = (3, 16, 64), (3, 64, 96)
  for initializer in (
    nn.initializers.normal(0.1),
    nn.initializers.lecun_normal(),
    nn.initializers.variance_scaling(2.0, 'fan_out', 'uniform'),
    nn.initializers.xavier_normal(),
  ):
    law = laws.law_of(initializer, 3)
    fans = [(3 * into, 3 * out) for _, into, out in shapes]
    wanted = laws.factor(law, *fans[1]) / laws.factor(law, *fans[0])
    one, two = (np.std(initializer(RNG, n, jnp.float32)) for n in shapes)
    np.testing.assert_allclose(two / one, wanted, rtol=0.03, atol=0)


def test_the_size_tells_two_of_one_law_apart():
  one, two = (laws.drawn(nn.initializers.normal(s)) for s in (0.1, 0.2))
  assert laws.factor('constant', 4, 9) == 1
  assert one.law == two.law == 'constant'
  np.testing.assert_allclose(two.size, 2 * one.size, rtol=1e-6, atol=0)
