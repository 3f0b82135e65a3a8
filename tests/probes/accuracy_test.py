import jax.numpy as jnp

from framework.probes import accuracy


def test_it_is_the_fraction_of_rows_that_are_right():
  logits = jnp.array([[2.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 3.0]])
  for labels, want in (([0, 1, 2], 1), ([0, 2, 2], 2 / 3), ([1, 0, 0], 0)):
    got = accuracy(logits.astype(jnp.float32), jnp.array(labels))
    assert got == jnp.float32(want) and got.dtype == jnp.float32
