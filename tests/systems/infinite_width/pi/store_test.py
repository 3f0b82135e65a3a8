"""The store: spread over devices, in bfloat16, donated, killed and resumed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.maths.gaussian import transform
from framework.systems.infinite_width.pi import net, rounding, rows, sgd

RELU = transform('relu')
D, R, K, BATCH = 6, 8, 3, 4


def begun(capacity=64, spread=8, dtype=jnp.float32, rows_dtype=None):
  """From the same numbers in every precision."""
  start = net.gaussian()(jax.random.key(0), D, K, R, 2, jnp.float32)
  start = jax.tree.map(lambda x: x.astype(dtype), start)
  return sgd.begin(start, capacity, BATCH, rows_dtype, spread)


@functools.partial(jax.jit, donate_argnums=0)
def step(state, key):
  x = jax.random.normal(key, (BATCH, D), jnp.float32)
  x = x.astype(state.net.first.dtype)

  def loss(f):
    return jnp.mean(jnp.sum((f - 1) ** 2, 1))

  return sgd.step(RELU, state, x, loss, sgd.Rates(0.1))


def trained(state, steps=10):
  for i in range(steps):
    state = step(state, jax.random.key(i))
  x = jax.random.normal(jax.random.key(99), (32, D), jnp.float32)
  x = x.astype(state.net.first.dtype)
  return np.asarray(net.apply(RELU, state.net, x)), state


@pytest.mark.slow
@pytest.mark.parametrize(
  'dtype, atol', [(jnp.float32, 1e-6), (jnp.float64, 1e-14)]
)
def test_rows_over_devices_give_the_same_result(dtype, atol):
  """Blocks of every segment over 1, 2 and 8 devices.

  Sums over blocks are taken in another order: a few roundings of outputs near
  1, ten steps of which no step makes larger what is there.
  """
  found = []
  for count in (1, 2, 8):
    mesh = jax.make_mesh((count,), ('rows',), devices=jax.devices()[:count])
    state = sgd.spread(begun(dtype=dtype), mesh)
    out, state = trained(state)
    assert len(state.net.layers[0][1].A.sharding.device_set) == count
    found.append(out)
  for out in found[1:]:
    np.testing.assert_allclose(out, found[0], rtol=0, atol=atol)


def test_rounding_stays_below_its_bound_and_not_far_below():
  """Ten steps, in single precision and with rows stored in bfloat16."""
  exact, end = trained(begun(dtype=jnp.float64))
  x = jax.random.normal(jax.random.key(99), (32, D), jnp.float32)
  for stored in (None, jnp.bfloat16):
    found, state = trained(begun(rows_dtype=stored))
    assert state.net.layers[0][1].A.dtype == (stored or jnp.float32)
    assert state.net.layers[0][1].c.dtype == jnp.float32
    error = np.linalg.norm(found - exact, axis=1)
    most = rounding.bound(RELU, end.net, x, jnp.float32, rows=stored, steps=10)
    assert (error < most).all()
    assert error.max() > most.max() / 1000
  with pytest.raises(ValueError, match='activation is erf, expected relu'):
    rounding.bound(transform('erf'), end.net, x, jnp.float32)


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
