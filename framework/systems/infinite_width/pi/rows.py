r"""A layer of a π-limit: a function made of rows, and room for more of them.

    y(g) = Σ_m c_m V(B_m, g) A_m,      V(b, g) = E φ(b·ω) φ(g·ω),  ω ~ N(0, I_r)

is a function in the reproducing-kernel space of V with values in R^r (of the
readout: R^k). A step of gradient descent appends a row for each sample [1].

Rows lie in segments, arrays of a fixed size of which each is as large as all
before it: a program is compiled once for the whole run, and what a step costs
follows the rows that there are, within a factor of two, as with an array that
grows by doubling. A segment is S blocks of b rows; A is (S, b, r) and B is
(S, r, b), so that both products with them run along their memory, rows that
are appended change few blocks, and blocks can be spread over devices. What is
not filled yet has A = 0, B = 0 and c = 0 and needs no mask.

References:
  [1] Yang, Santacroce, Hu, "Efficient Computation of Deep Nonlinear
      Infinite-Width Neural Networks that Learn Features", 2022.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, Int

from framework.checks import check_sizes
from framework.maths.gaussian import Transform, angle
from framework.maths.norms import root

__all__ = ['Layer', 'Rows', 'append', 'evaluate', 'of', 'room', 'segments']

_BLOCK = 1024  # rows


class Rows(NamedTuple):
  """A segment: rows, their coefficients and how fast these move."""

  A: Float[Array, 'S b k']
  B: Float[Array, 'S r b']
  c: Float[Array, 'S b']
  v: Float[Array, 'S b']  # momentum of c
  s: Float[Array, 'S b']  # |B|²


Layer = tuple[Rows, ...]  # rows of the start, then segments that are filled


def of(
  A: Float[Array, 'M k'],
  B: Float[Array, 'M r'],
  c: Float[Array, ' M'],
  dtype: DTypeLike | None = None,
) -> Rows:
  """Rows that are known, as a segment of one block.

  Args:
    A: What a row adds.
    B: Where it is.
    c: Its coefficient.
    dtype: Of A and B; their own when None.

  Returns:
    `Rows`.
  """
  A, B = A.astype(dtype or A.dtype), B.astype(dtype or B.dtype)
  s = jnp.sum(jnp.square(B.astype(c.dtype)), 1)
  return Rows(A[None], B.T[None], c[None], jnp.zeros_like(c)[None], s[None])


def segments(rows: int, batch: int, spread: int = 1) -> list[tuple[int, int]]:
  """How room for so many rows is laid out: (S, b) of each segment.

  Args:
    rows: Rows there is to be room for.
    batch: Rows that are appended at once: b is a multiple of it.
    spread: S is a multiple of it, for so many devices.

  Returns:
    Sizes that sum to `rows` at least: one segment if it is short, else each
    as large as all before it.

  Raises:
    ValueError: If a size is below 1.

  >>> segments(100, 8)
  [(1, 104)]
  >>> segments(10_000, 8)
  [(1, 1024), (1, 1024), (2, 1024), (4, 1024), (2, 1024)]
  """
  check_sizes(rows=rows, batch=batch, spread=spread)
  share = -(-rows // spread)
  block = min(max(_BLOCK, batch), share)
  b = -(-block // batch) * batch
  blocks = -(-rows // (b * spread))
  found, have = [], 0
  while have < blocks:
    size = min(max(1, have), blocks - have)
    found.append((size * spread, b))
    have += size
  return found


def room(
  layout: Sequence[tuple[int, int]],
  r: int,
  k: int,
  dtype: DTypeLike,
  coefficients: DTypeLike,
) -> Layer:
  """Segments without rows.

  Args:
    layout: Of `segments`.
    r: The rank.
    k: Outputs of the layer.
    dtype: Of A and B.
    coefficients: Of all else.

  Returns:
    A `Layer`.
  """
  return tuple(
    Rows(
      jnp.zeros((S, b, k), dtype),
      jnp.zeros((S, r, b), dtype),
      *(jnp.zeros((S, b), coefficients) for _ in range(3)),
    )
    for S, b in layout
  )


def append(
  layer: Layer,
  at: Int[Array, ''],
  A: Float[Array, 'n k'],
  B: Float[Array, 'n r'],
  c: Float[Array, ''],
  v: Float[Array, ''],
) -> Layer:
  """Writes rows into the room that a layer has.

  Args:
    layer: The layer; its first segment, the start, is full.
    at: Rows that were appended before, a multiple of n.
    A: What the new rows add.
    B: Where they are.
    c: Their coefficient.
    v: Its velocity.

  Returns:
    The layer with them; as it was if there is no room.
  """
  n, done, first = A.shape[0], 0, layer[0]
  s = jnp.sum(B * B, 1)
  grown = []
  for rows in layer[1:]:
    S, b = rows.c.shape
    inside = (at >= done) & (at < done + S * b)
    block, place = jnp.divmod(jnp.clip(at - done, 0, S * b - n), b)
    done += S * b

    def put(x, new, where, inside=inside):
      """Writes in place: outside of the segment what is there already."""
      old = jax.lax.dynamic_slice(x, where, new.shape)
      new = jnp.where(inside, new.astype(x.dtype), old)
      return jax.lax.dynamic_update_slice(x, new, where)

    zero = jnp.zeros_like(block)
    full = jnp.ones((1, n), rows.c.dtype)
    grown.append(
      Rows(
        put(rows.A, A[None], (block, place, zero)),
        put(rows.B, B.T[None], (block, zero, place)),
        put(rows.c, c * full, (block, place)),
        put(rows.v, v * full, (block, place)),
        put(rows.s, s[None], (block, place)),
      )
    )
  return (first, *grown)


_Pull = Callable[[Array], Array]


def evaluate(
  phi: Transform,
  layer: Layer,
  g: Float[Array, 'n r'],
  filled: Int[Array, ''] | None = None,
) -> tuple[Float[Array, 'n k'], _Pull]:
  """Values of a layer, and its derivative turned round, in closed form.

      dg = Σ_m c_m ⟨A_m, dy⟩ [∂V/∂k B_m + 2 ∂V/∂t g],   t = |g|², k = B·g

  which is what automatic differentiation of y makes, with what V and its
  derivatives share computed once.

  Args:
    phi: The activation.
    layer: The layer.
    g: Arguments.
    filled: Rows that were appended: what lies beyond is not computed.
      Everything is when None.

  Returns:
    (y, dy -> dg).
  """
  t = jnp.sum(g * g, 1, keepdims=True)
  parts, done = [], 0
  for i, rows in enumerate(layer):
    start = done
    done += 0 if i == 0 else rows.c.size

    # The start and the first segment are there whenever anything is.
    def values(i=i):
      return _values(phi, layer[i], g, t)

    if filled is None or i < 2:
      parts.append((None, values()))
      continue
    empty = jax.tree.map(
      lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(values)
    )
    there = filled > start
    parts.append((there, jax.lax.cond(there, values, lambda e=empty: e)))
  y = jnp.asarray(sum(found[0] for _, found in parts))

  def pull(dy):
    total = jnp.zeros_like(g)
    for rows, (there, (_, first, second)) in zip(layer, parts, strict=True):

      def back(rows=rows, first=first, second=second):
        return _pull(rows, g, dy, first, second)

      if there is None:
        total += back()
      else:
        total += jax.lax.cond(there, back, lambda: jnp.zeros_like(g))
    return total

  return y, pull


# Segments of one size are traced once.
@functools.partial(jax.jit, static_argnums=0)
def _values(phi: Transform, rows: Rows, g: Array, t: Array):
  """(Σ c V A, ∂V/∂k, 2 ∂V/∂t) of a segment, the last two (S, n, b)."""
  # By segments, g and all: contracted at once, A and B would be transposed.
  each = jnp.broadcast_to(g, (rows.B.shape[0], *g.shape))
  k = jnp.einsum('snr,srb->snb', each, rows.B.astype(g.dtype))
  V, first, second = _moments(phi, rows.s[:, None], t[None], k)
  weighted = V * rows.c[:, None]
  y = jnp.einsum('snb,sbk->snk', weighted, rows.A.astype(g.dtype))
  return jnp.sum(y, 0), first, second


@jax.jit
def _pull(rows: Rows, g: Array, dy: Array, first: Array, second: Array):
  gamma = jnp.einsum('nk,sbk->snb', dy, rows.A.astype(g.dtype))
  gamma = gamma * rows.c[:, None]
  along = jnp.einsum('snb,srb->snr', gamma * first, rows.B.astype(g.dtype))
  return jnp.sum(along, 0) + jnp.sum(gamma * second, (0, 2))[:, None] * g


def _moments(phi: Transform, s: Array, t: Array, k: Array):
  """V, ∂V/∂k and 2 ∂V/∂t."""
  if phi.name == 'relu':
    return _relu_moments(s, t, k)
  s, t = (jnp.broadcast_to(x, k.shape) for x in (s, t))
  V, half = jax.jvp(lambda t: phi.V(s, t, k), (t,), (jnp.ones_like(t),))
  return V, phi.V_dot(s, t, k), 2 * half


def _relu_moments(s: Array, t: Array, k: Array):
  """The same of a ReLU, with one arccos for all three.

  √s√t/2π [√(1 − q²) + qθ],  θ/2π,  √s/(2π√t) √(1 − q²),   θ = arccos(−q)
  """
  there = t > 0
  length = jnp.sqrt(jnp.where(there, t, 1))
  # Of rows that are not filled s = k = 0.
  own = jnp.where(s > 0, jnp.sqrt(jnp.where(s > 0, s, 1)), 1)
  q = jnp.where(there, jnp.clip(k / own / length, -1, 1), 0)
  theta = angle(q)
  sine = root((1 - q) * (1 + q))
  scale = jnp.where(s > 0, own, 0) / (2 * jnp.pi)
  V = jnp.where(there, scale * length, 0) * (sine + q * theta)
  second = jnp.where(there, scale / length, 0) * sine
  return V, theta / (2 * jnp.pi), second
