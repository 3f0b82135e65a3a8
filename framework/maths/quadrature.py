r"""Expectations of two Gaussians without a closed form, by quadrature.

    E f(u) g(v),   (u, v) centred normal, E u² = s, E v² = t, E uv = k

With u = √s x, v = k/√s x + √(t − k²/s) y it is a sum over Gauss-Hermite nodes
of x and y. That has no derivative at |k| = √(st), though the expectation does:

    ∂E/∂k = E f'g',   ∂E/∂s = ½ E f''g,   ∂E/∂t = ½ E f g''      (Price [1])

which are expectations again, so that all derivatives are exact to the nodes.

References:
  [1] Price, "A Useful Theorem for Nonlinear Devices Having Gaussian Inputs",
      1958.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from framework.checks import check_sizes

__all__ = ['derivative', 'expectation']

_Scalar = Callable[[Array], Array]


def derivative(f: _Scalar) -> _Scalar:
  """The derivative of an elementwise function.

  >>> print(derivative(jnp.square)(jnp.array([1.0, 3.0])))
  [2. 6.]
  """

  def slope(u: Array) -> Array:
    u = jnp.asarray(u)
    return jax.jvp(f, (u,), (jnp.ones_like(u),))[1]

  return slope


def expectation(
  f: _Scalar, g: _Scalar, nodes: int = 80
) -> Callable[..., Array]:
  """E f(u) g(v) as a function of the moments, elementwise.

  Args:
    f: Elementwise; as often differentiable as the result is to be.
    g: The same.
    nodes: Nodes an axis; nodes² values of f and g are taken for each entry.

  Returns:
    (E u², E v², E uv) -> E f(u) g(v), with the derivatives of Price's theorem.

  Raises:
    ValueError: If there are no nodes.

  >>> product = expectation(jnp.sin, jnp.sin)
  >>> want = jnp.exp(-0.75) * jnp.sinh(0.5)
  >>> print((product(0.5, 1.0, 0.5) / want).round(5))
  1.0
  """
  check_sizes(nodes=nodes)
  z, w = np.polynomial.hermite_e.hermegauss(nodes)
  w = w / w.sum()

  @jax.custom_jvp
  def mean(s: Array, t: Array, k: Array) -> Array:
    s, t, k = jnp.broadcast_arrays(*map(jnp.asarray, (s, t, k)))
    s, t, k = (x.astype(jnp.result_type(x, float)) for x in (s, t, k))
    there = s > 0
    root = jnp.sqrt(jnp.where(there, s, 1))
    slope = jnp.where(there, k / root, 0)
    rest = jnp.sqrt(jnp.maximum(t - slope**2, 0))
    x, weight = jnp.asarray(z, s.dtype), jnp.asarray(w, s.dtype)
    root = jnp.where(there, root, 0)
    spread = x.reshape((1,) * s.ndim + (-1,))

    def one(total: Array, at: tuple[Array, Array]) -> tuple[Array, None]:
      u, v = root * at[0], slope * at[0]
      inner = g(v[..., None] + rest[..., None] * spread) @ weight
      return total + at[1] * f(u) * inner, None

    return jax.lax.scan(one, jnp.zeros_like(s), (x, weight))[0]

  @mean.defjvp
  def _(primals, tangents):
    def of(f: _Scalar, g: _Scalar) -> Array:
      return expectation(f, g, nodes)(*primals)

    df, dg = derivative(f), derivative(g)
    ds, dt, dk = tangents
    change = of(df, dg) * dk
    change += of(derivative(df), g) * ds / 2 + of(f, derivative(dg)) * dt / 2
    return mean(*primals), change

  return mean
