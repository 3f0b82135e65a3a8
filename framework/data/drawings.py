r"""A table of square drawings that holds their quarter turns without them.

With R the turn by 90 degrees, drawing r of a table of N drawings and four turns
is Rʲx_b, r = jN + b. Few-shot learning takes the turns as classes of their own.

A turn permutes pixels in orbits of four: an image is (4, d/4), entry i of orbit
o being where i turns take entry 0, and (Rʲx)_i = x_{i−j}. So inner products
with all four turns are a circular correlation, and by its Fourier transform

    ⟨Rʲx, y⟩ = ¼⟨Σx, Σy⟩ + (−1)ʲ¼⟨Δx, Δy⟩ + ½ Re(iʲ ⟨a − ib, c − id⟩),
    Σx = x₀ + x₁ + x₂ + x₃,     Δx = x₀ − x₁ + x₂ − x₃,
    a = x₀ − x₂,  b = x₁ − x₃,  c = y₀ − y₂,  d = y₁ − y₃,
    ⟨a − ib, c − id⟩ = ⟨a, c⟩ + ⟨b, d⟩ + i(⟨b, c⟩ − ⟨a, d⟩)

takes 3/2 d multiply-adds in place of 4d.

Drawings lie in blocks, drawing b at (b div blocks, b mod blocks) of an array
(S, blocks, d): a product goes over blocks of S rows, that stay in the cache.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, DTypeLike, Float, Int, UInt8

__all__ = ['Parts', 'as_table', 'inner', 'parts', 'pixels', 'squares']

_ROWS = 280  # most rows of a block


class Parts(NamedTuple):
  """Rows in the coordinates that make inner products with all turns cheap."""

  even: Float[Array, '*b e']  # ½Σ, or the rows themselves without turns
  odd: Float[Array, '*b e']  # ½Δ
  pair: Float[Array, '*b p']  # (a, b)/√2


def as_table(
  drawings: UInt8[np.ndarray, 'classes members d'],
) -> UInt8[np.ndarray, 'S blocks d']:
  """Puts drawings into blocks, in order; S is the largest divisor up to 280.

  Args:
    drawings: All of them, class by class.

  Returns:
    The same bytes in the same order.

  >>> as_table(np.zeros((60, 20, 4), np.uint8)).shape
  (240, 5, 4)
  """
  flat = drawings.reshape(-1, drawings.shape[-1])
  n = len(flat)
  blocks = next(b for b in range(-(-n // _ROWS), n + 1) if n % b == 0)
  return flat.reshape(n // blocks, blocks, flat.shape[-1])


def pixels(
  table: UInt8[Array, 'S blocks d'],
  rows: Int[Array, '*b'],
  turns: int,
  dtype: DTypeLike,
) -> Float[Array, '*b d']:
  """Drawings by their number, ink = 1.

  Args:
    table: What `as_table` made.
    rows: Numbers below turns S blocks.
    turns: 4, or 1 if there are no turns.
    dtype: Of the result.

  Returns:
    A row each.

  >>> table = as_table(np.array([[[0, 51, 102, 153]]], np.uint8))
  >>> seen = pixels(jnp.asarray(table), jnp.arange(4), 4, jnp.float64)
  >>> print(seen.round(1))
  [[0.  0.2 0.4 0.6]
   [0.2 0.6 0.  0.4]
   [0.6 0.4 0.2 0. ]
   [0.4 0.  0.6 0.2]]
  """
  blocks = table.shape[1]
  turn, base = jnp.divmod(rows, table.shape[0] * blocks)
  found = table[base // blocks, base % blocks]
  if turns > 1:
    order = jnp.asarray(_orders(table.shape[-1]))[turn]
    found = jnp.take_along_axis(found, order, -1)
  return found.astype(dtype) / 255


def parts(x: Float[Array, '*b d'], turns: int) -> Parts:
  """Rows in the coordinates of `inner`.

  Args:
    x: Images as rows.
    turns: 4, or 1 if there are no turns.

  Returns:
    `Parts`; of the three, only `even` is of any size without turns.

  Raises:
    ValueError: If there are turns and no even side.

  >>> even, odd, pair = parts(jnp.array([1.0, 2.0, 3.0, 4.0]), 4)
  >>> print(even, odd, pair.round(3))
  [5.] [0.] [-2.121  0.707]
  """
  if turns == 1:
    none = x[..., :0]
    return Parts(x, none, none)
  x0, x1, x2, x3 = (x[..., orbit] for orbit in _orbits(x.shape[-1]))
  pair = jnp.concatenate([x0 - x2, x1 - x3], -1) * 0.5**0.5
  return Parts((x0 + x1 + x2 + x3) / 2, (x0 - x1 + x2 - x3) / 2, pair)


def inner(x: Parts, y: Parts) -> Float[Array, 'turns n m']:
  """Inner products of all turns of some rows with others.

  Args:
    x: Parts of n rows, to be turned.
    y: Parts of m rows.

  Returns:
    ⟨Rʲx, y⟩ for j = 0, ..., turns − 1.

  >>> x, y = jnp.array([[1., 2, 3, 4]]), jnp.array([[1., 0, 0, 0]])
  >>> print(inner(parts(x, 4), parts(y, 4))[:, 0, 0])
  [1. 2. 4. 3.]
  """
  even = x.even @ y.even.T
  if not x.odd.shape[-1]:
    return even[None]
  odd = x.odd @ y.odd.T
  half = y.pair.shape[-1] // 2
  c, d = y.pair[:, :half], y.pair[:, half:]
  real = x.pair @ y.pair.T
  imag = x.pair @ jnp.concatenate([d, -c], -1).T
  plus, minus = even + odd, even - odd
  return jnp.stack([plus + real, minus + imag, plus - real, minus - imag])


def squares(x: Parts) -> Float[Array, '*b']:
  """|x|² of each row.

  >>> print(squares(parts(jnp.array([[1.0, 2.0, 3.0, 4.0]]), 4)))
  [30.]
  """
  return jnp.sum(jnp.stack([jnp.sum(z * z, -1) for z in x]), 0)


def _side(d: int) -> int:
  side = round(d**0.5)
  if side * side != d or side % 2:
    raise ValueError(f'd is {d}, expected the square of an even side')
  return side


def _orders(d: int) -> Int[np.ndarray, '4 d']:
  """(Rʲx)_p = x[orders[j, p]]."""
  side = _side(d)
  image = np.arange(d, dtype=np.int32).reshape(side, side)
  return np.stack([np.rot90(image, turns).ravel() for turns in range(4)])


def _orbits(d: int) -> Int[np.ndarray, '4 d/4']:
  """Pixels of the first quadrant, and where turns take them."""
  half = _side(d) // 2
  there = np.argsort(_orders(d)[1])  # pixel p is at there[p] after a turn
  orbits = [np.arange(d).reshape(2 * half, -1)[:half, :half].ravel()]
  for _ in range(3):
    orbits.append(there[orbits[-1]])
  return np.stack(orbits)
