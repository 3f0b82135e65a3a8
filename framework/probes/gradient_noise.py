"""How much the gradients of single rows differ, beside their mean."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

__all__ = ['GradientNoise', 'gradient_noise']


class GradientNoise(NamedTuple):
  """Variance and square of the gradient, and their ratio."""

  trace: Float[Array, '']  # tr Σ, of the gradient of one row
  square: Float[Array, '']  # |G|², of the true gradient
  scale: Float[Array, '']  # tr Σ / |G|², in rows


def gradient_noise(
  loss: Callable[[PyTree, PyTree], Float[Array, '']],
  params: PyTree,
  rows: PyTree,
  batch_size: int = 16,
) -> GradientNoise:
  """The simple noise scale: at which batch size noise equals gradient.

      ḡ = (1/n) Σ_i g_i,   tr Σ = 1/(n−1) Σ_i ‖g_i − ḡ‖²,
      |G|² = ‖ḡ‖² − tr Σ/n,   B_simple = tr Σ / |G|²

  g_i are the gradients of single rows, which are taken for independent draws of
  those that G is the mean of; tr Σ and |G|² are without bias. A batch of B rows
  has a gradient with E ‖g_B − G‖² = tr Σ/B: far below B_simple noise rules, far
  above it more rows are of no use.

  Args:
    loss: (params, rows) -> mean loss of rows, whatever their number.
    params: θ.
    rows: Arrays whose first axis are the n rows.
    batch_size: Rows whose gradients are in memory at a time.

  Returns:
    A `GradientNoise`. Where ‖ḡ‖² is less than its own noise, |G|² and the scale
    are not positive: n rows do not tell G from 0.

  Raises:
    ValueError: If there are fewer than two rows.

  References:
    McCandlish, Kaplan, Amodei, "An Empirical Model of Large-Batch Training",
    2018, Section 2.2 and Appendix A.1.

  >>> rows = jnp.array([1.0, 3.0])
  >>> noise = gradient_noise(lambda w, x: w * jnp.mean(x), jnp.ones(()), rows)
  >>> print(noise.trace, noise.square, round(float(noise.scale), 4))
  2.0 3.0 0.6667
  """
  n = jax.tree.leaves(rows)[0].shape[0]
  if n < 2:
    raise ValueError(f'there are {n} rows, expected >= 2')
  gradient = jax.grad(loss)
  mean = gradient(params, rows)

  def away(row: PyTree) -> Float[Array, '']:
    own = gradient(params, jax.tree.map(lambda x: x[None], row))
    return _square(jax.tree.map(lambda a, b: a - b, own, mean))

  each = jax.lax.map(away, rows, batch_size=min(batch_size, n))
  trace = jnp.sum(each) / (n - 1)
  square = _square(mean) - trace / n
  return GradientNoise(trace, square, trace / square)


def _square(tree: PyTree) -> Float[Array, '']:
  leaves = jax.tree.leaves(tree)
  # Squares of half precision lose what is left of them in a difference.
  wide = [x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in leaves]
  return jnp.sum(jnp.stack([jnp.sum(x**2) for x in wide]))
