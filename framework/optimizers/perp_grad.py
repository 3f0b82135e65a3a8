"""⊥Grad: the part of a gradient that is orthogonal to the weights.

    g_⊥ = g − (<w, g>/<w, w>) w,     ĝ = g_⊥ ‖g‖/‖g_⊥‖   (rescale)

tensor by tensor, each flattened. The part along w only scales the output of a
homogeneous network; it lowers the loss without changing a prediction.

Where g is almost parallel to w, what is left of it in floating point is
rounding noise, and rescaling would blow that up to full norm, *along* w: so the
projection is made twice, and below `guard` times ‖g‖ the update is zero.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from framework.maths.norms import norm

__all__ = ['perp_grad', 'project']


@functools.partial(jax.jit, static_argnames=('rescale', 'passes'))
def project(
  g: Float[Array, '*shape'],
  w: Float[Array, '*shape'],
  *,
  rescale: bool = True,
  guard: float | None = None,
  passes: int = 2,
) -> Float[Array, '*shape']:
  """One gradient without its part along the weights.

  Args:
    g: Gradient of a tensor.
    w: The tensor; where it is zero, g stays as it is.
    rescale: Whether ‖g‖ is kept, as in the authors' code; their paper's formula
      does not.
    guard: Fraction of ‖g‖ at and below which the result is zero; None for four
      machine epsilons, 0 for never (then an exactly parallel g of any size but
      the smallest gives noise of norm ‖g‖).
    passes: How often the projection is made; once is accurate only as long as
      ‖g_⊥‖ is not much smaller than ‖g‖.

  Returns:
    g_⊥, or ĝ.

  >>> w = jnp.array([1.0, 0.0])
  >>> print(project(jnp.array([3.0, 4.0]), w, rescale=False))
  [0. 4.]
  >>> print(project(jnp.array([3.0, 4.0]), w))
  [0. 5.]
  """
  ww = jnp.sum(w * w)
  inverse = jnp.where(ww > 0, 1 / jnp.where(ww > 0, ww, 1), 0)
  rest = g
  for _ in range(passes):
    rest = rest - (jnp.sum(w * rest) * inverse) * w
  before, after = norm(g), norm(rest)
  least = 4 * jnp.finfo(g.dtype).eps if guard is None else guard
  there = after > least * before
  scale = before / jnp.where(there, after, 1) if rescale else 1
  return jnp.where(there, rest * scale, jnp.zeros_like(rest))


def perp_grad(
  rescale: bool = True,
  guard: float | None = None,
  *,
  passes: int = 2,
  mask: PyTree | Callable[[PyTree], PyTree] | None = None,
) -> optax.GradientTransformation:
  """Projects every gradient to be orthogonal to its weights.

      g ← g_⊥ ‖g‖/‖g_⊥‖,   g_⊥ = g − (<w, g>/<w, w>) w

  Followed by plain descent, ‖w_t+1‖² = ‖w_t‖² + lr² ‖g‖² exactly: norms grow in
  second order only. Followed by Adam the step is not orthogonal any more.

  Args:
    rescale: As in `project`.
    guard: As in `project`.
    passes: As in `project`.
    mask: Tree of booleans like the parameters (or a function that makes one):
      which tensors to project. All of them when None, biases too.

  Returns:
    A transformation without state, to be put before a rule.

  >>> rule = optax.chain(perp_grad(), optax.sgd(0.1))
  >>> w = {'a': jnp.array([2.0, 0.0])}
  >>> g = {'a': jnp.array([-3.0, -4.0])}
  >>> print(abs(rule.update(g, rule.init(w), w)[0]['a']))
  [0.  0.5]

  References:
    Prieto, Barsbey, Mediano, Birdal, "Grokking at the Edge of Numerical
    Stability", ICLR 2025. The guard is that of the package pytorch_optimizer.
  """

  def update(updates: PyTree, state: Any, params: PyTree = None):
    if params is None:
      raise ValueError('perp_grad needs params: pass them to update')

    def one(g: Array, w: Array) -> Array:
      return project(g, w, rescale=rescale, guard=guard, passes=passes)

    return jax.tree.map(one, updates, params), state

  rule = optax.GradientTransformation(lambda params: optax.EmptyState(), update)
  return rule if mask is None else optax.masked(rule, mask)
