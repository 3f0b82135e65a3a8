"""The losses against stored values of the reference, and at their edges."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from framework.systems.grokking import losses

GOLDEN = np.load(
  pathlib.Path(__file__).parents[2] / 'golden' / 'grok_losses.npz'
)
CASES = ('small', 'wide', 'huge')
RANDOM = np.random.default_rng(0)


def mean_and_grad(loss, case, dtype):
  return _mean_and_grad(loss, GOLDEN[f'{case}_z'], GOLDEN[f'{case}_y'], dtype)


@functools.partial(jax.jit, static_argnums=(0, 3))
def _mean_and_grad(loss, z, y, dtype):
  def mean(z):
    each = loss(z, y, dtype)
    return jnp.mean(each), each

  (value, each), grad = jax.value_and_grad(mean, has_aux=True)(z)
  return (value, grad), each


def assert_grad(found, wanted, tolerance):
  assert found.dtype == wanted.dtype, 'gradients have the dtype of the logits'
  np.testing.assert_allclose(
    found, wanted, rtol=0, atol=tolerance * np.abs(wanted).max()
  )


@pytest.mark.parametrize('case', [*CASES, 'f64'])
def test_stablemax_is_that_of_the_reference(case):
  (value, grad), each = mean_and_grad(losses.stablemax_ce, case, 'float64')
  assert value.dtype == jnp.float64
  np.testing.assert_allclose(
    value, GOLDEN[f'{case}_stce_loss'], rtol=1e-14, atol=0
  )
  # Of float32 logits the reference rounds the gradient, too.
  wanted = GOLDEN[f'{case}_stce_grad']
  assert_grad(grad, wanted, 1e-15 if wanted.dtype == np.float64 else 6e-8)
  if case != 'f64':
    np.testing.assert_allclose(
      each, GOLDEN[f'{case}_stce_per'], rtol=1e-14, atol=1e-14
    )
    z = np.asarray(GOLDEN[f'{case}_z'], np.float64)
    np.testing.assert_allclose(
      losses.log_stablemax(z),
      GOLDEN[f'{case}_log_stablemax'],
      rtol=1e-14,
      atol=0,
    )


@pytest.mark.parametrize('case', CASES)
def test_cross_entropy_is_that_of_the_reference(case):
  (value, grad), each = mean_and_grad(losses.softmax_ce, case, 'float32')
  np.testing.assert_allclose(
    value, GOLDEN[f'{case}_ce32_loss'], rtol=1e-6, atol=0
  )
  assert_grad(grad, GOLDEN[f'{case}_ce32_grad'], 1e-6)
  scale = np.abs(GOLDEN[f'{case}_z']).max()
  np.testing.assert_allclose(
    each, GOLDEN[f'{case}_ce32_per'], rtol=1e-6, atol=1e-7 * scale
  )
  (value, grad), _ = mean_and_grad(losses.softmax_ce, case, 'float64')
  # The stored mean was rounded to float32, and so is its gradient.
  np.testing.assert_allclose(
    value, GOLDEN[f'{case}_ce64_loss'], rtol=1e-7, atol=0
  )
  assert_grad(grad, GOLDEN[f'{case}_ce64_grad'], 1e-7)


def test_stablemax_is_softmax_of_stretched_logits():
  z = RANDOM.standard_normal((20, 9)) * 30
  y = RANDOM.integers(0, 9, 20)
  stretched = np.sign(z) * np.log1p(np.abs(z))
  np.testing.assert_allclose(
    losses.stablemax_ce(z, y, 'float64'),
    losses.softmax_ce(stretched, y, 'float64'),
    atol=1e-14,
    rtol=0,
  )
  share = np.asarray(losses.stretch(z))
  share = share / share.sum(-1, keepdims=True)
  np.testing.assert_allclose(
    np.exp(losses.log_stablemax(z)), share, rtol=1e-12, atol=0
  )


def test_s_and_its_slope_on_the_stored_grid():
  x = GOLDEN['s_x']
  keep = np.abs(x) < 1e29  # the reference adds 1e-30 below
  np.testing.assert_allclose(
    np.asarray(losses.stretch(x))[keep], GOLDEN['s_y'][keep], rtol=1e-14, atol=0
  )
  x = GOLDEN['s_grad_x']
  keep = np.abs(x) < 1e14
  slope = np.asarray(jax.jit(jax.vmap(jax.grad(losses.stretch)))(x))
  np.testing.assert_allclose(
    slope[keep], GOLDEN['s_grad'][keep], rtol=1e-13, atol=1e-29
  )


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.float64])
def test_slopes_at_zero_at_one_and_far_out(dtype):
  """A plain `where` gives NaN at 1, a guarded one ½ at 0."""
  for f, slopes in (
    (losses.stretch, {0.0: 1.0, 1.0: 1.0, -1.0: 0.25, 1e30: 1.0}),
    (losses.log_stretch, {0.0: 1.0, 1.0: 0.5, -1.0: 0.5, 1e30: 1e-30}),
  ):
    for x, wanted in slopes.items():
      found = jax.grad(f)(dtype(x))
      np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=0)
      assert jnp.isfinite(f(dtype(x)))
  z = jnp.array([[0.0, 1.0, -1.0, 1e30, -1e30]], dtype)
  g = jax.grad(lambda z: losses.stablemax_ce(z, jnp.array([1]), dtype)[0])(z)
  assert jnp.isfinite(g).all()


@pytest.mark.parametrize('loss', [losses.softmax_ce, losses.stablemax_ce])
def test_gradients_are_differences(loss):
  z = RANDOM.standard_normal((3, 5))
  y = np.array([0, 4, 2])

  @jax.jit
  def mean(z, smoothing, temperature, scale):
    return jnp.mean(
      loss(
        z,
        y,
        'float64',
        smoothing=smoothing,
        temperature=temperature,
        logit_scale=scale,
      )
    )

  at = (z, 0.1, 2.0, 1.5)
  check_grads(mean, at, 1, ('fwd', 'rev'), 1e-6, 1e-6)
  grad = jax.jit(jax.grad(mean))
  check_grads(lambda z: grad(z, *at[1:]), (z,), 1, 'fwd', 1e-6)


def test_smoothing_temperature_and_scale_by_their_definition():
  z = RANDOM.standard_normal((4, 6))
  y = np.array([0, 1, 5, 5])
  q = 0.8 * np.eye(6)[y] + 0.2 / 6
  logits = z * 3.0 / 2.0
  p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
  found = losses.softmax_ce(
    z,
    y,
    'float64',
    smoothing=0.2,
    temperature=2.0,
    logit_scale=3.0,
  )
  np.testing.assert_allclose(found, -(q * np.log(p)).sum(1), rtol=1e-12, atol=0)


def test_half_precision_is_half_precision():
  """Bit for bit what numpy does with float16 arrays."""
  z = (RANDOM.standard_normal((64, 31)) * 6).astype(np.float32)
  y = RANDOM.integers(0, 31, 64)
  half = z.astype(np.float16)
  shifted = half - half.max(1, keepdims=True)
  e = np.exp(shifted.astype(np.float32)).astype(np.float16)
  total = e.astype(np.float32).sum(1).astype(np.float16)
  own = shifted[np.arange(64), y]
  wanted = np.log(total.astype(np.float32)).astype(np.float16) - own
  found = jax.jit(lambda z: losses.softmax_ce(z, y, 'float16'))(z)
  assert found.dtype == jnp.float16
  # One unit in the last place: XLA's sums have another order.
  np.testing.assert_allclose(
    found.astype(np.float32), wanted.astype(np.float32), rtol=2e-3, atol=2e-3
  )
  assert not np.any(np.asarray(found) != np.asarray(found).astype(np.float16))
  # What float32 keeps is gone.
  z = jnp.array([[9.0, 0.0]], jnp.float32)
  y = jnp.array([0])
  assert losses.softmax_ce(z, y, 'float16')[0] == 0
  assert losses.softmax_ce(z, y, 'float32')[0] > 0
  grad = jax.grad(lambda z: losses.softmax_ce(z, y, 'float16')[0])
  assert grad(z)[0, 0] == 0 and grad(z)[0, 1] > 0 == grad(z)[0, 0]


def test_interventions():
  z = jnp.array(RANDOM.standard_normal((5, 4)))
  y = jnp.array([0, 1, 2, 3, 0])

  def loss(z, **how):
    return losses.softmax_ce(losses.intervene(z, y, **how), y, 'float64').sum()

  plain = jax.grad(loss)(z)
  stopped = jax.grad(lambda z: loss(z, stop=1.0))(z)
  correct = np.eye(4)[y] == 1
  np.testing.assert_array_equal(stopped[correct], 0)
  np.testing.assert_allclose(
    stopped[~correct], plain[~correct], rtol=1e-7, atol=0
  )
  assert loss(z, stop=1.0) == loss(z)
  zeroed = jax.grad(lambda z: loss(z, zero=1.0))(z)
  np.testing.assert_array_equal(zeroed[correct], 0)
  without = losses.softmax_ce(jnp.where(correct, 0, z), y, 'float64').sum()
  np.testing.assert_allclose(loss(z, zero=1.0), without, rtol=1e-7, atol=0)
  np.testing.assert_allclose(
    jax.grad(lambda z: loss(z, stop=0.0))(z), plain, rtol=1e-7, atol=0
  )


def test_unknown_and_missing_dtypes_are_refused():
  with pytest.raises(ValueError, match='compute dtype is bfloat16, expected'):
    losses.softmax_ce(jnp.ones((1, 2)), jnp.array([0]), jnp.bfloat16)
  with jax.enable_x64(False), pytest.raises(ValueError, match='64-bit'):
    losses.checked('float64')
