"""Tasks of a network of some width: rows with classes, or a text.

A `Task` says where examples come from and how a batch is taken of them. All of
it is a function of keys alone, so networks of every width see the same batches.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from framework.checks import check_sizes
from framework.maths import draws

__all__ = ['Task', 'classes', 'fixed', 'text']

Examples = tuple[Array, Array]  # (inputs, targets)


class Task(NamedTuple):
  """Four functions of examples (inputs, targets)."""

  example: Callable[[], Array]  # one row of inputs, of any values
  draw: Callable[..., PyTree]  # (key, data or None) -> all examples
  batch: Callable[..., Examples]  # (key, all, how many) -> some, at random
  first: Callable[..., Examples]  # (all, how many) -> the same ones every time


def classes(
  inputs: int = 64,
  outputs: int = 10,
  rows: int = 4096,
  dtype: Any = jnp.float32,
) -> Task:
  """Rows with classes: those of data, or of a random network.

      x ~ N(0, I_d),   y = argmax tanh(2 x U/√d) V,   U: d x 16, V: 16 x k

  Args:
    inputs: d.
    outputs: k, classes.
    rows: Rows that are drawn where there are no data.
    dtype: Of the inputs.

  Returns:
    A `Task`; its data are (x, y) or None.

  Raises:
    ValueError: If a size is below 1.

  >>> task = classes(inputs=3, outputs=2, rows=8)
  >>> rows = task.draw(jax.random.key(0), None)
  >>> [v.shape for v in task.batch(jax.random.key(1), rows, 5)]
  [(5, 3), (5,)]
  """
  check_sizes(inputs=inputs, outputs=outputs, rows=rows)

  def draw(key: Key[Array, ''], data: Any) -> Examples:
    if data is not None:
      x, y = data
      return jnp.asarray(x), jnp.asarray(y)
    k = jax.random.split(key, 3)
    x = draws.normal(k[0], (rows, inputs), dtype)
    first = draws.normal(k[1], (inputs, 16), dtype)
    last = draws.normal(k[2], (16, outputs), dtype)
    hidden = jnp.tanh(2 * x @ first / inputs**0.5)
    return x, jnp.argmax(hidden @ last, 1).astype(jnp.int32)

  def batch(key: Key[Array, ''], every: Examples, count: int) -> Examples:
    x, y = every
    i = jax.random.randint(key, (count,), 0, x.shape[0])
    return x[i], y[i]

  return Task(
    lambda: jnp.zeros((1, inputs), dtype),
    draw,
    batch,
    lambda every, count: (every[0][:count], every[1][:count]),
  )


def text(context: int = 32) -> Task:
  """The next symbol at every place of a window of a text.

  Args:
    context: Symbols in a window.

  Returns:
    A `Task`; its data are (symbols, anything), and there must be some.

  Raises:
    ValueError: If the window is empty; when drawn, if there is no text.

  >>> task = text(context=4)
  >>> every = task.draw(jax.random.key(0), (jnp.arange(9), None))
  >>> x, y = task.first(every, 2)
  >>> x.tolist(), y[0].tolist()
  ([[0, 1, 2, 3], [4, 5, 6, 7]], [1, 2, 3, 4])
  """
  check_sizes(context=context)

  def draw(key: Key[Array, ''], data: Any) -> Array:
    del key
    if data is None:
      raise ValueError('a text is learnt from data, expected (symbols, None)')
    return jnp.asarray(data[0])

  def cut(symbols: Array, first: Array) -> Examples:
    places = first[:, None] + jnp.arange(context + 1)[None]
    windows = symbols[places].astype(jnp.int32)
    return windows[:, :-1], windows[:, 1:]

  def batch(key: Key[Array, ''], every: Array, count: int) -> Examples:
    last = every.shape[0] - context - 1
    return cut(every, jax.random.randint(key, (count,), 0, last + 1))

  def first(every: Array, count: int) -> Examples:
    last = every.shape[0] - context - 1
    return cut(every, jnp.asarray(np.linspace(0, last, count).astype(int)))

  return Task(lambda: jnp.zeros((1, context), jnp.int32), draw, batch, first)


def fixed(task: Task) -> Task:
  """The same task with one batch for all steps: its first examples.

  >>> task = fixed(classes(inputs=3, rows=8))
  >>> rows = task.draw(jax.random.key(0), None)
  >>> bool((task.batch(None, rows, 2)[0] == rows[0][:2]).all())
  True
  """
  return task._replace(batch=lambda key, every, count: task.first(every, count))
