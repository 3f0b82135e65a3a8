"""Drawings and their quarter turns, against turning them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.data import drawings

CLASSES, MEMBERS, SIDE = 6, 5, 4
D = SIDE * SIDE


def images(seed=0):
  shape = CLASSES, MEMBERS, D
  return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def turned(x):
  """All drawings, then all turned by 90, 180 and 270 degrees."""
  square = x.reshape(-1, SIDE, SIDE)
  return np.stack([np.rot90(square, j, (1, 2)) for j in range(4)]).reshape(
    4, -1, D
  )


@pytest.mark.parametrize('turns', [1, 4])
def test_rows_are_the_turned_drawings(turns):
  x = images()
  want = turned(x)[:turns].reshape(-1, D) / 255
  table = drawings.as_table(x)
  rows = np.random.default_rng(1).permutation(len(want)).reshape(-1, 2)
  pixels = jax.jit(drawings.pixels, static_argnums=(2, 3))
  found = pixels(table, rows, turns, jnp.float64)
  np.testing.assert_allclose(found, want[rows], rtol=1e-15, atol=0)


@pytest.mark.parametrize('turns', [1, 4])
def test_inner_products_with_all_turns(turns):
  x = images()
  y = np.random.default_rng(2).normal(size=(7, D))

  @jax.jit
  def products(x, y):
    part = drawings.parts(x, turns)
    found = drawings.inner(part, drawings.parts(y, turns))
    return found, drawings.squares(part)

  found, own = products(x.reshape(-1, D).astype(np.float64), y)
  want = turned(x)[:turns].astype(np.float64) @ y.T
  np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-9)
  squares = np.sum(x.reshape(-1, D).astype(np.float64) ** 2, -1)
  np.testing.assert_allclose(own, squares, rtol=1e-13, atol=0)


def test_blocks_keep_the_order_and_fit():
  x = np.arange(1000 * 3 * 4, dtype=np.int32).reshape(1000, 3, 4)
  table = drawings.as_table(x)
  np.testing.assert_array_equal(table.reshape(3000, 4), x.reshape(3000, 4))
  assert table.shape[0] == 250


@pytest.mark.parametrize('d', [9, 12])
def test_what_has_no_quadrants_is_refused(d):
  with pytest.raises(ValueError, match=f'd is {d}, expected'):
    drawings.parts(jnp.ones((2, d)), 4)
