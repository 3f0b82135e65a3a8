r"""NNGP and NTK of a fully connected network of any depth, from V and V̇.

    h¹ = σ_w W¹x + σ_b b¹,   h^{l+1} = σ_w W^{l+1} φ(h^l)/√n + σ_b b^{l+1}
    f = σ_v W^{L+1} φ(h^L)/√n,   all W, b ~ N(0, 1)

    Σ¹ = σ_w² ⟨x, y⟩ + σ_b²,          Θ¹ = Σ¹
    Σ^{l+1} = σ_w² V(Σ^l) + σ_b²,     Θ^{l+1} = Σ^{l+1} + σ_w² V̇(Σ^l) Θ^l
    NNGP = σ_v² V(Σ^L),               NTK = NNGP + σ_v² V̇(Σ^L) Θ^L

with V̇ taken at the correlation of the *pre*-activations [1, 2]: a kernel that
takes it at that of the activations, without the ½ of a ReLU, is 1.5, 2.33 and
3.75 times as large on the diagonal at one, two and three hidden layers.

References:
  [1] Jacot, Gabriel, Hongler, "Neural Tangent Kernel", 2018.
  [2] Lee et al., "Deep Neural Networks as Gaussian Processes", 2018.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from framework.maths.gaussian import Transform

__all__ = ['Kernels', 'kernels']


class Kernels(NamedTuple):
  """Both kernels between two sets of inputs."""

  nngp: Float[Array, 'n m']
  ntk: Float[Array, 'n m']


class _Layer(NamedTuple):
  """Moments of one layer: of x alone, y alone, and both."""

  s: Float[Array, 'n 1']
  t: Float[Array, '1 m']
  k: Float[Array, 'n m']

  def through(self, f, var_w, var_b) -> '_Layer':
    own = f(self.s, self.s, self.s), f(self.t, self.t, self.t)
    scaled = [jnp.asarray(var_w * x + var_b) for x in (*own, f(*self))]
    return _Layer(*scaled)


def kernels(
  transform: Transform,
  depth: int,
  x: Float[Array, 'n d'],
  y: Float[Array, 'm d'],
  var_w: Float[ArrayLike, ''] = 1.0,
  var_b: Float[ArrayLike, ''] = 0.0,
  var_v: Float[ArrayLike, ''] = 1.0,
) -> Kernels:
  """The kernels between the rows of x and of y.

  Args:
    transform: The activation, from `gaussian.transform`.
    depth: Hidden layers L >= 1.
    x: Inputs.
    y: Inputs.
    var_w: σ_w², of every layer below the readout.
    var_b: σ_b².
    var_v: σ_v², of the readout.

  Returns:
    `Kernels`.

  Raises:
    ValueError: If the depth is below 1.

  >>> from framework.maths.gaussian import transform
  >>> one = jnp.eye(2)[:1]
  >>> print(*kernels(transform('relu'), 2, one, one))
  [[0.25]] [[0.75]]
  """
  if depth < 1:
    raise ValueError(f'depth is {depth}, expected an integer >= 1')
  inner = jnp.sum(x**2, 1, keepdims=True), jnp.sum(y**2, 1)[None], x @ y.T
  layer = _Layer(*(jnp.asarray(var_w * z + var_b) for z in inner))
  theta = layer.k
  for _ in range(depth - 1):
    following = layer.through(transform.V, var_w, var_b)
    theta = following.k + var_w * transform.V_dot(*layer) * theta
    layer = following
  nngp = jnp.asarray(var_v * transform.V(*layer))
  ntk = nngp + var_v * transform.V_dot(*layer) * theta
  return Kernels(nngp, jnp.asarray(ntk))
