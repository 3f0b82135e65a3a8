"""Tables that can be memorised or understood: modular arithmetic and parity.

Modular: all pairs (x, y) in row-major order with the label x ∘ y mod p, as
tokens, concatenated one-hots or binary digits. Parity: distinct random bit
strings whose label is the parity of the first k bits.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

__all__ = [
  'ENCODINGS',
  'OPERATIONS',
  'Table',
  'binary',
  'modular_table',
  'one_hot',
  'sparse_parity',
  'sparse_parity_check',
]

OPERATIONS = ('add', 'subtract', 'product')
ENCODINGS = ('token', 'one_hot', 'binary')


class Table(NamedTuple):
  """All examples of a task."""

  x: Any  # (N, 2) tokens or (N, features)
  y: Any  # (N,) labels


def modular_table(
  modulus: int,
  operation: str = 'add',
  encoding: str = 'token',
  *,
  lowest: int = 0,
) -> Table:
  """X ∘ y mod p of all pairs, row by row.

  Args:
    modulus: p >= 2.
    operation: 'add', 'subtract' or 'product'.
    encoding: 'token' (x, y), 'one_hot' (2p features) or 'binary' (the digits of
      both, ⌈log2 p⌉ each).
    lowest: The smallest x and y; 1 for the authors' transformer runs.

  Returns:
    Host arrays: tokens and labels int32, features float32.

  Raises:
    ValueError: If an argument is out of range.

  >>> table = modular_table(3, 'subtract')
  >>> table.x.tolist()[:4], table.y.tolist()
  ([[0, 0], [0, 1], [0, 2], [1, 0]], [0, 2, 1, 1, 0, 2, 2, 1, 0])
  """
  if not 2 <= modulus < 2**15:
    raise ValueError(f'modulus is {modulus}, expected an integer in [2, 32768)')
  _check_name('operation', operation, OPERATIONS)
  _check_name('encoding', encoding, ENCODINGS)
  if not 0 <= lowest < modulus - 1:
    raise ValueError(f'lowest is {lowest}, expected 0 <= lowest < modulus - 1')
  values = np.arange(lowest, modulus, dtype=np.int32)
  x, y = (a.ravel() for a in np.meshgrid(values, values, indexing='ij'))
  result = {'add': x + y, 'subtract': x - y, 'product': x * y}[operation]
  tokens = np.stack([x, y], 1)
  encode = {'token': lambda t, p: t, 'one_hot': one_hot, 'binary': binary}
  return Table(encode[encoding](tokens, modulus), result % modulus)


def one_hot(
  tokens: Int[np.ndarray, 'rows k'], modulus: int
) -> Float[np.ndarray, 'rows width']:
  """Concatenated one-hots of the tokens of each row, float32.

  >>> one_hot(np.array([[0, 2]]), 3).tolist()
  [[1.0, 0.0, 0.0, 0.0, 0.0, 1.0]]
  """
  eye = np.eye(modulus, dtype=np.float32)
  return eye[tokens].reshape(len(tokens), -1)


def binary(
  tokens: Int[np.ndarray, 'rows k'], modulus: int
) -> Float[np.ndarray, 'rows width']:
  """Binary digits of the tokens of each row, the lowest first, float32.

  >>> binary(np.array([[1, 2]]), 3).tolist()
  [[1.0, 0.0, 0.0, 1.0]]
  """
  digits = max(1, int(np.ceil(np.log2(modulus))))
  bits = (tokens[..., None] >> np.arange(digits)) & 1
  return bits.reshape(len(tokens), -1).astype(np.float32)


def sparse_parity(
  key: Key[Array, ''], k: int, bits: int, rows: int
) -> tuple[Float[Array, 'rows bits'], Int[Array, ' rows']]:
  """Distinct bit strings and the parity of their first k bits.

  Args:
    key: Decides the strings.
    k: Bits that count, 1 <= k <= bits.
    bits: Length of a string, at most 62.
    rows: How many strings; at most 2^bits, a quarter of that beyond 16 bits.

  Returns:
    (bits as float32 0 and 1, labels 0 and 1).

  Raises:
    ValueError: If an argument is out of range.

  >>> x, y = sparse_parity(jax.random.key(0), 1, 3, 8)
  >>> len(set(map(tuple, x.tolist()))), bool((x[:, 0] == y).all())
  (8, True)
  """
  sparse_parity_check(k, bits, rows)
  if bits <= 16:
    words = jax.random.permutation(key, 2**bits)[:rows]
    x = (words[:, None] >> np.arange(bits)[None, :]) & 1
  else:
    # Twice as many as are needed, of which repeats are dropped.
    x = jax.random.bernoulli(key, 0.5, (2 * rows, bits)).astype(jnp.int32)
    low, high = (
      jnp.sum(half << np.arange(half.shape[1])[None, :], 1)
      for half in (x[:, :31], x[:, 31:])
    )
    order = jnp.lexsort((low, high))
    low, high = low[order], high[order]
    same = (low[1:] == low[:-1]) & (high[1:] == high[:-1])
    repeat = jnp.zeros(2 * rows, bool).at[order[1:]].set(same)
    x = x[jnp.argsort(repeat, stable=True)[:rows]]
  x = x.astype(jnp.int32)
  return x.astype(jnp.float32), jnp.sum(x[:, :k], 1) % 2


def sparse_parity_check(k: int, bits: int, rows: int) -> None:
  """Raises ValueError unless `sparse_parity` can make such a table.

  >>> sparse_parity_check(4, 3, 8)
  Traceback (most recent call last):
  ValueError: parity k is 4, expected 1 <= k <= bits = 3
  """
  if not 1 <= k <= bits:
    raise ValueError(f'parity k is {k}, expected 1 <= k <= bits = {bits}')
  most = 2**bits if bits <= 16 else 2 ** (bits - 2)
  if bits > 62 or not 2 <= rows <= most:
    raise ValueError(
      f'{rows} strings of {bits} bits, expected bits <= 62 and 2 to {most} rows'
    )


def _check_name(what: str, name: str, known: tuple[str, ...]) -> None:
  if name not in known:
    raise ValueError(f'{what} is {name!r}, expected one of {", ".join(known)}')
