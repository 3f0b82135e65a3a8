r"""π-nets of finite width: networks whose gradients are projected.

    h¹ = α₁ (√n W¹ξ + α_b √n b¹),      h^l = W^l φ(h^{l−1}) + α_b √n b^l
    f = α_L (W^{L+1} φ(h^L)/√n + α_B b^{L+1})

with Ω^l ∈ R^{n×r} of normal numbers, fixed, drawn at the start from the limit:

    √n W¹ = Ω¹A₁ᵀ,  W^l = Ω^l (c A)ᵀ φ(BΩ^{l−1 T})/n,  W^{L+1}/√n the same
    without Ω^{L+1},  √n b^l = Ω^l β^l

In these units every rate is that of the limit. The gradient of all that leads
into a hidden layer is projected on the columns of Ω^l before any rule sees it,
so that h^l = Ω^l g^l stays so; the limit of n → ∞ is `net` [1]. A µ-net is the
same network with weights of its own and without the projection.

References:
  [1] Yang, Santacroce, Hu, "Efficient Computation of Deep Nonlinear
      Infinite-Width Neural Networks that Learn Features", 2022.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, DTypeLike, Float, Key

from framework.checks import check_sizes
from framework.maths import draws, linalg
from framework.maths.gaussian import Transform
from framework.systems.infinite_width.pi.net import ONES, Multipliers, Net
from framework.systems.infinite_width.pi.rows import Layer

__all__ = ['Bases', 'Params', 'apply', 'hidden', 'munet', 'project', 'sample']


class Params(NamedTuple):
  """Weights and biases, in units in which rates do not depend on n."""

  W: tuple[Float[Array, 'out in'], ...]  # l = 1, ..., L + 1
  b: tuple[Float[Array, ' out'], ...]


Bases = tuple[Float[Array, 'n r'], ...]  # orthonormal, of hidden layers


def sample(
  key: Key[Array, ''], phi: Transform, net: Net, n: int
) -> tuple[Params, Bases]:
  """A network of finite width, drawn from a limit at any time of its training.

  Args:
    key: Of Ω.
    phi: The activation.
    net: The limit.
    n: The width, at least the rank.

  Returns:
    Its parameters, and orthonormal bases of the columns of Ω^1, ..., Ω^L, on
    which `project` projects.

  Raises:
    ValueError: If the width is below the rank.

  >>> from framework.maths.gaussian import transform
  >>> from framework.systems.infinite_width.pi.net import gaussian
  >>> key, relu = jax.random.key(0), transform('relu')
  >>> net = gaussian()(key, d=4, k=2, r=3, depth=2, dtype=float)
  >>> params, bases = sample(key, relu, net, n=50)
  >>> [w.shape for w in params.W], bases[0].shape
  ([(50, 4), (50, 50), (2, 50)], (50, 3))
  """
  check_sizes(n=n)
  r, dtype = net.first.shape[1], net.first.dtype
  if n < r:
    raise ValueError(
      f'width is {n}, expected at least the rank {r}: gradients are projected '
      'on r directions'
    )
  depth = len(net.layers)
  keys = jax.random.split(key, depth)
  omegas = [draws.normal(k, (n, r), dtype) for k in keys]
  W = [omegas[0] @ net.first.T / n**0.5]
  for i, layer in enumerate(net.layers):
    below = _joined(phi, layer, omegas[i])
    last = i + 1 == depth
    W.append(below / n**0.5 if last else omegas[i + 1] @ below / n)
  b = [o @ x / n**0.5 for o, x in zip(omegas, net.biases[:-1], strict=True)]
  bases = tuple(linalg.qr(o)[0] for o in omegas)
  return Params(tuple(W), (*b, net.biases[-1])), bases


def _joined(phi: Transform, layer: Layer, omega: Array) -> Array:
  """(c A)ᵀ φ(BΩᵀ), (k, n)."""
  total = 0.0
  for rows in layer:
    B = rows.B.astype(omega.dtype)
    at = phi.phi(jnp.einsum('nr,srb->snb', omega, B))
    weighted = rows.c[..., None] * rows.A.astype(omega.dtype)
    total = total + jnp.einsum('sbk,snb->kn', weighted, at)
  return jnp.asarray(total)


def munet(
  key: Key[Array, ''],
  d: int,
  k: int,
  n: int,
  depth: int,
  sigma: Float[Array, ''] | float = 1.0,
  dtype: DTypeLike = jnp.float32,
) -> Params:
  """A network in µP with weights of its own, and a readout of zeros.

  Args:
    key: Of the weights.
    d: Inputs.
    k: Outputs.
    n: Width.
    depth: L.
    sigma: Deviation of √n W¹√d and of √n W^l.
    dtype: Of all of them.

  Returns:
    Parameters; train them without `project`.
  """
  check_sizes(d=d, k=k, n=n, depth=depth)
  keys = jax.random.split(key, depth)
  W = [sigma * draws.normal(keys[0], (n, d), dtype) / (n * d) ** 0.5]
  W += [sigma * draws.normal(own, (n, n), dtype) / n**0.5 for own in keys[1:]]
  W.append(jnp.zeros((k, n), dtype))
  b = [jnp.zeros(n, dtype) for _ in range(depth)] + [jnp.zeros(k, dtype)]
  return Params(tuple(W), tuple(b))


def hidden(
  phi: Transform,
  params: Params,
  x: Float[Array, 'm d'],
  alphas: Multipliers = ONES,
) -> Float[Array, 'm n']:
  """φ(h^L), of which the readout is linear.

  Args:
    phi: The activation.
    params: The network.
    x: Inputs.
    alphas: Multipliers of the forward pass.

  Returns:
    A row an input.
  """
  n = params.W[0].shape[0]
  root = n**0.5
  first, *others = params.W[:-1]
  b = [row[None] for row in params.b]
  z = phi.phi(alphas.first * root * (x @ first.T + alphas.bias * b[0]))
  for W, bias in zip(others, b[1:-1], strict=True):
    z = phi.phi(z @ W.T + alphas.bias * root * bias)
  return z


def apply(
  phi: Transform,
  params: Params,
  x: Float[Array, 'm d'],
  alphas: Multipliers = ONES,
) -> Float[Array, 'm k']:
  """Outputs of a network.

  Args:
    phi: The activation.
    params: The network.
    x: Inputs.
    alphas: Multipliers of the forward pass.

  Returns:
    f, a row an input.
  """
  z, n = hidden(phi, params, x, alphas), params.W[0].shape[0]
  bias = alphas.last_bias * params.b[-1][None]
  return alphas.last * (z @ params.W[-1].T / n**0.5 + bias)


def project(bases: Bases) -> optax.GradientTransformation:
  """Gradients into hidden layers, projected on the columns of Ω^l.

      ∇W^l ← Ω(ΩᵀΩ)⁻¹Ωᵀ ∇W^l,   ∇b^l the same,   l = 1, ..., L

  To be chained before any rule: `optax.chain(project(bases), optax.adam(η))`.

  Args:
    bases: Of `sample`; they may be traced.

  Returns:
    An optax transformation of `Params` without state.

  >>> basis = jnp.eye(3)[:, :1]
  >>> grads = Params((jnp.ones((3, 2)), jnp.ones((1, 3))),
  ...                (jnp.ones(3), jnp.ones(1)))
  >>> rule = project((basis,))
  >>> print(*rule.update(grads, rule.init(grads))[0].b)
  [1. 0. 0.] [1.]
  """

  def update(updates, state, params=None):
    del params
    W = [q @ (q.T @ g) for q, g in zip(bases, updates.W[:-1], strict=True)]
    b = [q @ (q.T @ g) for q, g in zip(bases, updates.b[:-1], strict=True)]
    return (
      Params((*W, updates.W[-1]), (*b, updates.b[-1])),
      state,
    )

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
