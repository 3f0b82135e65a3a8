r"""How far rounding takes the outputs of a π-limit, from what is stored.

Of a layer y = Σ_m c_m V(B_m, g) A_m of M rows of rank r, |B_m| = 1, a ReLU,
|∂V/∂g| <= ½: a row whose correlation with g is off by δ, for the 2r + 16
roundings it is made with, is off by ½ |g| |c_m A_m| δ at most; and each partial
sum is at most P. Roundings of ε that are independent add as their root [1]: n
of them are within λ√n ε of nothing but once in e^(λ²/2)/2 times. Rows that are
stored at a coarser ε' add both of theirs. To first order in ε, with λ = 4,

    |δf| <= E = λ Σ_l ‖∂f/∂y^l‖ [√M_l ε P_l + √(2r + 16) ε Q_l + √2 ε' Q_l]
    P_l = ‖Σ_m |c_m| V(B_m, g^{l−1}) |A_m|‖
    Q_l = ½ |g^{l−1}| (Σ_m |c_m A_m|²)^½

and P = α₁ ‖|A₁|ᵀ|ξ|‖, M = d + 4, Q = 0 of the first layer. A step of descent,
f ← f − ηKχ, rounds twice, forward and backward, as f was rounded. Where ηK is
at most 1, so that a step does not overshoot, it is off by 2E at most and
expands nothing that is there: after T steps

    |f̂ − f| <= (1 + 2√T) max_t E.

References:
  [1] Higham, Mary, "A New Approach to Probabilistic Rounding Error Analysis",
      2019.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float

from framework.maths.gaussian import Transform
from framework.maths.norms import root
from framework.systems.infinite_width.pi.net import (
  ONES,
  Multipliers,
  Net,
  forward,
)
from framework.systems.infinite_width.pi.rows import Rows, evaluate

__all__ = ['bound']

_SURE = 4.0  # λ: a sum is beyond it once in 1,500 times


def bound(
  phi: Transform,
  net: Net,
  x: Float[Array, 'n d'],
  dtype: DTypeLike,
  alphas: Multipliers = ONES,
  rows: DTypeLike | None = None,
  steps: int = 0,
) -> Float[Array, ' n']:
  """How far outputs are from those without rounding, at most.

  Args:
    phi: The activation, a ReLU.
    net: The network, as a run in `dtype` or a finer precision left it.
    x: Inputs.
    dtype: What everything is computed in.
    alphas: Multipliers.
    rows: What rows are stored in; as `dtype` when None.
    steps: T, steps of descent that the network has had, none of which
      overshoots.

  Returns:
    A bound of |f̂ − f| for each input, with E as it is at the end: rows are
    only added.

  Raises:
    ValueError: If the activation is not a ReLU.

  >>> from framework.maths.gaussian import transform
  >>> from framework.systems.infinite_width.pi.net import gaussian
  >>> net = gaussian()(jax.random.key(0), 4, 2, 3, 2, jnp.float32)
  >>> x = jnp.ones((1, 4), jnp.float32)
  >>> print(f"{bound(transform('relu'), net, x, jnp.float32)[0]:.2e}")
  1.45e-06
  """
  if phi.name != 'relu':
    raise ValueError(
      f'activation is {phi.name}, expected relu: of others V has no bound by '
      'the length of its argument'
    )
  eps = float(jnp.finfo(dtype).eps) / 2
  coarse = float(jnp.finfo(rows).eps) / 2 if rows is not None else 0.0
  seen, (d, r) = forward(phi, net, x, alphas), net.first.shape
  n, k = seen.f.shape

  def slopes(e):
    """|∂f_e/∂y^l|² of an output, of layers 1, ..., L + 1."""
    found = [jnp.broadcast_to(alphas.last * e, (n, k))]
    for pull in reversed(seen.pulls):
      found.append(pull(found[-1]))
    return tuple(jnp.sum(y * y, 1) for y in reversed(found))

  squares = jax.vmap(slopes)(jnp.eye(k, dtype=seen.f.dtype))
  first, *upper = (root(jnp.sum(square, 0)) for square in squares)
  P = _length(jnp.abs(x) @ jnp.abs(net.first)) * jnp.abs(alphas.first)
  error = first * P * (d + 4) ** 0.5 * eps
  for slope, layer, g in zip(upper, net.layers, seen.g, strict=True):
    parts = [p._replace(A=abs(p.A), c=abs(p.c)) for p in layer]
    P = _length(evaluate(phi, tuple(parts), g)[0])
    Q = _length(g) / 2 * root(jnp.asarray(sum(_square(p) for p in layer)))
    filled = sum(jnp.count_nonzero(p.c) for p in layer)
    M = jnp.asarray(filled, error.dtype)
    own = (2 * r + 16) ** 0.5 * eps + 2**0.5 * coarse
    error += slope * (jnp.sqrt(M) * eps * P + own * Q)
  return _SURE * (1 + 2 * steps**0.5) * error


def _length(x: Float[Array, 'n k']) -> Float[Array, ' n']:
  return root(jnp.sum(x * x, 1))


def _square(rows: Rows) -> Float[Array, '']:
  """Σ_m |c_m A_m|²."""
  A = rows.A.astype(rows.c.dtype)
  return jnp.sum(rows.c**2 * jnp.sum(A * A, -1))
