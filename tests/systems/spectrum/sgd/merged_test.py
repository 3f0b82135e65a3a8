"""Merged modes make the curve of all of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.spectrum import sgd, spectra


@pytest.mark.parametrize('width, batch', [(10**6, 1), (700, 4)])
def test_the_curve_is_the_same(width, batch):
  s = spectra.power_law(1.5, 1.8, 1000)
  hp = sgd.Hp(noise=0.1, width=width)
  steps = jnp.array([0, 1, 30, 3000])
  got = jax.jit(sgd.merged_risk)(sgd.merged(s, hp, batch), steps)
  wanted = jax.jit(sgd.one_pass_risk)(sgd.problem_of(s, hp), steps, batch)
  np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=0)
