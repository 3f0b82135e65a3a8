"""Adam whose moments do not underflow.

    m_t = β_1 m_t−1 + (1 − β_1) s g,     v_t = β_2 v_t−1 + (1 − β_2) (s g)²,
    u = m̂/(√v̂ + s ε),   m̂ = m_t/(1 − β_1^t),  v̂ = v_t/(1 − β_2^t)

With s = 1 this is Adam. In float32 g² underflows for |g| below about 1e-19 (XLA
flushes denormal numbers on a CPU), v̂ is 0, and with an ε as small as 1e-25 the
first step is g/ε: ten thousand instead of one. A scale s that is a power of two
changes no bit of u as long as nothing under- or overflows, and moves the
threshold to 1e-19/s.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

__all__ = ['AdamState', 'scale_by_adam', 'scale_by_smooth_adam']

_Number = float | Float[Array, '']


class AdamState(NamedTuple):
  """Step count and moments of s g."""

  count: Int[Array, '']
  mu: PyTree
  nu: PyTree


def scale_by_adam(
  b1: _Number = 0.9,
  b2: _Number = 0.999,
  eps: _Number = 1e-8,
  *,
  gradient_scale: float = 2.0**40,
  moment_dtype: Any = None,
) -> optax.GradientTransformation:
  """Divides the mean of the gradient by its root mean square.

  Args:
    b1: Decay β_1 of the mean.
    b2: Decay β_2 of the mean square.
    eps: ε, in units of the gradient (it is scaled along).
    gradient_scale: s, a power of two. With 2^40 gradients from 1e-31 to 1e7
      have float32 moments.
    moment_dtype: Type of the moments, such as float64; that of the parameters
      when None. It decides the arithmetic, too.

  Returns:
    A transformation that the learning rate, with its sign, is to follow.

  Raises:
    ValueError: If `gradient_scale` is not a power of two.

  >>> tiny = jnp.array([1e-25])
  >>> rule = scale_by_adam(eps=1e-30)
  >>> print(rule.update(tiny, rule.init(tiny))[0].round(3))
  [1.]

  References:
    Kingma, Ba, "Adam: A Method for Stochastic Optimization", 2014.
  """
  if math.frexp(gradient_scale)[0] != 0.5:
    raise ValueError(
      f'gradient_scale is {gradient_scale}, expected a power of two'
    )

  def kind(x: Array) -> Any:
    return x.dtype if moment_dtype is None else jnp.dtype(moment_dtype)

  def init(params: PyTree) -> AdamState:
    def zeros(x: Array) -> Array:
      return jnp.zeros(x.shape, kind(x))

    return AdamState(
      jnp.int32(0), jax.tree.map(zeros, params), jax.tree.map(zeros, params)
    )

  def update(updates: PyTree, state: Any, params: PyTree = None):
    del params
    count = state.count + 1
    # A compiler that sees (s g)² makes s² g² of it, and g² is 0 again.
    scaled = jax.lax.optimization_barrier(
      jax.tree.map(
        lambda g, m: g.astype(m.dtype) * gradient_scale, updates, state.mu
      )
    )

    def mean(m: Array, g: Array) -> Array:
      b = jnp.asarray(b1, m.dtype)
      return b * m + (1 - b) * g

    def square(v: Array, g: Array) -> Array:
      b = jnp.asarray(b2, v.dtype)
      return b * v + (1 - b) * g**2

    def divided(m: Array, v: Array, g: Array) -> Array:
      t = count.astype(m.dtype)
      m_hat = m / (1 - jnp.asarray(b1, m.dtype) ** t)
      v_hat = v / (1 - jnp.asarray(b2, m.dtype) ** t)
      there = v_hat > 0
      # The root has no derivative at 0.
      root = jnp.where(there, jnp.sqrt(jnp.where(there, v_hat, 1)), 0)
      floor = jnp.asarray(eps, m.dtype) * gradient_scale
      return (m_hat / (root + floor)).astype(g.dtype)

    mu = jax.tree.map(mean, state.mu, scaled)
    nu = jax.tree.map(square, state.nu, scaled)
    updates = jax.tree.map(divided, mu, nu, updates)
    return updates, AdamState(count, mu, nu)

  return optax.GradientTransformation(init, update)


def scale_by_smooth_adam(
  b1: _Number = 0.9, b2: _Number = 0.999, eps: _Number = 1e-8
) -> optax.GradientTransformation:
  """Adam of optax, with a derivative where a gradient has always been zero.

      u = m̂/(√(v̂ + r) + ε),   r the smallest normal number of the dtype

  √v̂ has an infinite derivative at 0, and the derivative of a run in its
  learning rate is 0 ∞ there, not a number: with a readout that starts from zero
  the hidden layers have no gradient, and the run has no derivative from its
  first step on. r is lost beside every other v̂, and √r = 1e-19 beside ε: no bit
  of u changes in float32 for ε above 1e-11.

  Args:
    b1: Decay β_1 of the mean.
    b2: Decay β_2 of the mean square.
    eps: ε.

  Returns:
    A transformation with the state of `optax.scale_by_adam`.

  >>> rule, still = scale_by_smooth_adam(), jnp.zeros(1)
  >>> print(jax.jacobian(lambda g: rule.update(g, rule.init(g))[0])(still))
  [[1.e+08]]
  """

  def inner(root: float) -> optax.GradientTransformation:
    return optax.scale_by_adam(b1, b2, eps, eps_root=root)

  def update(updates: PyTree, state: Any, params: PyTree = None):
    kinds = {g.dtype for g in jax.tree.leaves(updates)}
    # Moments in half precision are divided in it, where this r may be 0.
    wide = (jnp.promote_types(kind, jnp.float32) for kind in kinds)
    root = max((float(jnp.finfo(kind).tiny) for kind in wide), default=0.0)
    return inner(root).update(updates, state, params)

  return optax.GradientTransformation(inner(0.0).init, update)
