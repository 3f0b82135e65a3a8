"""Drawn classes and windows of a text."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.systems.width import transfer


def test_classes_are_those_of_a_drawn_network():
  task, key = (
    transfer.classes(9, 4, rows=50, dtype=jnp.float64),
    jax.random.key(1),
  )
  x, y = (np.asarray(v) for v in task.draw(key, None))
  k = jax.random.split(key, 3)
  U = np.asarray(jax.random.normal(k[1], (9, 16), jnp.float64))
  V = np.asarray(jax.random.normal(k[2], (16, 4), jnp.float64))
  np.testing.assert_array_equal(y, np.argmax(np.tanh(2 * x @ U / 3) @ V, 1))
  # 450 normal numbers.
  np.testing.assert_allclose(x.var(), 1, rtol=5 * (2 / 450) ** 0.5, atol=0)


def test_a_batch_has_rows_of_the_data():
  data = np.arange(20.0).reshape(10, 2), np.arange(10)
  task = transfer.classes(2, 10)
  every = task.draw(jax.random.key(0), data)
  x, y = task.batch(jax.random.key(2), every, 200)
  np.testing.assert_array_equal(x, data[0][np.asarray(y)])
  assert set(np.asarray(y).tolist()) == set(range(10))


def test_windows_of_a_text_go_from_its_first_to_its_last_symbol():
  task = transfer.text(context=3)
  every = task.draw(jax.random.key(0), (np.arange(7), None))
  x, y = task.batch(jax.random.key(1), every, 200)
  np.testing.assert_array_equal(y, x + 1)
  assert set(np.asarray(x[:, 0]).tolist()) == {0, 1, 2, 3}
  x, y = task.first(every, 4)
  np.testing.assert_array_equal(x[:, 0], [0, 1, 2, 3])
  with pytest.raises(ValueError, match='learnt from data'):
    task.draw(jax.random.key(0), None)
