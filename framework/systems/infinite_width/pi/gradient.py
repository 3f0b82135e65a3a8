r"""The gradient of a π-limit: a row a sample, and what its norm is.

A sample at which the loss has the derivatives dg^l gives layer l the gradient

    u ↦ V(g^{l−1}, u) dg^l      in the function space of V,

the row A = dg^l, B = g^{l−1}. Of a homogeneous activation it is stored with
|B| = 1, A = |g^{l−1}| dg^l. Norms are those of the function space,

    ‖∇_l‖² = Σ_ij ⟨A_i, A_j⟩ V(B_i, B_j),

to which Frobenius norms of the finite network's gradients tend, so that
clipping commutes with the limit.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from framework.maths.gaussian import Transform
from framework.maths.norms import root
from framework.systems.infinite_width.pi.net import (
  ONES,
  Multipliers,
  Net,
  forward,
  kernel,
)

__all__ = [
  'Clip',
  'Gradient',
  'Row',
  'assembled',
  'clip_all',
  'clip_each',
  'clipped',
  'gradient',
  'norms',
]


class Row(NamedTuple):
  """The gradient of a layer above the first, a row a sample."""

  A: Float[Array, 'n k']
  B: Float[Array, 'n r']


class Gradient(NamedTuple):
  """The gradient of everything."""

  first: Float[Array, 'd r']
  biases: tuple[Float[Array, ' r'], ...]
  rows: tuple[Row, ...]  # l = 2, ..., L + 1


class Norms(NamedTuple):
  """A number for each part of a `Gradient`."""

  first: Float[Array, '']
  biases: tuple[Float[Array, ''], ...]
  rows: tuple[Float[Array, ''], ...]


def gradient(
  phi: Transform,
  net: Net,
  x: Float[Array, 'n d'],
  loss: Callable[[Array], Float[Array, '']],
  alphas: Multipliers = ONES,
  filled: Int[Array, ''] | None = None,
  normalised: bool = True,
) -> Gradient:
  """The gradient of a loss of the outputs.

  Args:
    phi: The activation.
    net: The network.
    x: A batch.
    loss: Of its outputs (n, k), a mean over n included.
    alphas: Multipliers.
    filled: Rows that were appended to each layer.
    normalised: Whether rows are stored with |B| = 1.

  Returns:
    A `Gradient`.
  """
  seen = forward(phi, net, x, alphas, filled)
  dy = alphas.last * jax.grad(loss)(seen.f)
  dg = [dy]  # of layers L + 1, ..., 2, then of g¹
  for pull in reversed(seen.pulls):
    dg.append(pull(dg[-1]))
  *upper, lowest = dg
  return assembled(
    x, seen.g, lowest, tuple(reversed(upper)), alphas, normalised
  )


def assembled(
  x: Float[Array, 'n d'],
  g: tuple[Float[Array, 'n r'], ...],
  lowest: Float[Array, 'n r'],
  upper: tuple[Float[Array, 'n k'], ...],
  alphas: Multipliers,
  normalised: bool,
) -> Gradient:
  """A gradient from derivatives at the pre-activations.

  Args:
    x: Inputs.
    g: g¹, ..., g^L at them.
    lowest: ∂loss/∂g¹.
    upper: ∂loss/∂y of layers 2, ..., L + 1.
    alphas: Multipliers.
    normalised: Whether rows are stored with |B| = 1.

  Returns:
    A `Gradient`.
  """
  first = alphas.first * (x.T @ lowest)
  scales = alphas.first * alphas.bias, *[alphas.bias] * (len(g) - 1)
  biases = [
    scale * jnp.sum(d, 0)
    for scale, d in zip(scales, (lowest, *upper[:-1]), strict=True)
  ]
  biases.append(alphas.last_bias * jnp.sum(upper[-1], 0))
  rows = [
    _normalised(d, own) if normalised else Row(d, own)
    for d, own in zip(upper, g, strict=True)
  ]
  return Gradient(first, tuple(biases), tuple(rows))


def _normalised(A: Array, B: Array) -> Row:
  square = jnp.sum(B * B, 1, keepdims=True)
  there = square > 0
  length = jnp.sqrt(jnp.where(there, square, 1))
  return Row(jnp.where(there, length, 0) * A, B / length)


def norms(phi: Transform, grads: Gradient) -> Norms:
  """Norms of the parts of a gradient.

  Args:
    phi: The activation.
    grads: The gradient.

  Returns:
    `Norms`.
  """

  def frobenius(x):
    return root(jnp.sum(x * x))

  def rkhs(row):
    inner = (row.A @ row.A.T) * kernel(phi, row.B, row.B)
    return root(jnp.maximum(jnp.sum(inner), 0))

  return Norms(
    frobenius(grads.first),
    tuple(frobenius(b) for b in grads.biases),
    tuple(rkhs(row) for row in grads.rows),
  )


# (norms, limit) -> factor of each part, of the same structure
Clip = Callable[[Norms, Float[Array, ''] | float], Norms]


def clip_each(found: Norms, limit: Float[Array, ''] | float) -> Norms:
  """Every part by itself: min(1, limit/(‖·‖ + 1e-10)).

  >>> one = Norms(jnp.array(4.0), (), ())
  >>> print(clip_each(one, 1.0).first.round(6))
  0.25
  """
  return jax.tree.map(lambda n: jnp.minimum(1.0, limit / (1e-10 + n)), found)


def clip_all(found: Norms, limit: Float[Array, ''] | float) -> Norms:
  """All parts by the norm of the whole: limit/‖·‖ where it is larger.

  >>> one = Norms(jnp.array(3.0), (jnp.array(4.0),), ())
  >>> print(clip_all(one, 1.0).first)
  0.2
  """
  whole = root(jnp.asarray(sum(n * n for n in jax.tree.leaves(found))))
  factor = jnp.where(whole > limit, limit / jnp.where(whole > 0, whole, 1), 1)
  return jax.tree.map(lambda n: factor, found)


def clipped(
  phi: Transform, grads: Gradient, clip: Clip, limit: Float[Array, ''] | float
) -> Gradient:
  """A gradient of which no norm exceeds a limit.

  Args:
    phi: The activation.
    grads: The gradient.
    clip: `clip_each` or `clip_all`.
    limit: The largest norm; 0 does not clip.

  Returns:
    The gradient.
  """
  factors = jax.tree.map(
    lambda f: jnp.where(limit > 0, f, 1), clip(norms(phi, grads), limit)
  )
  return Gradient(
    grads.first * factors.first,
    tuple(b * f for b, f in zip(grads.biases, factors.biases, strict=True)),
    tuple(
      row._replace(A=row.A * f)
      for row, f in zip(grads.rows, factors.rows, strict=True)
    ),
  )
