"""Theory in double precision."""

import jax
import jax.numpy as jnp

from framework.maths.double import in_double


def test_whatever_the_program_around_it_uses():
  with jax.enable_x64(False):
    one = in_double(lambda x: float(jnp.asarray(x) * jnp.asarray(1 / 3)))(1.0)
    assert one == 1 / 3
    assert float(jnp.asarray(1 / 3)) != 1 / 3
