"""The two-layer ReLU network of [1], its second layer frozen.

    f(x; W) = Σ_j a_j φ(⟨w_j, x⟩),   a_j uniform on ±1/√m, fixed,
    w_j(0) ~ N(0, ω² I_p),   φ(z) = z for z > 0, else λz

λ = 0 is the paper's ReLU, with φ'(0) = 0; λ = 1 is a linear network, which
cannot fit XOR (a control); anything between is a leaky ReLU.

References:
  [1] Xu, Wang, Frei, Vardi, Hu, "Benign Overfitting and Grokking in ReLU
      Networks for XOR Cluster Data", 2023.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Key

__all__ = [
  'TwoLayerNet',
  'activation',
  'first_layer',
  'outputs',
  'second_layer',
]


def activation(
  z: Float[Array, '*n'], leak: Float[ArrayLike, ''] = 0.0
) -> Float[Array, '*n']:
  """φ(z) = z for z > 0, else λz.

  Args:
    z: Pre-activations.
    leak: λ, slope where z <= 0.

  Returns:
    An array of the shape of z; its derivative at 0 is λ.
  """
  return jnp.where(z > 0, z, jnp.asarray(leak, z.dtype) * z)


def outputs(
  z: Float[Array, 'n m'],
  a: Float[Array, ' m'],
  leak: Float[ArrayLike, ''] = 0.0,
) -> Float[Array, ' n']:
  """f(x_i) = Σ_j a_j φ(z_ij) from pre-activations.

  >>> outputs(jnp.array([[2.0, -1.0]]), jnp.array([0.5, -0.5])).tolist()
  [1.0]
  """
  return activation(z, leak) @ a


def second_layer(
  key: Key[Array, ''], m: int, dtype: DTypeLike = jnp.float32
) -> Float[Array, ' m']:
  """Draws a: i.i.d. uniform on {+1/√m, −1/√m}."""
  return jax.random.rademacher(key, (m,), dtype) / jnp.asarray(m, dtype) ** 0.5


def first_layer(
  key: Key[Array, ''],
  p: int,
  m: int,
  omega: Float[ArrayLike, ''],
  dtype: DTypeLike = jnp.float32,
) -> Float[Array, 'p m']:
  """Draws W(0): one column a neuron, entries i.i.d. N(0, ω²)."""
  return jnp.asarray(omega, dtype) * jax.random.normal(key, (p, m), dtype)


class TwoLayerNet(nn.Module):
  """The network as a flax module; `a` lies in the collection 'frozen'.

  >>> import jax
  >>> net = TwoLayerNet(m=6, omega=1.0)
  >>> start = jax.jit(net.init_with_output)
  >>> f, tree = start(jax.random.key(0), jnp.ones((4, 3)))
  >>> tree['params']['W'].shape, tree['frozen']['a'].shape
  ((3, 6), (6,))
  >>> f.shape
  (4,)
  """

  m: int  # neurons
  omega: float = 1e-15  # standard deviation of W(0)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[Array, 'n p'], leak: Float[ArrayLike, ''] = 0.0
  ) -> Float[Array, ' n']:
    """The outputs of n points."""

    def draw(key):
      return first_layer(key, x.shape[-1], self.m, self.omega, self.dtype)

    def frozen():
      return second_layer(self.make_rng('params'), self.m, self.dtype)

    W = self.param('W', draw)
    a = self.variable('frozen', 'a', frozen).value
    return outputs(x @ W, a, leak)
