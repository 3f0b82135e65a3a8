r"""The π-limit: a deep network of infinite width whose features are learnt.

    g¹ = α₁ (A₁ᵀξ + α_b β¹)
    g^l = Σ_m c_m V(B_m, g^{l−1}) A_m + α_b β^l            l = 2, ..., L
    f = α_L (Σ_m c_m V(B_m, g^L) A_m + α_B β^{L+1})

Of a network of width n whose gradients are projected on r random directions
Ω^l a layer, h^l = Ω^l g^l are the pre-activations as n → ∞ [1]: all that moves
is in R^r. Each layer above the first is a function that grows by rows (`rows`).

References:
  [1] Yang, Santacroce, Hu, "Efficient Computation of Deep Nonlinear
      Infinite-Width Neural Networks that Learn Features", 2022.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import random
from jaxtyping import Array, DTypeLike, Float, Int, Key

from framework.checks import check_sizes
from framework.maths import draws
from framework.maths.gaussian import Transform
from framework.systems.infinite_width.pi import rows as rows_lib
from framework.systems.infinite_width.pi.rows import Layer

__all__ = [
  'ONES',
  'Multipliers',
  'Net',
  'Pass',
  'Start',
  'apply',
  'features',
  'forward',
  'gaussian',
  'identities',
  'kernel',
]


class Multipliers(NamedTuple):
  """Multipliers of the forward pass: traced scalars."""

  first: Float[Array, ''] | float = 1.0  # α₁, of the first layer
  last: Float[Array, ''] | float = 1.0  # α_L, of the output
  bias: Float[Array, ''] | float = 1.0  # α_b, of biases; 0: there are none
  last_bias: Float[Array, ''] | float = 1.0  # α_B, of that of the output


class Net(NamedTuple):
  """All that is learnt."""

  first: Float[Array, 'd r']  # A₁
  biases: tuple[Float[Array, ' r'], ...]  # β, of the last k numbers
  layers: tuple[Layer, ...]  # l = 2, ..., L + 1


# (key, d, k, r, depth, dtype) -> Net without room for rows
Start = Callable[..., Net]

ONES = Multipliers()


def gaussian(readout: bool = True) -> Start:
  """The random start: A₁ of unit columns, B of unit rows, c = 1.

  Args:
    readout: False starts it as one row of zeros, so that f = 0.

  Returns:
    A start; A is N(0, 1/r), that of the readout N(0, 1/r²).

  >>> net = gaussian()(random.key(0), d=4, k=2, r=3, depth=2, dtype=float)
  >>> net.first.shape, net.layers[1][0].A.shape
  ((4, 3), (1, 3, 2))
  """

  def start(
    key: Key[Array, ''], d: int, k: int, r: int, depth: int, dtype: DTypeLike
  ) -> Net:
    check_sizes(d=d, k=k, rank=r, depth=depth)
    key, own = random.split(key)
    first = draws.normal(own, (d, r), dtype)
    first = first / jnp.linalg.norm(first, axis=0, keepdims=True)
    layers = []
    for i in range(depth):
      last = i + 1 == depth
      key, a, b = random.split(key, 3)
      M = 1 if last and not readout else r
      B = draws.normal(b, (M, r), dtype)
      B = B / jnp.linalg.norm(B, axis=1, keepdims=True)
      A = draws.normal(a, (M, k if last else r), dtype)
      A = A / (r if last else r**0.5)
      c = jnp.ones(M, dtype)
      if last and not readout:
        A, c = jnp.zeros_like(A), jnp.zeros_like(c)
      layers.append((rows_lib.of(A, B, c),))
    return Net(first, _biases(r, k, depth, dtype), tuple(layers))

  return start


def identities() -> Start:
  """The start without randomness: A₁, A and B are I, the readout is zero.

  It asks for d = r.

  Returns:
    A start.

  >>> identities()(random.key(0), d=4, k=2, r=5, depth=1, dtype=float)
  Traceback (most recent call last):
  ValueError: rank is 5, expected the dimension of the data, 4: a start of
  identities is square
  """

  def start(
    key: Key[Array, ''], d: int, k: int, r: int, depth: int, dtype: DTypeLike
  ) -> Net:
    del key
    check_sizes(d=d, k=k, rank=r, depth=depth)
    if d != r:
      raise ValueError(
        f'rank is {r}, expected the dimension of the data, {d}: a start of '
        'identities is square'
      )
    eye, ones = jnp.eye(r, dtype=dtype), jnp.ones(r, dtype)
    hidden = [(rows_lib.of(eye, eye, ones),) for _ in range(depth - 1)]
    last = (rows_lib.of(jnp.zeros((r, k), dtype), eye, ones),)
    return Net(eye, _biases(r, k, depth, dtype), (*hidden, last))

  return start


def _biases(r: int, k: int, depth: int, dtype: DTypeLike):
  return tuple(jnp.zeros(r, dtype) for _ in range(depth)) + (
    jnp.zeros(k, dtype),
  )


class Pass(NamedTuple):
  """A forward pass."""

  f: Float[Array, 'n k']
  g: tuple[Float[Array, 'n r'], ...]  # g¹, ..., g^L
  pulls: tuple[Callable[[Array], Array], ...]  # of layers 2, ..., L + 1


def forward(
  phi: Transform,
  net: Net,
  x: Float[Array, 'n d'],
  alphas: Multipliers,
  filled: Int[Array, ''] | None = None,
  shift: tuple[Array | float, ...] | None = None,
) -> Pass:
  """All pre-activations of some inputs.

  Args:
    phi: The activation.
    net: The network.
    x: Inputs.
    alphas: Multipliers.
    filled: Rows that were appended to each layer; what lies beyond is not
      computed.
    shift: Added to g¹, ..., g^L: zeros, with respect to which one
      differentiates.

  Returns:
    A `Pass`.
  """
  depth = len(net.layers)
  shift = shift or (0.0,) * depth
  bias = [b[None] for b in net.biases]
  y = alphas.first * (x @ net.first + alphas.bias * bias[0])
  gs, pulls = [y + shift[0]], []
  for i, layer in enumerate(net.layers):
    y, pull = rows_lib.evaluate(phi, layer, gs[-1], filled)
    pulls.append(pull)
    if i + 1 < depth:
      gs.append(y + alphas.bias * bias[i + 1] + shift[i + 1])
  f = alphas.last * (y + alphas.last_bias * bias[-1])
  return Pass(f, tuple(gs), tuple(pulls))


def apply(
  phi: Transform,
  net: Net,
  x: Float[Array, 'n d'],
  alphas: Multipliers = ONES,
  filled: Int[Array, ''] | None = None,
) -> Float[Array, 'n k']:
  """Outputs of the network.

  Args:
    phi: The activation.
    net: The network.
    x: Inputs.
    alphas: Multipliers.
    filled: As in `forward`.

  Returns:
    f, a row an input.

  >>> from framework.maths.gaussian import transform
  >>> net = gaussian(readout=False)(random.key(0), 4, 2, 3, 2, float)
  >>> print(apply(transform('relu'), net, jnp.ones((1, 4))))
  [[0. 0.]]
  """
  return forward(phi, net, x, alphas, filled).f


def features(
  phi: Transform,
  net: Net,
  x: Float[Array, 'n d'],
  alphas: Multipliers = ONES,
  filled: Int[Array, ''] | None = None,
) -> Float[Array, 'n r']:
  """g^L, of which the readout is a function; `kernel` compares them.

  Args:
    phi: The activation.
    net: The network.
    x: Inputs.
    alphas: Multipliers.
    filled: As in `forward`.

  Returns:
    A row an input.
  """
  return forward(phi, net, x, alphas, filled).g[-1]


def kernel(
  phi: Transform, g: Float[Array, 'n r'], other: Float[Array, 'm r']
) -> Float[Array, 'n m']:
  """The feature kernel V(g, g'), inner products of infinitely many neurons.

  Args:
    phi: The activation.
    g: Features of some inputs.
    other: Of others.

  Returns:
    The Gram matrix.

  >>> from framework.maths.gaussian import transform
  >>> print(kernel(transform('relu'), jnp.eye(2), jnp.eye(2)).round(3))
  [[0.5   0.159]
   [0.159 0.5  ]]
  """
  own, others = jnp.sum(g * g, 1)[:, None], jnp.sum(other * other, 1)[None]
  return phi.V(own, others, g @ other.T)
