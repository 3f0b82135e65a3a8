"""Adam, and the trap that flushed denormal squares are."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.optimizers import scale_by_adam, scale_by_smooth_adam


def first_step(g, gradient_scale, **options):
  """State passed in: folded into the program, the trap would not show."""
  rule = optax.chain(
    scale_by_adam(0.9, 0.999, 1e-25, gradient_scale=gradient_scale, **options),
    optax.scale(-0.01),
  )
  g = jnp.array([g], jnp.float32)
  return float(jax.jit(rule.update)(g, rule.init(g))[0][0])


@pytest.mark.parametrize('size', [1e-15, 1e-19, 1e-22, 1e-24])
def test_the_denormal_trap(size):
  """|u| = lr |g|/(|g| + ε), whatever |g| is."""
  wanted = -0.01 * size / (size + 1e-25)
  np.testing.assert_allclose(
    first_step(size, 2.0**40), wanted, rtol=1e-4, atol=0
  )
  wide = first_step(size, 1.0, moment_dtype='float64')
  np.testing.assert_allclose(wide, wanted, rtol=1e-4, atol=0)
  plain = first_step(size, 1.0)
  if size >= 1e-15:
    np.testing.assert_allclose(plain, wanted, rtol=1e-4, atol=0)
  elif jax.default_backend() == 'cpu' and size > 1e-24:
    # g² is 0: the step is g/ε.
    assert plain < -9.0


def test_it_survives_the_compiler_in_a_loop():
  """Where s is a constant and the moments are carried."""
  rule = scale_by_adam(0.9, 0.999, 1e-25)

  def body(_, carry):
    w, state = carry
    u, state = rule.update(1e-19 * jnp.ones_like(w), state)
    return w - 0.01 * u, state

  w = jnp.zeros(3, jnp.float32)
  run = jax.jit(lambda c: jax.lax.fori_loop(0, 10, body, c))
  w, _ = run((w, rule.init(w)))
  np.testing.assert_allclose(w, -0.1, rtol=1e-4, atol=0)


def test_the_scale_changes_no_bit():
  rng = np.random.default_rng(0)
  rules = [scale_by_adam(0.9, 0.99, 1e-8, gradient_scale=s) for s in (1, 2**40)]
  states = [rule.init(jnp.zeros(50, jnp.float32)) for rule in rules]
  for _ in range(5):
    g = jnp.asarray(rng.standard_normal(50), jnp.float32)
    found = []
    for i, rule in enumerate(rules):
      u, states[i] = jax.jit(rule.update)(g, states[i])
      found.append(u)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.float64])
def test_it_is_optax_adam(dtype):
  ours = scale_by_adam(0.8, 0.95, 1e-6)
  theirs = optax.scale_by_adam(0.8, 0.95, 1e-6)
  g = np.random.default_rng(0).standard_normal((6, 40)).astype(dtype)
  states = [ours.init(g[0]), theirs.init(g[0])]
  mine, optaxs = jax.jit(ours.update), jax.jit(theirs.update)
  for row in g:
    a, states[0] = mine(row, states[0])
    b, states[1] = optaxs(row, states[1])
    assert a.dtype == dtype
    np.testing.assert_allclose(a, b, rtol=0, atol=5 * jnp.finfo(dtype).eps)


def test_moments_may_be_wider_than_parameters():
  rule = scale_by_adam(moment_dtype=jnp.float64)
  w = np.zeros(3, np.float32)
  u, state = jax.jit(rule.update)(w + 1, rule.init(w))
  assert state.mu.dtype == state.nu.dtype == jnp.float64
  assert u.dtype == jnp.float32


@pytest.mark.parametrize('scale', [3.0, 0.0, -2.0])
def test_other_scales_are_refused(scale):
  with pytest.raises(ValueError, match=f'gradient_scale is {scale}'):
    scale_by_adam(gradient_scale=scale)


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float32, jnp.float64])
@pytest.mark.parametrize('size', [1.0, 1e-8, 1e-15, 1e-25])
def test_the_smooth_root_changes_no_bit(dtype, size):
  rules = [scale_by_smooth_adam(), optax.scale_by_adam()]
  rows = size * np.random.default_rng(0).standard_normal((4, 500))
  rows[:, :3] = 0
  rows = rows.astype(dtype)
  states = [rule.init(rows[0]) for rule in rules]
  steps = [jax.jit(rule.update) for rule in rules]
  for g in rows:
    (a, states[0]), (b, states[1]) = (
      step(g, state) for step, state in zip(steps, states, strict=True)
    )
    np.testing.assert_array_equal(a, b)
  assert jax.tree.structure(states[0]) == jax.tree.structure(states[1])
  assert np.any(a != 0)


def moved(rule, lr, dtype):
  """w after steps along g = lr k, so 0 in the first: a gradient that wakes."""

  def body(k, carry):
    w, state = carry
    u, state = rule.update(lr * k * jnp.ones_like(w), state)
    return w - lr * u, state

  w = jnp.ones(2, dtype)
  return jax.lax.fori_loop(0, 4, body, (w, rule.init(w)))[0]


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.float64])
@pytest.mark.parametrize('ours', [scale_by_adam, scale_by_smooth_adam])
def test_a_gradient_that_was_zero_has_a_derivative(ours, dtype):
  """That of optax's own is not a number from the first step on."""

  @functools.partial(jax.jit, static_argnums=0)
  def slope(make, lr):
    one = jnp.ones((), dtype)
    return jax.jvp(lambda x: moved(make(), x, dtype), (lr,), (one,))

  lr, h = jnp.asarray(0.1, dtype), 1e-4
  value, got = slope(ours, lr)
  high, low = (slope(ours, lr + x)[0] for x in (h, -h))
  tolerance = 1e-2 if dtype == jnp.float32 else 1e-6
  np.testing.assert_allclose(
    got, (high - low) / (2 * h), rtol=tolerance, atol=0
  )
  theirs, nothing = slope(optax.scale_by_adam, lr)
  np.testing.assert_allclose(theirs, value, rtol=1e-6, atol=0)
  assert np.all(np.isnan(nothing))
