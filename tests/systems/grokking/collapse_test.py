"""Softmax collapse against stored values of the reference and its bounds."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.grokking import losses

GOLDEN = np.load(
  pathlib.Path(__file__).parents[2] / 'golden' / 'grok_softmax_collapse.npz'
)
BITS = {'float16': 11, 'float32': 24, 'float64': 53}
# For C = 113: never below the first gap, always above the second.
ENDS = {
  'float16': (7.6, 12.4),
  'float32': (16.6, 21.4),
  'float64': (36.7, 41.5),
}


def ahead(gaps, classes=113):
  """One logit a gap ahead of equal ones."""
  z = np.zeros((len(gaps), classes))
  z[:, 7] = gaps
  return z, np.full(len(gaps), 7)


@pytest.mark.parametrize('dtype', BITS)
def test_collapse_lies_between_the_two_bounds(dtype):
  gaps = np.arange(0, 47, 0.1)
  z, y = ahead(gaps)
  collapsed = jax.jit(lambda z: losses.collapsed(z, dtype))
  found = np.asarray(collapsed(z))
  low, high = ENDS[dtype]
  t = BITS[dtype]
  assert abs(low - t * np.log(2)) < 0.05
  assert abs(high - (t * np.log(2) + np.log(112))) < 0.07
  assert not found[gaps < low].any() and found[gaps > high].all()
  assert (np.diff(found.astype(int)) >= 0).all(), 'monotone in the gap'
  loss, slope = jax.jit(
    jax.vmap(jax.value_and_grad(lambda z, y: losses.softmax_ce(z, y, dtype)))
  )(z, y)
  zero, flat = np.asarray(loss) == 0, np.asarray(slope)[:, 7] == 0
  assert not zero[gaps < low].any() and zero[gaps > high].all()
  assert not flat[gaps < low].any() and flat[gaps > high].all()


@pytest.mark.parametrize(
  'bits, dtype', [(16, 'float16'), (32, 'float32'), (64, 'float64')]
)
def test_collapse_is_that_of_the_reference_outside_the_interval(bits, dtype):
  gaps = GOLDEN['gaps']
  z, y = ahead(gaps)
  z = z.astype(np.float32)
  low, high = ENDS[dtype]
  sure = (gaps < low) | (gaps > high)
  found = np.asarray(losses.collapsed(z, dtype)).astype(float)
  np.testing.assert_array_equal(found[sure], GOLDEN[f'sc{bits}'][sure])

  def each(z):
    return losses.softmax_ce(z, y, dtype)

  @jax.jit
  def both(z):
    return each(z), jax.grad(lambda z: each(z).astype(jnp.float64).sum())(z)

  value, slope = jax.device_get(both(z))
  zero = value == 0
  np.testing.assert_array_equal(zero[sure], GOLDEN[f'zeroloss{bits}'][sure])
  np.testing.assert_allclose(
    slope[sure, 7],
    GOLDEN[f'gradcorrect{bits}'][sure],
    rtol=2e-3,
    atol=8 * 2.0 ** -BITS[dtype],
  )


def test_collapse_on_stored_random_logits():
  z = GOLDEN['rand_z']
  for bits, wanted in ((16, 0.16015625), (32, 0.0078125), (64, 0.0)):
    share = np.mean(losses.collapsed(z, f'float{bits}'))
    assert GOLDEN[f'rand_sc{bits}'] == wanted
    assert abs(share - wanted) <= 1 / 256


def test_stablemax_does_not_collapse_where_exponentials_do():
  z, _ = ahead([30.0, 1e4])
  assert losses.collapsed(z, 'float32').all()
  assert not losses.collapsed(z, 'float32', losses.log_stretch).any()
  assert losses.collapsed(1e9 * z, 'float32', losses.log_stretch).all()
