import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.probes import gradient_noise

noise_of = jax.jit(gradient_noise, static_argnums=(0, 3))


def loss(w, rows):
  """Gradient of a row: (x w - y) x."""
  return jnp.mean((rows['x'] @ w - rows['y']) ** 2) / 2


@pytest.mark.parametrize('n, batch_size', [(2, 16), (37, 8), (32, 16)])
def test_it_is_the_variance_of_the_gradients_of_rows(n, batch_size):
  rng = np.random.default_rng(0)
  x, y, w = rng.normal(size=(n, 3)), rng.normal(size=n), rng.normal(size=3)
  g = (x @ w - y)[:, None] * x
  got = noise_of(loss, w, {'x': x, 'y': y}, batch_size)
  trace = np.sum(np.var(g, 0, ddof=1))
  square = np.sum(g.mean(0) ** 2) - trace / n
  np.testing.assert_allclose(
    got, (trace, square, trace / square), rtol=1e-10, atol=0
  )


def test_both_estimates_are_without_bias():
  """Rows of variance 4 in each of two coordinates, around (1, 2)."""

  @jax.jit
  @jax.vmap
  def estimate(key):
    rows = jnp.array([[1.0, 2.0]]) + 2 * jax.random.normal(key, (5, 2))
    dot = lambda w, rows: jnp.mean(rows @ w)  # noqa: E731
    return gradient_noise(dot, jnp.zeros(2), rows)[:2]

  trace, square = estimate(jax.random.split(jax.random.key(0), 4000))
  for found, want in ((trace, 8), (square, 5)):
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - want) < 4 * error


def test_equal_rows_have_no_noise():
  x = np.random.default_rng(0).normal(size=(1, 3))
  rows = {'x': np.repeat(x, 8, 0), 'y': np.ones(8)}
  got = noise_of(loss, np.zeros(3), rows, 16)
  assert got.trace < 1e-25 and got.scale < 1e-24
  np.testing.assert_allclose(got.square, np.sum(x**2), rtol=1e-12, atol=0)


def test_one_row_is_refused():
  with pytest.raises(ValueError, match='there are 1 rows, expected >= 2'):
    gradient_noise(loss, jnp.ones(3), {'x': np.ones((1, 3)), 'y': np.ones(1)})
