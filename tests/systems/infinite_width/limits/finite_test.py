"""Networks in µP at their start, and the same network in other weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.evidence import fits
from framework.systems.infinite_width.limits import finite


def test_outputs_at_the_start_fall_as_the_root_of_the_width():
  """Slope −1/2: a square of variance 1/n; 400 seeds leave ± 0.02."""
  x = jnp.asarray(np.random.default_rng(0).standard_normal((4, 3)))
  widths = (16, 64, 256)
  keys = jax.random.split(jax.random.key(0), 400)
  rms = []
  for n in widths:

    def f0(key, n=n):
      return finite.apply(finite.init(key, n, 3, 2, 2), x, jnp.tanh)

    f = jax.jit(lambda keys, f0=f0: jax.lax.map(f0, keys))(keys)
    rms.append(np.sqrt(np.mean(f**2)))
  slope = float(fits.power_law(np.array(widths, float), np.array(rms)).slope)
  assert abs(slope + 0.5) <= 0.06


def test_a_readout_of_zero_starts_at_zero():
  w = finite.init(jax.random.key(0), 32, 3, 2, 2, sigma_v=0.0)
  f = finite.apply(w, jnp.ones((1, 3)), jnp.tanh)
  np.testing.assert_array_equal(f, 0)


def test_it_is_the_abc_parametrisation():
  """(a, b, c) = (−½, 0, ½; ½, ½, ½; 0): one rate for weights w = n^a W."""
  n, lr = 20, 0.3
  rng = np.random.default_rng(0)
  x, y = (jnp.asarray(rng.standard_normal(s)) for s in ((4, 3), (4, 2)))
  W = finite.init(jax.random.key(0), n, 3, 2, 2)
  a = (-0.5, 0.0, 0.5)
  w = [n**e * M for e, M in zip(a, W, strict=True)]

  def effective(w):
    return tuple(n**-e * M for e, M in zip(a, w, strict=True))

  def loss(w):
    return finite.squared_loss(finite.apply(effective(w), x, jnp.tanh), y)

  for _ in range(3):
    W = finite.step(W, x, y, lr, jnp.tanh)
    w = [p - lr * g for p, g in zip(w, jax.grad(loss)(w), strict=True)]
    for one, other in zip(W, effective(w), strict=True):
      np.testing.assert_allclose(one, other, atol=1e-13, rtol=1e-7)


@pytest.mark.parametrize('name', ['n', 'd', 'k', 'depth'])
def test_sizes_are_checked(name):
  sizes = {'n': 2, 'd': 1, 'k': 1, 'depth': 1} | {name: 0}
  with pytest.raises(ValueError, match=f'{name} is 0, expected'):
    finite.init(jax.random.key(0), **sizes)
