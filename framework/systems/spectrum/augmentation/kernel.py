"""The kernel that an augmentation makes, and its spectrum.

Clean inputs x, views a ~ p(a|x), p(a) = E_x p(a|x). The operator that smooths
over views and back has the kernel

    K(x, x') = Σ_a p(a|x) p(a|x') / p(a),      κ² = sup_x K(x, x).

On the hypercube {±1}^d, where each coordinate is masked with probability m and
otherwise flipped with probability f, it is a product:

    K = Π_j (1 + c x_j x'_j),   c = (1−m)(1−2f)²,

with the parities as eigenfunctions, eigenvalue c^|S| for the parity of S, and
κ² = (1+c)^d. With m both λ_{k+1} and κ² fall: what rises is the part of the
target that is smooth no more.

References:
  Zhai et al., "Understanding Augmentation-based Self-Supervised Representation
  Learning via RKHS Approximation and Regression", 2023.
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from framework.checks import check_sizes
from framework.systems.spectrum.spectra import Spectrum

__all__ = [
  'augmentation_kernel',
  'block_views',
  'complexity',
  'cube',
  'degrees',
  'eigenvalues',
  'level_of',
  'parities',
  'spectrum_of',
  'views',
]


def cube(d: int) -> Float[np.ndarray, 'inputs d']:
  """The hypercube {±1}^d, in the order of `itertools.product`."""
  check_sizes(d=d)
  return np.array(list(itertools.product((-1.0, 1.0), repeat=d)))


@functools.partial(jax.jit, static_argnames='d')
def views(
  d: int, mask: Float[ArrayLike, ''], flip: Float[ArrayLike, '']
) -> Float[Array, 'inputs views']:
  """p(a|x) of coordinates that are masked, or else flipped, independently.

  Args:
    d: Coordinates: there are 2^d inputs and 3^d views in {−1, 0, 1}^d.
    mask: Probability m of a mask.
    flip: Probability f of a flip of what is not masked.

  Returns:
    Rows are inputs, columns views, both in lexical order.

  >>> print(views(1, 0.5, 0.0))
  [[0.5 0.5 0. ]
   [0.  0.5 0.5]]
  """
  check_sizes(d=d)
  mask, flip = jnp.asarray(mask), jnp.asarray(flip)
  same, other = (1 - mask) * (1 - flip), (1 - mask) * flip
  one = jnp.stack(
    [jnp.stack([same, mask, other]), jnp.stack([other, mask, same])]
  )
  out = one
  for _ in range(d - 1):
    out = jnp.kron(out, one)
  return out


def block_views(
  d: int, mask: float, length: int
) -> Float[np.ndarray, 'inputs views']:
  """p(a|x) where, with a probability, one cyclic block is masked as a whole.

  Args:
    d: Coordinates.
    mask: Probability that a block is masked; else nothing is.
    length: Coordinates of a block, 1 to d.

  Returns:
    Rows are inputs, columns are the views that occur.

  Raises:
    ValueError: If a block is no part of d coordinates.
  """
  if not 1 <= length <= d:
    raise ValueError(f'length is {length}, expected 1 <= length <= d = {d}')
  x, places = cube(d), {}
  chances: dict[tuple[int, int], float] = {}
  for i, row in enumerate(x):
    for start in range(-1, d):
      view = row.copy()
      if start >= 0:
        view[(start + np.arange(length)) % d] = 0
      j = places.setdefault(tuple(view), len(places))
      share = 1 - mask if start < 0 else mask / d
      chances[i, j] = chances.get((i, j), 0.0) + share
  out = np.zeros((len(x), len(places)))
  for at, share in chances.items():
    out[at] = share
  return out


@jax.jit
def augmentation_kernel(
  p: Float[ArrayLike, 'inputs views'],
) -> Float[Array, 'inputs inputs']:
  """K(x, x') = Σ_a p(a|x) p(a|x') / p(a), of inputs that are equally likely.

  Args:
    p: p(a|x), rows that sum to 1.

  Returns:
    The kernel; its eigenvalues over the number of inputs are those of the
    operator, the largest 1.

  >>> print(augmentation_kernel(views(1, 0.5, 0.0)))
  [[1.5 0.5]
   [0.5 1.5]]
  """
  p = jnp.asarray(p)
  total = jnp.mean(p, axis=0)
  weight = jnp.where(total > 0, 1 / jnp.where(total > 0, total, 1), 0)
  return (p * weight[None]) @ p.T


def _c(mask: ArrayLike, flip: ArrayLike) -> Array:
  return (1 - jnp.asarray(mask)) * (1 - 2 * jnp.asarray(flip)) ** 2


def degrees(d: int) -> np.ndarray:
  """The degree |S| of each of the 2^d parities, ascending.

  >>> degrees(3).tolist()
  [0, 1, 1, 1, 2, 2, 2, 3]
  """
  check_sizes(d=d)
  return np.repeat(np.arange(d + 1), [math.comb(d, s) for s in range(d + 1)])


@functools.partial(jax.jit, static_argnames='d')
def eigenvalues(
  d: int, mask: Float[ArrayLike, ''], flip: Float[ArrayLike, '']
) -> Float[Array, ' inputs']:
  """The spectrum c^|S| of independent masks and flips, descending.

  Args:
    d: Coordinates.
    mask: m.
    flip: f.

  Returns:
    2^d eigenvalues.

  >>> print(eigenvalues(2, 0.5, 0.0))
  [1.   0.5  0.5  0.25]
  """
  return _c(mask, flip) ** degrees(d)


def complexity(
  d: int, mask: Float[ArrayLike, ''], flip: Float[ArrayLike, '']
) -> Float[Array, '']:
  """κ² = (1+c)^d, the augmentation complexity.

  >>> print(complexity(2, 0.5, 0.0))
  2.25
  """
  return (1 + _c(mask, flip)) ** d


def parities(d: int, level: int) -> Float[np.ndarray, 'inputs k']:
  """The parities of degree at most `level`, orthogonal columns of norm 1.

  Args:
    d: Coordinates.
    level: The largest degree, 0 to d.

  Returns:
    k = Σ_{s<=level} C(d, s) columns, lowest degrees first.

  Raises:
    ValueError: If there is no such level.
  """
  if not 0 <= level <= d:
    raise ValueError(f'level is {level}, expected 0 <= level <= d = {d}')
  x = cube(d)
  sets = [
    s
    for size in range(level + 1)
    for s in itertools.combinations(range(d), size)
  ]
  columns = [x[:, list(s)].prod(1) for s in sets]
  return np.stack(columns, 1) / len(x) ** 0.5


def level_of(d: int, k: int) -> int:
  """The degree up to which the first k eigenfunctions go, whole levels alone.

  Args:
    d: Coordinates.
    k: Dimension of a representation.

  Returns:
    The level.

  Raises:
    ValueError: If k cuts a level: then the eigenspace is not unique.

  >>> level_of(5, 16)
  2
  >>> level_of(5, 10)
  Traceback (most recent call last):
  ValueError: k is 10, which cuts a degenerate level: expected one of 1, 6, ...
  """
  sizes = np.cumsum([math.comb(d, s) for s in range(d + 1)]).tolist()
  if k not in sizes:
    text = ', '.join(map(str, sizes))
    raise ValueError(
      f'k is {k}, which cuts a degenerate level: expected one of {text}'
    )
  return sizes.index(k)


def spectrum_of(
  d: int,
  mask: Float[ArrayLike, ''],
  flip: Float[ArrayLike, ''],
  powers: Float[ArrayLike, ' levels'],
) -> Spectrum:
  """The augmentation kernel's spectrum with a target, for exact risks.

  Args:
    d: Coordinates.
    mask: m.
    flip: f.
    powers: Power of the target at each degree 0 ... d, spread evenly over the
      parities of that degree.

  Returns:
    A `Spectrum` of 2^d modes.

  >>> print(spectrum_of(2, 0.5, 0.0, jnp.array([0.0, 1.0, 0.0])).v2)
  [0.  0.5 0.5 0. ]
  """
  s = degrees(d)
  count = np.array([math.comb(d, j) for j in range(d + 1)])
  powers = jnp.asarray(powers)
  return Spectrum(eigenvalues(d, mask, flip), (powers / count)[s])
