"""The store: spread over devices, in bfloat16, donated, killed and resumed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.maths.gaussian import transform
from framework.systems.infinite_width.pi import net, rows, sgd

RELU = transform('relu')
D, R, K, BATCH = 6, 8, 3, 4


def begun(capacity=64, spread=8, dtype=jnp.float32, rows_dtype=None):
  start = net.gaussian()(jax.random.key(0), D, K, R, 2, dtype)
  return sgd.begin(start, capacity, BATCH, rows_dtype, spread)


@functools.partial(jax.jit, donate_argnums=0)
def step(state, key):
  x = jax.random.normal(key, (BATCH, D), state.net.first.dtype)

  def loss(f):
    return jnp.mean(jnp.sum((f - 1) ** 2, 1))

  return sgd.step(RELU, state, x, loss, sgd.Rates(0.1))


def trained(state, steps=10):
  for i in range(steps):
    state = step(state, jax.random.key(i))
  x = jnp.ones((2, D), state.net.first.dtype)
  return np.asarray(net.apply(RELU, state.net, x)), state


@pytest.mark.slow
def test_rows_over_devices_give_the_same_result():
  """Blocks of every segment over 1, 2 and 8 devices."""
  found = []
  for count in (1, 2, 8):
    mesh = jax.make_mesh((count,), ('rows',), devices=jax.devices()[:count])
    state = sgd.spread(begun(), mesh)
    out, state = trained(state)
    assert len(state.net.layers[0][1].A.sharding.device_set) == count
    found.append(out)
  for out in found[1:]:
    np.testing.assert_allclose(out, found[0], rtol=0, atol=1e-5)


def test_stored_in_bfloat16_within_its_rounding():
  """2⁻⁹ of each of the rows, which add up: 40 of them, and what follows."""
  exact, _ = trained(begun())
  rounded, state = trained(begun(rows_dtype=jnp.bfloat16))
  assert state.net.layers[0][1].A.dtype == jnp.bfloat16
  assert state.net.layers[0][1].c.dtype == jnp.float32
  error = np.abs(rounded - exact).max() / np.abs(exact).max()
  assert 0 < error < 0.02


def test_a_donated_store_is_written_in_place():
  state = begun(capacity=64, spread=1)
  text = step.lower(state, jax.random.key(0)).compile().as_text()
  aliased = text.count('may-alias') + text.count('must-alias')
  assert aliased >= 2 * len(state.net.layers) * 5
  address = state.net.layers[0][1].A.unsafe_buffer_pointer()
  after = step(state, jax.random.key(0))
  assert after.net.layers[0][1].A.unsafe_buffer_pointer() == address


def test_no_retrace_at_a_fixed_capacity():
  before = step._cache_size()
  _, state = trained(begun(), 3)
  middle = step._cache_size()
  trained(state, 3)
  assert step._cache_size() == middle <= before + 1


def test_segments_double():
  sizes = rows.segments(100_000, 8)
  have = 0
  for S, b in sizes:
    assert b % 8 == 0 and S * b <= max(have, b)
    have += S * b
  assert 100_000 <= have <= 100_000 + 1024
